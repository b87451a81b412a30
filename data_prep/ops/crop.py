"""The box of a mask with its margin, and a Volume cut to a box: tumour or whole brain.

Recipe E's tumour: moved_inside(with_aspect(with_margin(mask_box(mask), 10), spacing_mm, grid), shape).
"""

import dataclasses
from dataclasses import dataclass

import numpy as np

from data_prep.case import Unreadable
from data_prep.volume import Volume

ROUNDING = 1e-6  # voxels


@dataclass(frozen=True)
class Box:
    """Voxels from `start` to before `stop` along x, y, z; it may reach beyond the volume."""

    start: tuple[int, int, int]
    stop: tuple[int, int, int]

    @property
    def size(self) -> tuple[int, int, int]:
        return tuple(stop - start for start, stop in zip(self.start, self.stop, strict=True))


def mask_box(mask: np.ndarray) -> Box:
    """The smallest box around a mask's voxels; raises Unreadable where there are none.

    `mask` is (x, y, z); what is not 0 counts.
    """
    start, stop = [], []
    for axis in range(3):
        others = tuple(other for other in range(3) if other != axis)
        filled = np.flatnonzero(np.any(mask, axis=others))
        if filled.size == 0:
            raise Unreadable("the mask is empty, so there is nothing to cut out")
        start.append(int(filled[0]))
        stop.append(int(filled[-1]) + 1)
    return Box(tuple(start), tuple(stop))


def with_margin(box: Box, margin_voxels: int | tuple[int, int, int]) -> Box:
    """Grown on each side by a number of voxels, one for all axes or one for each."""
    margin = np.broadcast_to(np.asarray(margin_voxels, int), 3)
    return _box(np.array(box.start) - margin, np.array(box.stop) + margin)


def with_margin_mm(box: Box, margin_mm: float, spacing_mm: tuple[float, float, float]) -> Box:
    """Grown on each side by the fewest voxels that are at least `margin_mm`."""
    margin = np.ceil(margin_mm / np.array(spacing_mm) - ROUNDING)
    return with_margin(box, tuple(int(voxels) for voxels in margin))


def with_aspect(
    box: Box, spacing_mm: tuple[float, float, float], grid: tuple[int, int, int]
) -> Box:
    """Grown until its sides in mm are to each other as the grid's (depth, rows, columns).

    Never shrunk; each side is the fewest voxels that reach the length, half of them added at
    either end (the odd one at the stop). So stretching the box to the grid changes proportions
    by no more than one voxel of a side.
    """
    sides = np.array(grid[::-1], float)  # along x, y, z
    size_mm = np.array(box.size) * spacing_mm
    wanted_mm = sides * (size_mm / sides).max()
    size = np.ceil(wanted_mm / spacing_mm - ROUNDING).astype(int)
    start = np.array(box.start) - (size - box.size) // 2
    return _box(start, start + size)


def moved_inside(box: Box, shape: tuple[int, int, int]) -> Box:
    """The same size, moved the least way into the volume, to show tissue rather than padding.

    Along an axis on which the box is longer than the volume it is centred, and reaches beyond on
    both sides: `crop` pads there.
    """
    size, shape = np.array(box.size), np.array(shape)
    start = np.clip(box.start, 0, np.maximum(0, shape - size))
    start = np.where(size > shape, -((size - shape) // 2), start)
    return _box(start, start + size)


def clipped(box: Box, shape: tuple[int, int, int]) -> Box:
    """What of the box lies inside the volume; raises Unreadable if nothing does."""
    start, stop = np.maximum(box.start, 0), np.minimum(box.stop, shape)
    if np.any(start >= stop):
        raise Unreadable("the box lies outside the image")
    return _box(start, stop)


def crop(volume: Volume, box: Box, fill: float = 0.0) -> Volume:
    """The volume's voxels in the box, `fill` where it reaches beyond; (x, y, z) or with channels."""
    shape = (*box.size, *volume.array.shape[3:])
    cut = np.full(shape, fill, volume.array.dtype)
    from_box, from_volume = _overlap(box, volume.array.shape[:3])
    cut[from_box] = volume.array[from_volume]
    to_voxel = np.eye(4)
    to_voxel[:3, 3] = box.start
    return dataclasses.replace(volume, array=cut, affine=volume.affine @ to_voxel)


def placed_back(cut: np.ndarray, box: Box, like: Volume, fill: float = 0.0) -> Volume:
    """An array cut with `crop` in its place in a volume of the shape of `like`, `fill` around it."""
    whole = np.full((*like.array.shape[:3], *cut.shape[3:]), fill, cut.dtype)
    from_box, from_volume = _overlap(box, like.array.shape[:3])
    whole[from_volume] = cut[from_box]
    return dataclasses.replace(like, array=whole)


def _overlap(box: Box, shape: tuple[int, ...]) -> tuple[tuple[slice, ...], tuple[slice, ...]]:
    """The same voxels counted from the box's start and from the volume's."""
    inside = clipped(box, shape)
    pairs = list(zip(inside.start, inside.stop, box.start, strict=True))
    from_box = tuple(slice(start - first, stop - first) for start, stop, first in pairs)
    return from_box, tuple(slice(start, stop) for start, stop, _ in pairs)


def _box(start, stop) -> Box:
    return Box(tuple(int(place) for place in start), tuple(int(place) for place in stop))
