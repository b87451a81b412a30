"""Brain masks: everything but a uniform background, or Otsu's threshold for heads with a skull."""

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from data_prep.volume import Volume, require_3d

MIN_BACKGROUND = 0.10  # share of all voxels
MIN_SOLID = 0.80  # share of the background whose neighbours are background; far lower in noise
MIN_TISSUE = 0.70  # share of the rest that Otsu's threshold finds too; lower if the rest has air
MIN_BELOW = 0.25  # range of intensities below the background's value, relative to the range above
SPECK = 0.01  # of the largest piece; smaller pieces are dropped
# Otherwise a few hot voxels (metal, spikes) would stretch the histogram until Otsu finds only them.
PERCENTILES = (0.1, 99.9)
STEP = 2  # voxels from one to the next of those that are asked for fractions
MIN_FRACTIONS = 0.9  # share of the voxels that are not background
MIN_SIDE = 0.05  # share of them on either side of the background's value
FLOOR = 0.03  # of the intensity range, added before the logarithm so that noise does not count
NEIGHBOURS = ndimage.generate_binary_structure(3, 1)
IN_SLICE = NEIGHBOURS & (np.arange(3) == 1)  # along x and y


@dataclass(frozen=True)
class BrainMask:
    """`inside` (x, y, z) bool, and the method that found it: "background", "otsu" or "flat"."""

    inside: np.ndarray
    method: str


def brain_mask(volume: Volume, least_background: float = MIN_BACKGROUND) -> BrainMask:
    """Finds the brain of a skull-stripped image, or the head of any other.

    1. "flat": an image of one value contains no brain, so the mask is empty.
    2. "background": the mask is everything that is not background, without small specks. The
       background is the most common value at the sides of the image, where connected to them. It
       must be large enough, and solid (zeros in noise are not) or of one value among fractions on both
       sides of it, as around a standardised brain. The rest must be brain and not the
       rectangle of air and head within a scanner's padding: Otsu's threshold finds most of it too,
       or it has intensities both below and above the background's.
    3. "otsu": the largest connected piece above Otsu's threshold of the logarithm of the distance
       from the sides' median (without the logarithm only bright fat would be found). Holes are
       filled first, in each axial slice: dark bone separates scalp and brain, and in 3D the skull
       is open at the neck.

    Args:
        volume: (x, y, z).
        least_background: smallest share of the image that counts as background.

    Raises:
        Unreadable: the volume has channels.

    Source: Otsu 1979, A threshold selection method from gray-level histograms.
    """
    array = require_3d(volume).array
    if array.min() == array.max():
        return BrainMask(np.zeros(array.shape, bool), "flat")
    sides = np.concatenate([array[[0, -1]].ravel(), array[:, [0, -1]].ravel()])
    # Air is dark, or grey where the sign of the signal was kept.
    apart = np.abs(array.astype(np.float32) - np.float32(np.median(sides)))
    head = _largest_pieces(_fill_holes(apart > _threshold(apart)), 1.0)
    values, counts = np.unique(sides, return_counts=True)
    value = values[np.argmax(counts)]
    background = _pieces_at_rims(array == value, NEIGHBOURS, (0, 1, 2))
    low, high = np.percentile(array, PERCENTILES)
    between = value - low > MIN_BELOW * (high - value)
    least, size = max(1, least_background * array.size), background.sum()
    solid = _eroded(background).sum() >= max(least, MIN_SOLID * size)
    standardised = size >= least and _is_among_fractions(value, array)
    if solid or standardised:
        rest = _largest_pieces(~background, SPECK)
        if between or standardised or np.mean(head[rest]) >= MIN_TISSUE:
            return BrainMask(rest, "background")
    return BrainMask(head, "otsu")


def _is_among_fractions(value: float, array: np.ndarray) -> bool:
    """Whether the other values are fractions, hardly equal by chance, and lie on both sides of it."""
    some = array[::STEP, ::STEP, ::STEP]
    others = some[some != value]
    if not len(others) or array.dtype.kind != "f" or np.mean(others != np.round(others)) < MIN_FRACTIONS:
        return False
    return bool(MIN_SIDE <= np.mean(others < value) <= 1 - MIN_SIDE)


def _eroded(region: np.ndarray) -> np.ndarray:
    """The voxels whose six neighbours are in the region too; outside the array all are."""
    inner = region.copy()
    for axis in range(3):
        there, here = np.moveaxis(region, axis, 0), np.moveaxis(inner, axis, 0)  # views
        here[1:] &= there[:-1]
        here[:-1] &= there[1:]
    return inner


def _pieces_at_rims(region: np.ndarray, structure: np.ndarray, axes: tuple[int, ...]) -> np.ndarray:
    """The connected pieces of a region that touch the first or last voxel along one of the axes."""
    pieces, count = ndimage.label(region, structure)
    at_rim = np.zeros(count + 1, bool)
    for axis in axes:
        at_rim[np.unique(np.take(pieces, [0, -1], axis))] = True
    at_rim[0] = False  # not in the region
    return at_rim[pieces]


def _largest_pieces(region: np.ndarray, least_share: float) -> np.ndarray:
    """The connected pieces with at least `least_share` of the largest one's voxels."""
    pieces, count = ndimage.label(region)
    sizes = np.bincount(pieces.ravel(), minlength=count + 1)
    sizes[0] = 0
    return (sizes >= max(1, least_share * sizes.max()))[pieces]


def _fill_holes(region: np.ndarray) -> np.ndarray:
    """Fills holes that are enclosed within their axial slice."""
    return ~_pieces_at_rims(~region, IN_SLICE, (0, 1))


def _threshold(array: np.ndarray) -> float:
    """Otsu's threshold of the logarithms, as an intensity; the image must not be flat."""
    from skimage.filters import threshold_otsu

    low, high = np.percentile(array, PERCENTILES)
    if not low < high:
        low, high = array.min(), array.max()
    floor = FLOOR * (high - low)
    logs = np.log(np.clip(array, low, high) - low + floor)
    return float(np.exp(threshold_otsu(logs)) - floor + low)
