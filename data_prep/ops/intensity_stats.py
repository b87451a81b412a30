"""Mean and SD of a study's channels, inside the brain mask and over the whole image, before any crop."""

import numpy as np

from data_prep.case import Unreadable


def region_stats(
    channels: np.ndarray, mask: np.ndarray, unscaled: tuple[int, ...] = ()
) -> np.ndarray:
    """(2 regions: image, brain mask; channels; mean, SD) float32: a record's `intensity_stats`.

    `channels` is (x, y, z, channels), `mask` (x, y, z) bool. SD is the population's, 0 for a
    constant channel (a zero-filled sequence), which normalising then takes to 0. Channels named
    by position in `unscaled` (presence of a sequence) have mean 0 and SD 1, so that a z-score
    leaves them as they are. Raises Unreadable for an empty mask.
    """
    mask = np.asarray(mask, bool)
    if mask.shape != channels.shape[:-1]:
        raise ValueError(f"a mask of shape {mask.shape} for channels of shape {channels.shape}")
    if not mask.any():
        raise Unreadable("the brain mask is empty, so there are no statistics inside it")
    stats = np.empty((2, channels.shape[-1], 2))
    for channel in range(channels.shape[-1]):
        values = channels[..., channel].astype(np.float64)
        for region, inside in enumerate((values, values[mask])):
            stats[region, channel] = inside.mean(), inside.std()
    stats[:, list(unscaled)] = 0.0, 1.0
    return stats.astype(np.float32)
