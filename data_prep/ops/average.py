"""Reduces the resolution of very fine volumes by averaging whole voxels, without interpolation."""

import dataclasses

import numpy as np

from data_prep.volume import Volume


def averaging_factors(
    spacing_mm: tuple[float, float, float], finest_mm: tuple[float, float, float]
) -> tuple[int, int, int]:
    """How many voxels along x, y, z to average, so that spacings are at least about `finest_mm`.

    Rounded to whole numbers: a spacing above two thirds of the finest is kept.

    >>> averaging_factors((0.2, 0.4, 3.0), (0.4, 0.4, 2.0))
    (2, 1, 1)
    """
    pairs = zip(spacing_mm, finest_mm, strict=True)
    return tuple(max(1, int(finest / step + 0.5)) for step, finest in pairs)


def average_groups(volume: Volume, factors: tuple[int, int, int]) -> Volume:
    """Means over groups of `factors` voxels along x, y, z, as float32; channels are kept.

    A group at the end of an axis may be smaller; it is averaged over the voxels it has.
    """
    array = np.asarray(volume.array, np.float32)
    for axis, factor in enumerate(factors):
        if factor > 1:
            starts = np.arange(0, array.shape[axis], factor)
            ends = np.minimum(starts + factor, array.shape[axis])
            shape = np.where(np.arange(array.ndim) == axis, -1, 1)  # such as (1, -1, 1)
            array = np.add.reduceat(array, starts, axis=axis) / (ends - starts).reshape(shape)
    to_voxel = np.diag([*factors, 1.0])
    to_voxel[:3, 3] = (np.array(factors) - 1) / 2
    return dataclasses.replace(
        volume, array=array.astype(np.float32, copy=False), affine=volume.affine @ to_voxel
    )
