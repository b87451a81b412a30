"""What probes see of one image: border, background, corners, missing sequences; histogram, thumbnail.

Each is a pure function of an image and its foreground, and returns the features by name. The first four
are no anatomy, so they may not tell the label. The others may be signal: they are what a network has to
beat.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy import ndimage

SHELLS = 2  # of one voxel each, at the border of the foreground
MARGIN = 2  # voxels around the foreground that are mixed with it
CORNER_SHARE = 8  # of the rows, and of the columns, a corner is one part of so many
SMALL = 16  # pixels on a side of the thumbnail
BINS = np.linspace(-3, 3, 17)[1:-1]  # of the histogram, in SDs of the image
NORMAL_QUARTILES = 1.349  # between them, in SDs of a normal distribution
LARGEST = 1e6
QUADRANTS = ("top left", "top right", "bottom left", "bottom right")


class View(NamedTuple):
    """An image as the probes look at it.

    Attributes:
        image: (depth, rows, columns, channels) float32; of a picture the depth is 1.
        channels: their names.
        inside: (depth, rows, columns) bool: the head or body.
    """

    image: np.ndarray
    channels: Sequence[str]
    inside: np.ndarray


def border(view: View) -> dict[str, float]:
    """Intensity of the shells at the border: in SDs from the median of what lies deeper."""
    shells, deep = shells_of(view.inside)
    found = {}
    for channel, values in _by_channel(view):
        scaled = _in_units_of(values, deep)
        for number, shell in enumerate(shells, 1):
            found |= _moments(f"{channel} shell {number}", scaled[shell])
        for name, part in _quadrants(shells[0]):
            found[f"{channel} shell 1 {name}"] = _mean(scaled[part])
    return found


def background(view: View) -> dict[str, float]:
    """Intensity around the head or body: in SDs from the median of what is inside.

    Of a background of one value only that value is told, as it is: in units of the head it would tell
    what the head is like.
    """
    outside = around(view.inside)
    found = {}
    for channel, values in _by_channel(view):
        scaled, own = _unless_one_value(_in_units_of(values, view.inside), values, outside)
        found |= _moments(f"{channel} background", scaled[outside])
        found[f"{channel} background highest"] = _highest(scaled[outside])
        found[f"{channel} background zeros"] = _mean(values[outside] == 0)
        found[f"{channel} background if of one value"] = own
        for name, part in _quadrants(outside):
            found[f"{channel} background {name}"] = _mean(scaled[part])
    return found


def corners(view: View) -> dict[str, float]:
    """Intensity of the four corners of the slices: in SDs from the mean of the image; of a corner of one
    value only that value, as it is."""
    everywhere = np.ones(view.inside.shape, bool)
    found = {}
    for channel, values in _by_channel(view):
        in_units = _scaled(values, everywhere)
        for name, place in zip(QUADRANTS, corner_places(view.inside.shape), strict=True):
            scaled, own = _unless_one_value(in_units, values, place)
            found |= _moments(f"{channel} corner {name}", scaled[place].ravel())
            found[f"{channel} corner {name} highest"] = _highest(scaled[place])
            found[f"{channel} corner {name} if of one value"] = own
    return found


def missing(view: View, presence: dict[str, bool]) -> dict[str, float]:
    """Which sequences are not there: channels of one value, and what the record says of them.

    `presence` is the value of each channel that says whether a sequence is there.
    """
    found = {f"{channel} missing": float(values.min() == values.max())
             for channel, values in _by_channel(view)}  # fmt: skip
    return found | {f"{name} is 0": float(not there) for name, there in presence.items()}


def histogram(view: View) -> dict[str, float]:
    """Shares of the voxels in 16 equal steps of intensity, from -3 to 3 SDs."""
    everywhere = np.ones(view.inside.shape, bool)
    found = {}
    for channel, values in _by_channel(view):
        places = np.digitize(_scaled(values, everywhere).ravel(), BINS)
        shares = np.bincount(places, minlength=len(BINS) + 1) / len(places)
        found |= {f"{channel} step {number}": share for number, share in enumerate(shares.tolist(), 1)}
    return found


def thumbnail(view: View) -> dict[str, float]:
    """The picture in 16 x 16 pixels; of a volume its means along each axis."""
    everywhere = np.ones(view.inside.shape, bool)
    found = {}
    for channel, values in _by_channel(view):
        scaled = _scaled(values, everywhere)
        axes = (0,) if len(scaled) == 1 else (0, 1, 2)
        for axis in axes:
            small = _reduced(scaled.mean(axis=axis))
            names = (f"{channel} {axis} {row} {column}" for row, column in np.ndindex(small.shape))
            found |= dict(zip(names, small.ravel().tolist(), strict=True))
    return found


def mask_volume(mask: np.ndarray, spacing_mm: tuple[float, ...] | None) -> dict[str, float]:
    """Logarithm of the volume of each value of a mask: in mm³, or in voxels where that is not known.

    Args:
        mask: of a record, whole numbers.
        spacing_mm: of the prepared grid.
    """
    size = float(np.prod(spacing_mm)) if spacing_mm else 1.0
    counts = np.bincount(mask.ravel())[1:]
    return {f"mask {value}": float(np.log1p(count * size)) for value, count in enumerate(counts, 1)}


def shells_of(inside: np.ndarray) -> tuple[list[np.ndarray], np.ndarray]:
    """The shells of one voxel each at the border of a head or body, from outside in, and what is deeper.

    Args:
        inside: (depth, rows, columns) bool.
    """
    shells, deep = [], inside
    for _ in range(SHELLS):
        inner = _eroded(deep)
        shells.append(deep & ~inner)
        deep = inner
    return shells, deep


def around(inside: np.ndarray) -> np.ndarray:
    """What lies around the head or body, beyond the voxels that are mixed with it; as `shells_of`."""
    return ~_dilated(inside)


def corner_places(shape: tuple[int, ...]) -> tuple[tuple[slice, ...], ...]:
    """The four corners of the slices of an image (depth, rows, columns), in the order of QUADRANTS."""
    rows, columns = (max(1, size // CORNER_SHARE) for size in shape[1:])
    return (np.s_[:, :rows, :columns], np.s_[:, :rows, -columns:],
            np.s_[:, -rows:, :columns], np.s_[:, -rows:, -columns:])  # fmt: skip


def _by_channel(view: View):
    return ((name, view.image[..., number]) for number, name in enumerate(view.channels))


def _scaled(values: np.ndarray, region: np.ndarray) -> np.ndarray:
    """In SDs from the mean of a region; 0 where the region has one value."""
    inside = values[region]
    deviation = float(inside.std()) if len(inside) else 0.0
    if deviation <= 1e-6 * max(1.0, float(np.abs(inside).max(initial=0.0))):
        return np.zeros(values.shape, np.float32)
    return np.clip((values - inside.mean()) / deviation, -LARGEST, LARGEST)


def _unless_one_value(
    scaled: np.ndarray, values: np.ndarray, region: np.ndarray | tuple
) -> tuple[np.ndarray, float]:
    """The scaled image and 0; of a region of one value 0 everywhere and that value."""
    there = values[region]
    if not there.size or there.min() != there.max():
        return scaled, 0.0
    return np.zeros_like(scaled), float(there.flat[0])


def _in_units_of(values: np.ndarray, tissue: np.ndarray) -> np.ndarray:
    """In SDs from the median of tissue, by its quartiles; as `_scaled` where half of it has one value.

    A lesion that is bright in one class only changes the mean and the SD of a head, and all that is told
    in these would then tell the class.
    """
    low, middle, high = np.percentile(values[tissue], (25, 50, 75)) if tissue.any() else (0, 0, 0)
    deviation = (high - low) / NORMAL_QUARTILES
    if deviation <= 1e-6 * max(1.0, abs(low), abs(high)):
        return _scaled(values, tissue)
    return np.clip((values - middle) / deviation, -LARGEST, LARGEST)


def _moments(name: str, values: np.ndarray) -> dict[str, float]:
    deviation = float(values.std()) if len(values) else 0.0
    return {f"{name} mean": _mean(values), f"{name} SD": deviation}


def _mean(values: np.ndarray) -> float:
    return float(values.mean()) if values.size else 0.0


def _highest(values: np.ndarray) -> float:
    return float(values.max()) if values.size else 0.0


def _quadrants(region: np.ndarray):
    """Name and part of a region in each quarter of the slices: (depth, rows, columns) bool."""
    rows, columns = (size // 2 for size in region.shape[1:])
    halves = (slice(None, rows), slice(rows, None)), (slice(None, columns), slice(columns, None))
    for name, (row, column) in zip(QUADRANTS, np.ndindex(2, 2), strict=True):
        part = np.zeros_like(region)
        place = np.s_[:, halves[0][row], halves[1][column]]
        part[place] = region[place]
        yield name, part


def _eroded(region: np.ndarray) -> np.ndarray:
    return ndimage.binary_erosion(region, _cross(region), border_value=1)


def _dilated(region: np.ndarray) -> np.ndarray:
    return ndimage.binary_dilation(region, _cross(region), iterations=MARGIN)


def _cross(region: np.ndarray) -> np.ndarray:
    """Neighbours along each axis; of a picture only within it."""
    cross = ndimage.generate_binary_structure(3, 1)
    return cross & (np.arange(3) == 1)[:, None, None] if len(region) == 1 else cross


def _reduced(picture: np.ndarray) -> np.ndarray:
    """(at most 16, at most 16) means of parts of a picture."""
    for axis in (0, 1):
        parts = min(SMALL, picture.shape[axis])
        edges = np.linspace(0, picture.shape[axis], parts + 1).astype(int)[:-1]
        sizes = np.diff([*edges, picture.shape[axis]])
        shape = [-1 if number == axis else 1 for number in (0, 1)]
        picture = np.add.reduceat(picture, edges, axis=axis) / sizes.reshape(shape)
    return picture
