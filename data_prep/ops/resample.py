"""A Volume on other voxels: a spacing, another volume's grid, or a task's grid; world positions stay.

Inside the volume, which ends at the outer faces of its voxels, linear interpolation (nearest for
label maps); up to half a voxel beyond the outermost centres the nearest of them; outside it `fill`.
ITK's resampling draws the same border.
"""

import dataclasses

import numpy as np
from scipy import ndimage

from data_prep.case import Unreadable
from data_prep.volume import Volume, in_ras

MAX_VOXELS = 2**29  # 2 GB of float32; a spacing that asks for more was not in mm
FACE = 0.5 + 1e-6  # voxels from a centre to its face, and rounding


def resample_to_spacing(
    volume: Volume, spacing_mm: tuple[float, float, float], nearest: bool = False
) -> Volume:
    """The same extent in voxels of another size; the axes keep their directions, oblique or sheared.

    The number of voxels is rounded and the grid centred, so each outer face moves by at most a
    quarter of a new voxel (by half of one along an axis shorter than a new voxel). Images become
    float32, with a blur against aliasing where voxels grow; label maps (`nearest`) keep their
    dtype. (x, y, z) or (x, y, z, channels). Raises Unreadable for more than 2**29 voxels.
    """
    if len(spacing_mm) != 3 or not min(spacing_mm) > 0:
        raise ValueError(f"three positive lengths in mm, not {spacing_mm}")
    step = np.array(spacing_mm) / volume.spacing_mm  # in old voxels
    size = np.array(volume.array.shape[:3])
    shape = np.maximum(1, np.floor(size / step + 0.5))
    to_voxel = np.eye(4)
    to_voxel[:3, :3] = np.diag(step)
    to_voxel[:3, 3] = (size - 1) / 2 - step * (shape - 1) / 2
    return _resample(volume, shape, volume.affine @ to_voxel, nearest, 0.0)


def resample_like(
    volume: Volume, reference: Volume, nearest: bool = False, fill: float = 0.0
) -> Volume:
    """Onto the grid of another volume, whatever the angle between them; the facts stay its own."""
    return _resample(volume, reference.array.shape[:3], reference.affine, nearest, fill)


def covered_share(volume: Volume, reference: Volume) -> float:
    """Share of the reference's voxels that lie inside the volume: 0 where they do not meet."""
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
    """The whole volume on a grid (depth, rows, columns): the array, (4, 4) affine.

    The array is (depth, rows, columns) or (depth, rows, columns, channels), head first, front
    first, patient's right first. With `keep_aspect` its voxels are cubes, as small as lets the
    whole volume in, the volume centred and `fill` around it; without, each axis is stretched to
    fill its side. The affine takes (column, row, depth) of the array to RAS millimetres.
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
    """The way back: what lies on a grid (a map, a predicted mask) as a Volume in RAS."""
    return in_ras(np.moveaxis(array, (0, 2), (2, 0)), affine)


def _resample(volume: Volume, shape, affine: np.ndarray, nearest: bool, fill: float) -> Volume:
    """On the grid of `shape` whose indices `affine` takes to RAS millimetres."""
    if np.prod(np.array(shape, dtype=np.float64)) > MAX_VOXELS:
        raise Unreadable(
            f"resampled it would have {'x'.join(f'{length:.0f}' for length in shape)} voxels: "
            "its header gives lengths in mm that no patient has"
        )
    shape = tuple(int(length) for length in shape)
    to_voxel = np.linalg.inv(volume.affine) @ affine  # indices of the result -> of the volume
    outside = _outside(to_voxel, shape, volume.array.shape[:3])
    channels = volume.array if volume.array.ndim == 4 else volume.array[..., None]
    dtype = channels.dtype if nearest else np.float32
    result = np.empty((*shape, channels.shape[-1]), dtype)
    for channel in range(channels.shape[-1]):
        values = channels[..., channel].astype(dtype, copy=False)  # (x, y, z)
        if not nearest:
            # A Gaussian of half the excess spacing along each axis: none when enlarging.
            steps = np.linalg.norm(to_voxel[:3, :3], axis=1)
            values = ndimage.gaussian_filter(values, np.maximum(0, (steps - 1) / 2), mode="nearest")
        values = ndimage.affine_transform(
            values, to_voxel[:3, :3], to_voxel[:3, 3], shape, order=0 if nearest else 1, mode="nearest"
        )
        values[outside] = fill
        result[..., channel] = values
    if volume.array.ndim == 3:
        result = result[..., 0]
    return dataclasses.replace(volume, array=result, affine=affine)


def _outside(to_voxel: np.ndarray, shape, size) -> np.ndarray:
    """Which voxels of a grid have their centre outside the volume; (x, y, z) bool, maybe broadcast."""
    outside = np.zeros((1, 1, 1), bool)
    for axis, length in enumerate(size):
        x, y, z = (to_voxel[axis, along] * np.arange(shape[along]) for along in range(3))
        ends = to_voxel[axis, 3] + sum(np.sort(step[[0, -1]]) for step in (x, y, z))  # lowest, highest
        if ends[0] < -FACE or ends[1] > length - 1 + FACE:
            place = to_voxel[axis, 3] + x[:, None, None] + y[:, None] + z
            outside = outside | (place < -FACE) | (place > length - 1 + FACE)
    return np.broadcast_to(outside, tuple(int(length) for length in shape))
