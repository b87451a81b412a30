"""Mean and SD of a case's channels, in the whole image and inside the brain mask, before any crop; and
z-scores by them."""

import numpy as np

from data_prep.case import Unreadable


def region_stats(
    channels: np.ndarray, mask: np.ndarray, unscaled: tuple[int, ...] = ()
) -> np.ndarray:
    """Computes a record's `intensity_stats`.

    Args:
        channels: (x, y, z, channels).
        mask: (x, y, z) bool, the brain.
        unscaled: indices of channels that a z-score should not change (presence of a sequence);
            they get mean 0 and SD 1.

    Returns:
        (2, channels, 2) float32: image and brain; mean and population SD. The SD of a constant
        channel (a zero-filled sequence) is 0, and normalisation sets such a channel to 0.

    Raises:
        Unreadable: the mask is empty.
    """
    mask = np.asarray(mask, bool)
    if mask.shape != channels.shape[:-1]:
        raise ValueError(f"mask of shape {mask.shape}, but channels of shape {channels.shape}")
    if not mask.any():
        raise Unreadable("the brain mask is empty, so it has no mean intensity")
    stats = np.empty((2, channels.shape[-1], 2))
    for channel in range(channels.shape[-1]):
        values = channels[..., channel].astype(np.float64)
        for region, inside in enumerate((values, values[mask])):
            stats[region, channel] = inside.mean(), inside.std()
    stats[:, list(unscaled)] = 0.0, 1.0
    return stats.astype(np.float32)


def standardise(
    channels: np.ndarray, mask: np.ndarray, stats: np.ndarray, unscaled: tuple[int, ...] = ()
) -> tuple[np.ndarray, np.ndarray]:
    """Z-scores inside the mask, and 0 outside it, so that background has no intensity of its own.

    Args:
        channels: (x, y, z, channels).
        mask: (x, y, z) bool, the brain.
        stats: as `region_stats` gives them.
        unscaled: indices of channels that stay as they are.

    Returns:
        float32 (x, y, z, channels), and its statistics for both regions: mean 0 and SD 1. A channel
        that is constant inside the mask becomes 0.
    """
    scores = channels.astype(np.float32)
    for channel in set(range(channels.shape[-1])) - set(unscaled):
        mean, deviation = (float(value) for value in stats[1, channel])
        inside = channels[..., channel][mask].astype(np.float64)  # (voxels of the mask,)
        scores[..., channel] = 0
        scores[..., channel][mask] = (inside - mean) / deviation if deviation > 0 else 0
    standard = np.zeros_like(stats)
    standard[..., 1] = 1.0
    return scores, standard
