"""Boxes around masks, and Volumes cropped to a box: a tumour or the whole brain.

For example, a tumour with a margin of 10 voxels in the proportions of a grid, inside the image:
moved_inside(with_aspect(with_margin(mask_box(mask), 10), spacing_mm, grid), shape).
"""

import dataclasses
from dataclasses import dataclass

import numpy as np

from data_prep.case import Unreadable
from data_prep.volume import Volume

ROUNDING = 1e-6  # voxels by which a length may miss a whole number


@dataclass(frozen=True)
class Box:
    """Voxels from `start` up to, not including, `stop` along x, y, z; may extend beyond the volume.

    >>> with_margin(Box((3, 5, 2), (11, 9, 9)), 10)
    Box(start=(-7, -5, -8), stop=(21, 19, 19))
    """

    start: tuple[int, int, int]
    stop: tuple[int, int, int]

    @property
    def size(self) -> tuple[int, int, int]:
        return tuple(stop - start for start, stop in zip(self.start, self.stop, strict=True))


def mask_box(mask: np.ndarray) -> Box:
    """The smallest box around the nonzero voxels of a mask (x, y, z); raises Unreadable without any."""
    start, stop = [], []
    for axis in range(3):
        others = tuple({0, 1, 2} - {axis})
        filled = np.flatnonzero(np.any(mask, axis=others))
        if filled.size == 0:
            raise Unreadable("the mask is empty, so there is nothing to crop to")
        start.append(int(filled[0]))
        stop.append(int(filled[-1]) + 1)
    return Box(tuple(start), tuple(stop))


def with_margin(box: Box, margin_voxels: int | tuple[int, int, int]) -> Box:
    """Grows a box at both ends by a number of voxels, one for all axes or one for each."""
    margin = np.broadcast_to(np.asarray(margin_voxels, int), 3)
    return _box(np.array(box.start) - margin, np.array(box.stop) + margin)


def with_margin_mm(box: Box, margin_mm: float, spacing_mm: tuple[float, float, float]) -> Box:
    """Grows a box at both ends by the smallest number of voxels that is at least `margin_mm`."""
    margin = np.ceil(margin_mm / np.array(spacing_mm) - ROUNDING)
    return with_margin(box, tuple(int(voxels) for voxels in margin))


def with_aspect(
    box: Box, spacing_mm: tuple[float, float, float], grid: tuple[int, int, int]
) -> Box:
    """Grows a box until its sides in mm have the proportions of a grid (depth, rows, columns).

    The box never shrinks. Voxels are added in equal numbers at both ends, an odd one at the stop.
    Each side is rounded up to whole voxels, so the proportions are exact to one voxel per side.
    """
    sides = np.array(grid[::-1], float)  # along x, y, z
    size_mm = np.array(box.size) * spacing_mm
    target_mm = sides * (size_mm / sides).max()
    size = np.ceil(target_mm / spacing_mm - ROUNDING).astype(int)
    start = np.array(box.start) - (size - box.size) // 2
    return _box(start, start + size)


def moved_inside(box: Box, shape: tuple[int, int, int]) -> Box:
    """Moves a box by the shortest way into a volume of `shape`, to show tissue instead of padding.

    Where the box is longer than the volume, it is centred and `crop` pads both ends.
    """
    size, shape = np.array(box.size), np.array(shape)
    start = np.clip(box.start, 0, np.maximum(0, shape - size))
    start = np.where(size > shape, -((size - shape) // 2), start)
    return _box(start, start + size)


def clipped(box: Box, shape: tuple[int, int, int]) -> Box:
    """The part of a box inside a volume of `shape`; raises Unreadable if there is none."""
    start, stop = np.maximum(box.start, 0), np.minimum(box.stop, shape)
    if np.any(start >= stop):
        raise Unreadable("the box to crop to lies outside the image")
    return _box(start, stop)


def crop(volume: Volume, box: Box, fill: float = 0.0) -> Volume:
    """Crops a volume (with or without channels) to a box; `fill` where it extends beyond the volume."""
    shape = (*box.size, *volume.array.shape[3:])
    cut = np.full(shape, fill, volume.array.dtype)
    from_box, from_volume = _overlap(box, volume.array.shape[:3])
    cut[from_box] = volume.array[from_volume]
    to_voxel = np.eye(4)
    to_voxel[:3, 3] = box.start
    return dataclasses.replace(volume, array=cut, affine=volume.affine @ to_voxel)


def placed_back(cut: np.ndarray, box: Box, like: Volume, fill: float = 0.0) -> Volume:
    """Puts a cropped array back at its box in a volume like `like`, with `fill` around it."""
    whole = np.full((*like.array.shape[:3], *cut.shape[3:]), fill, cut.dtype)
    from_box, from_volume = _overlap(box, like.array.shape[:3])
    whole[from_volume] = cut[from_box]
    return dataclasses.replace(like, array=whole)


def _overlap(box: Box, shape: tuple[int, ...]) -> tuple[tuple[slice, ...], tuple[slice, ...]]:
    """The common voxels of box and volume, as slices of the box and as slices of the volume."""
    inside = clipped(box, shape)
    pairs = list(zip(inside.start, inside.stop, box.start, strict=True))
    from_box = tuple(slice(start - first, stop - first) for start, stop, first in pairs)
    return from_box, tuple(slice(start, stop) for start, stop, _ in pairs)


def _box(start, stop) -> Box:
    return Box(tuple(int(index) for index in start), tuple(int(index) for index in stop))
