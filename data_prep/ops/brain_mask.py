"""Where the brain (or, with the skull left on, the head) is: background of one value, else Otsu."""

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from data_prep.volume import Volume, three_dimensional

MIN_BACKGROUND = 0.10  # share of all voxels
MIN_SOLID = 0.80  # share of the background whose neighbours are background; noise has far less
MIN_TISSUE = 0.70  # share of the rest that the threshold finds too; a rectangle of air has less
MIN_BELOW = 0.25  # how far intensities reach below the background's, to how far above
SPECK = 0.01  # of the largest piece
# A few hot voxels (metal, spikes) would otherwise stretch the histogram until Otsu finds only them.
PERCENTILES = (0.1, 99.9)
FLOOR = 0.03  # of the intensities' range, added before the logarithm: differences of noise vanish
NEIGHBOURS = ndimage.generate_binary_structure(3, 1)
IN_SLICE = NEIGHBOURS & (np.arange(3) == 1)  # along x and y


@dataclass(frozen=True)
class BrainMask:
    """`inside` (x, y, z) bool, and how it was found: `background`, `otsu` or `flat`."""

    inside: np.ndarray
    method: str


def brain_mask(volume: Volume, least_background: float = MIN_BACKGROUND) -> BrainMask:
    """The brain of a skull-stripped image, the head of another; raises Unreadable for channels.

    1. `flat`: an image of one value holds no brain; the mask is empty.
    2. `background`: the mask is what is not background, but for pieces below a hundredth of the
       largest. Background is the commonest value on the sides of the image, where connected to
       them. It must be at least `least_background` of the image and solid (the zeros of noise are
       not), and the rest must be brain, not the rectangle of air and head that a scanner's padding
       leaves: mostly what 3 finds as well, or with intensities on both sides of the background's.
    3. `otsu`: further from the sides' median than Otsu's threshold (1979) of the logarithms (of
       intensities, bright fat would stand against all else), holes filled in each axial slice (in
       3D the skull's would be open at the neck), the largest connected piece. Filled first: dark
       bone parts scalp and brain, and which is larger would differ between patients.
    """
    array = three_dimensional(volume).array
    if array.min() == array.max():
        return BrainMask(np.zeros(array.shape, bool), "flat")
    sides = np.concatenate([array[[0, -1]].ravel(), array[:, [0, -1]].ravel()])
    head = _standing_out(array, np.median(sides))
    values, counts = np.unique(sides, return_counts=True)
    value = values[np.argmax(counts)]
    background = _pieces_at_rims(array == value, NEIGHBOURS, (0, 1, 2))
    solid = ndimage.binary_erosion(background, border_value=1).sum()
    if solid >= max(1, least_background * array.size, MIN_SOLID * background.sum()):
        rest = _largest_pieces(~background, SPECK)
        low, high = np.percentile(array, PERCENTILES)
        amid = value - low > MIN_BELOW * (high - value)
        if amid or np.mean(head[rest]) >= MIN_TISSUE:
            return BrainMask(rest, "background")
    return BrainMask(head, "otsu")


def _standing_out(array: np.ndarray, air: float) -> np.ndarray:
    """The head among air, which is dark, or grey where the sign of the signal was kept."""
    apart = np.abs(array.astype(np.float32) - np.float32(air))
    return _largest_pieces(_fill_holes(apart > _threshold(apart)), 1.0)


def _pieces_at_rims(region: np.ndarray, structure: np.ndarray, axes: tuple[int, ...]) -> np.ndarray:
    """The connected pieces of a region that reach the image's first or last voxel along an axis."""
    pieces, count = ndimage.label(region, structure)
    at_rim = np.zeros(count + 1, bool)
    for axis in axes:
        at_rim[np.unique(np.take(pieces, [0, -1], axis))] = True
    at_rim[0] = False  # not in the region
    return at_rim[pieces]


def _largest_pieces(region: np.ndarray, least_share: float) -> np.ndarray:
    """The connected pieces of at least a share of the largest one's voxels."""
    pieces, count = ndimage.label(region)
    sizes = np.bincount(pieces.ravel(), minlength=count + 1)
    sizes[0] = 0
    return (sizes >= max(1, least_share * sizes.max()))[pieces]


def _fill_holes(region: np.ndarray) -> np.ndarray:
    """Fills what no path within its axial slice joins to the slice's rim."""
    return ~_pieces_at_rims(~region, IN_SLICE, (0, 1))


def _threshold(array: np.ndarray) -> float:
    """Otsu's between two classes of logarithms; the image is not of one value."""
    from skimage.filters import threshold_otsu

    low, high = np.percentile(array, PERCENTILES)
    if not low < high:
        low, high = array.min(), array.max()
    floor = FLOOR * (high - low)
    logs = np.log(np.clip(array, low, high) - low + floor)
    return float(np.exp(threshold_otsu(logs)) - floor + low)
