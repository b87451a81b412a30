"""The box around a mask, and Volumes cropped to a box."""

import dataclasses
from dataclasses import dataclass

import numpy as np

from data_prep.case import Unreadable
from data_prep.volume import Volume


@dataclass(frozen=True)
class Box:
    """Voxels from `start` up to, not including, `stop` along x, y, z; may extend beyond a volume."""

    start: tuple[int, int, int]
    stop: tuple[int, int, int]

    @property
    def size(self) -> tuple[int, int, int]:
        return tuple(stop - start for start, stop in zip(self.start, self.stop, strict=True))


def mask_box(mask: np.ndarray) -> Box:
    """The smallest box around the nonzero voxels of a mask (x, y, z); raises Unreadable without any."""
    lines = [np.flatnonzero(np.any(mask, axis=axes)) for axes in ((1, 2), (0, 2), (0, 1))]
    if lines[0].size == 0:
        raise Unreadable("the mask is empty, so there is nothing to crop to")
    return Box(tuple(int(line[0]) for line in lines), tuple(int(line[-1]) + 1 for line in lines))


def crop(volume: Volume, box: Box, fill: float = 0.0) -> Volume:
    """Crops a volume to a box.

    Args:
        volume: with or without channels.
        box: indices of the volume's voxels.
        fill: value where the box extends beyond the volume.

    Raises:
        Unreadable: the box lies outside the volume.
    """
    start, stop = np.maximum(box.start, 0), np.minimum(box.stop, volume.array.shape[:3])
    if np.any(start >= stop):
        raise Unreadable("the box to crop to lies outside the image")
    cropped = np.full((*box.size, *volume.array.shape[3:]), fill, volume.array.dtype)
    inside = tuple(map(slice, start, stop))
    cropped[tuple(map(slice, start - box.start, stop - box.start))] = volume.array[inside]
    to_voxel = np.eye(4)
    to_voxel[:3, 3] = box.start
    return dataclasses.replace(volume, array=cropped, affine=volume.affine @ to_voxel)
