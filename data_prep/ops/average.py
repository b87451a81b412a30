"""Voxels finer than anybody needs, averaged in whole groups: nothing is interpolated."""

import dataclasses

import numpy as np

from data_prep.volume import Volume


def averaging_factors(
    spacing_mm: tuple[float, float, float], finest_mm: tuple[float, float, float]
) -> tuple[int, int, int]:
    """How many voxels along x, y, z become one, so that spacings are at least about `finest_mm`.

    The nearest whole number: a spacing of two thirds of the finest or more is left as it is.
    """
    pairs = zip(spacing_mm, finest_mm, strict=True)
    return tuple(max(1, int(finest / step + 0.5)) for step, finest in pairs)


def averaged(volume: Volume, factors: tuple[int, int, int]) -> Volume:
    """Means of groups of voxels, float32; (x, y, z) or (x, y, z, channels).

    What is left at the end of an axis, less than a group, is averaged as a smaller one of its own.
    """
    array = np.asarray(volume.array, np.float32)
    for axis, factor in enumerate(factors):
        if factor > 1:
            starts = np.arange(0, array.shape[axis], factor)
            ends = np.minimum(starts + factor, array.shape[axis])
            shape = [-1 if other == axis else 1 for other in range(array.ndim)]
            array = np.add.reduceat(array, starts, axis=axis) / (ends - starts).reshape(shape)
    to_voxel = np.diag([*factors, 1.0])
    to_voxel[:3, 3] = (np.array(factors) - 1) / 2
    return dataclasses.replace(
        volume, array=array.astype(np.float32, copy=False), affine=volume.affine @ to_voxel
    )
