"""Resamples Volumes to another volume's grid or to a task's grid; positions are kept.

Interpolation is linear (nearest for label maps). Between the outermost voxel centres and the outer
faces of their voxels the nearest voxel counts; outside the faces the result is `fill`, as in ITK.
"""

import dataclasses

import numpy as np
from scipy import ndimage

from data_prep.case import Unreadable
from data_prep.volume import Volume, to_ras_volume

MAX_VOXELS = 2**29  # 2 GB of float32; with more, the spacing in the header is not in mm
PARALLEL = 1e-4  # voxels by which an axis may stray from its parallel over the whole grid
FACE = 0.5 + 1e-6  # voxels from a centre to its face, plus rounding


def resample_like(
    volume: Volume, reference: Volume, nearest: bool = False, fill: float = 0.0
) -> Volume:
    """Resamples a volume to the grid of another, at any angle.

    Args:
        volume: with or without channels.
        reference: whose grid is taken.
        nearest: for label maps, which keep their dtype; images become float32, with a blur against
            aliasing where voxels grow.
        fill: value outside the volume.

    Raises:
        Unreadable: the result would have more than 2**29 voxels.
    """
    return _resample(volume, reference.array.shape[:3], reference.affine, nearest, fill)


def covered_share(volume: Volume, reference: Volume) -> float:
    """Share of the reference's voxels that lie inside the volume; 0 if the two do not overlap."""
    to_voxel = np.linalg.inv(volume.affine) @ reference.affine
    outside = _outside(to_voxel, reference.array.shape[:3], volume.array.shape[:3])
    return 1.0 - float(np.mean(outside))


def resize_to_grid(
    volume: Volume,
    grid: tuple[int, int, int],
    keep_aspect: bool = True,
    fill: float = 0.0,
    nearest: bool = False,
) -> tuple[np.ndarray, np.ndarray]:
    """Resamples a whole volume to a grid of fixed size.

    Args:
        volume: with or without channels.
        grid: (depth, rows, columns) of the result.
        keep_aspect: cubic voxels, the volume centred; False stretches each axis to fill its side.
        fill: value around the volume.
        nearest: for label maps; else interpolation is linear, with a blur against aliasing.

    Returns:
        (depth, rows, columns) or (depth, rows, columns, channels), beginning at the head, the front
        and the patient's right; and its affine (4, 4) from (column, row, depth) to RAS millimetres.
    """
    target = np.array(grid[::-1])  # columns, rows, depth: along x, y, z
    size = np.array(volume.array.shape[:3])
    voxel_mm = size * volume.spacing_mm / target
    if keep_aspect:
        voxel_mm = np.full(3, voxel_mm.max())
    step = voxel_mm / volume.spacing_mm
    to_voxel = np.eye(4)
    to_voxel[:3, :3] = np.diag(-step)  # index 0 lies at the largest x, y and z
    to_voxel[:3, 3] = (size - 1) / 2 + step * (target - 1) / 2
    placed = _resample(volume, target, volume.affine @ to_voxel, nearest, fill)
    return np.ascontiguousarray(np.moveaxis(placed.array, (0, 2), (2, 0))), placed.affine


def volume_of_grid(array: np.ndarray, affine: np.ndarray) -> Volume:
    """The inverse of `resize_to_grid`: an array on a grid (a map, a predicted mask) as a Volume."""
    return to_ras_volume(np.moveaxis(array, (0, 2), (2, 0)), affine)


def _resample(volume: Volume, shape, affine: np.ndarray, nearest: bool, fill: float) -> Volume:
    """Resamples to a grid of `shape`, whose indices `affine` takes to RAS millimetres."""
    if np.prod(np.array(shape, dtype=np.float64)) > MAX_VOXELS:
        size = "x".join(f"{length:.0f}" for length in shape)
        raise Unreadable(f"too large: {size} voxels after resampling; check the spacing in its header")
    shape = tuple(int(length) for length in shape)
    to_voxel = np.linalg.inv(volume.affine) @ affine  # indices of the result -> of the volume
    outside = _outside(to_voxel, shape, volume.array.shape[:3])
    channels = volume.array if volume.array.ndim == 4 else volume.array[..., None]
    dtype = channels.dtype if nearest else np.float32
    # In memory as (z, y, x, channels), the order of the records, so that no copy is needed later.
    stored = np.empty((*shape[::-1], channels.shape[-1]), dtype)
    result = np.moveaxis(stored, (0, 2), (2, 0))  # (x, y, z, channels)
    weights = None if nearest else _axis_weights(to_voxel, shape, volume.array.shape[:3])
    for channel in range(channels.shape[-1]):
        values = channels[..., channel].astype(dtype, copy=False)  # (x, y, z)
        if weights is not None:
            values = _along_axes(values, weights)
        else:
            values = _at_an_angle(values, to_voxel, shape, nearest)
        values[outside] = fill
        result[..., channel] = values
    if volume.array.ndim == 3:
        result = result[..., 0]
    return dataclasses.replace(volume, array=result, affine=affine)


def _blur(to_voxel: np.ndarray) -> np.ndarray:
    """SD, in voxels along each axis, of the Gaussian against aliasing: half of the excess spacing, none
    when enlarging."""
    return np.maximum(0, (np.linalg.norm(to_voxel[:3, :3], axis=1) - 1) / 2)


def _at_an_angle(values: np.ndarray, to_voxel: np.ndarray, shape, nearest: bool) -> np.ndarray:
    """(x, y, z) on a grid of any orientation."""
    if not nearest:
        values = ndimage.gaussian_filter(values, _blur(to_voxel), mode="nearest")
    return ndimage.affine_transform(
        values, to_voxel[:3, :3], to_voxel[:3, 3], shape, order=0 if nearest else 1, mode="nearest"
    )


def _axis_weights(to_voxel: np.ndarray, shape, size) -> list[np.ndarray] | None:
    """For a grid whose axes are parallel to the volume's: of each axis the weights (new, old) with which
    blur and linear interpolation in one make the new values of the old; None for another grid.

    The three-dimensional operation is their product, so that three matrix products do it.
    """
    matrix = to_voxel[:3, :3]
    turned = np.abs(matrix - np.diag(np.diag(matrix))) * np.array(shape)  # voxels, at the far end
    if turned.max() > PARALLEL:
        return None
    weights = []
    for axis, sigma in enumerate(_blur(to_voxel)):
        places = matrix[axis, axis] * np.arange(shape[axis]) + to_voxel[axis, 3]
        places = np.clip(places, 0, size[axis] - 1)
        lower = np.minimum(places.astype(int), max(0, size[axis] - 2))
        share = places - lower
        linear = np.zeros((shape[axis], size[axis]))
        np.add.at(linear, (np.arange(shape[axis]), lower), 1 - share)
        np.add.at(linear, (np.arange(shape[axis]), np.minimum(lower + 1, size[axis] - 1)), share)
        if sigma:
            blur = ndimage.gaussian_filter1d(np.eye(size[axis]), sigma, axis=0, mode="nearest")
            linear = linear @ blur
        weights.append(linear.astype(np.float32))
    return weights


def _along_axes(values: np.ndarray, weights: list[np.ndarray]) -> np.ndarray:
    """(x, y, z) -> the new grid, the axes that shrink first.

    Voxels among zeros stay exactly 0: with that value lies what is outside a mask. Where there is no 0,
    what has the value of the first voxel, mostly background, keeps it exactly.
    """
    first = values[0, 0, 0] if values.all() else np.float32(0)
    values = np.ascontiguousarray(values - first)
    for axis in np.argsort([len(one) / one.shape[1] for one in weights]):
        own = weights[axis]  # (new, old)
        if axis == 0:
            values = (own @ values.reshape(len(values), -1)).reshape(len(own), *values.shape[1:])
        else:
            values = np.matmul(own, values) if axis == 1 else np.matmul(values, own.T)
    values += first
    return values


def _outside(to_voxel: np.ndarray, shape, size) -> np.ndarray:
    """Which voxels of a grid have their centre outside a volume of `size`: `shape` bool, read-only."""
    outside = np.zeros((1, 1, 1), bool)
    for axis, length in enumerate(size):
        x, y, z = (to_voxel[axis, along] * np.arange(shape[along]) for along in range(3))
        ends = to_voxel[axis, 3] + sum(np.sort(step[[0, -1]]) for step in (x, y, z))  # lowest, highest
        if ends[0] < -FACE or ends[1] > length - 1 + FACE:
            steps = (x[:, None, None], y[:, None], z)  # those of axes that turn nothing are all 0
            index = to_voxel[axis, 3] + sum(step for step in steps if step.any())  # (x, y, z), or 1
            index = np.broadcast_to(index, np.broadcast_shapes(np.shape(index), (1, 1, 1)))
            outside = outside | (index < -FACE) | (index > length - 1 + FACE)
    return np.broadcast_to(outside, tuple(int(length) for length in shape))
