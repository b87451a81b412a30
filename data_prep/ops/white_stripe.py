"""Mean and SD of a channel's white matter: the stripe about the peak of its histogram that normal white
matter makes (WhiteStripe, Shinohara et al. 2014).

Of T1-weighted images white matter is the last peak of the brain's histogram, of T2-weighted, FLAIR and
proton density images it is near the largest one. Vessels, small lesions and fluid, which move the mean
and SD of the whole brain, are no part of the stripe. A peak of the scalp's fat or of a large bright
lesion is taken for white matter, so that skull-stripped images are needed.
"""

import numpy as np
from scipy.ndimage import gaussian_filter1d

from data_prep.case import Unreadable
from mri_tf.core.errors import InputError, first_few

LAST, LARGEST = "last", "largest"
PEAK_OF = {"t1": LAST, "mprage": LAST, "flair": LARGEST, "t2": LARGEST, "pd": LARGEST}
WIDTH = 0.05  # of the quantiles on each side of the peak that make the stripe
BINS = 400  # over the middle of the histogram
ENDS = (0.5, 99.5)  # percentiles where the middle ends
SMOOTH = 0.025  # SD of the smoothing as a share of the middle
LEAST_HEIGHT = 0.2  # of a peak, over the highest; lower ones are of few voxels, such as vessels
LEAST_VOXELS = 1000


def peaks_of(channels: tuple[str, ...]) -> dict[str, str]:
    """Channel -> which peak of its histogram white matter is; raises InputError for another sequence."""
    found = {name: next((peak for word, peak in PEAK_OF.items() if word in name.lower()), "")
             for name in channels}  # fmt: skip
    unknown = [name for name, peak in found.items() if not peak]
    if unknown:
        raise InputError(
            "normalize.method white_stripe knows where white matter is by the name of a channel, which "
            f"must hold one of {', '.join(PEAK_OF)}.",
            first_few(unknown), "Name the channels by their sequences, or use zscore.",
        )  # fmt: skip
    return found


def stripe_stats(
    channels: np.ndarray, mask: np.ndarray, stats: np.ndarray, peaks: dict[int, str]
) -> np.ndarray:
    """The `intensity_stats` of a case with those of white matter in the place of those of its mask.

    Args:
        channels: (x, y, z, channels).
        mask: (x, y, z) bool, the brain.
        stats: (2, channels, 2) of `region_stats`; a channel whose SD is 0 is missing.
        peaks: channel -> `last` or `largest`; others keep their statistics.

    Raises:
        Unreadable: a channel has no peak that could be white matter.
    """
    stats = stats.copy()
    for channel, peak in peaks.items():
        if stats[1, channel, 1] > 0:
            stats[1, channel] = _stripe(channels[..., channel][mask].astype(np.float64), peak)
    return stats


def _stripe(values: np.ndarray, peak: str) -> tuple[float, float]:
    """Mean and SD of the values (voxels,) about the peak."""
    if len(values) < LEAST_VOXELS:
        raise Unreadable(f"its brain has {len(values)} voxels, too few to find white matter in")
    below, above = _peak(values, peak)
    # The middle of the values there: whole numbers may be many times the same.
    rank = (np.mean(values < below) + np.mean(values <= above)) / 2
    low, high = np.quantile(values, np.clip([rank - WIDTH, rank + WIDTH], 0, 1))
    inside = values[(values >= low) & (values <= high)]
    if inside.std() == 0:
        raise Unreadable("its white matter has one value, so that it has no scale")
    return float(inside.mean()), float(inside.std())


def _peak(values: np.ndarray, peak: str) -> tuple[float, float]:
    """Where the last, or the largest, peak of the smoothed histogram begins and ends."""
    ends = np.percentile(values, ENDS)
    if not ends[1] > ends[0]:
        raise Unreadable("its brain has hardly any values, so that white matter cannot be found")
    counts, edges = np.histogram(values, BINS, ends)
    density = gaussian_filter1d(counts.astype(float), SMOOTH * BINS, mode="nearest")
    inner = density[1:-1]
    tops = 1 + np.flatnonzero((inner > density[:-2]) & (inner >= density[2:]))
    tops = tops[density[tops] >= LEAST_HEIGHT * density.max()]
    if not len(tops):
        raise Unreadable("the histogram of its brain has no peak that could be white matter")
    chosen = tops[-1] if peak == LAST else tops[np.argmax(density[tops])]
    return float(edges[chosen]), float(edges[chosen + 1])
