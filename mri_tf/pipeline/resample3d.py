"""Resamples volumes by a matrix, trilinear or nearest, compiled by XLA into one loop.

As separate TensorFlow ops the eight gathers cost some five times as much (benchmarks/augment3d.py).
"""

import tensorflow as tf

from mri_tf.pipeline.augment_ops import between, is_outside, nearest, neighbours


@tf.function(jit_compile=True)
def resample_linear(
    volumes: tf.Tensor, matrix: tf.Tensor, displacement: tf.Tensor | None = None,
    fill: tf.Tensor | None = None,
) -> tf.Tensor:  # fmt: skip
    """Trilinear: float32 (batch, depth, rows, columns, channels) -> the same shape.

    matrix (batch, 4, 4) leads from a voxel of the result to a place in the source, both (depth,
    row, column, 1) counted from the grid's centre. A place outside takes the nearest border voxel, or
    `fill` (batch, channels). `displacement` (batch, depth, rows, columns, 3) in voxels is added to the
    places in the source.
    """
    shape = tf.shape(volumes)
    voxels = tf.reshape(volumes, (shape[0], -1, volumes.shape[-1]))  # (batch, voxels, channels)
    places = _places(volumes.shape[1:4], matrix, displacement)
    axes = [neighbours(*axis) for axis in places]

    def along_columns(depth, row):
        below, above, share = axes[2]
        return between(_read(voxels, shape, depth, row, below),
                        _read(voxels, shape, depth, row, above), share)  # fmt: skip

    def in_plane(depth):
        below, above, share = axes[1]
        return between(along_columns(depth, below), along_columns(depth, above), share)

    below, above, share = axes[0]
    result = between(in_plane(below), in_plane(above), share)
    if fill is not None:
        result = tf.where(is_outside(places)[..., None], fill[:, None, None, None, :], result)
    return tf.ensure_shape(result, volumes.shape)


@tf.function(jit_compile=True)
def resample_nearest(
    labels: tf.Tensor, matrix: tf.Tensor, displacement: tf.Tensor | None = None,
    empty_outside: bool = False,
) -> tf.Tensor:  # fmt: skip
    """The nearest voxel's label: (batch, depth, rows, columns) of any dtype -> the same.

    Matrix and displacement are those of `resample_linear`. A place outside takes the nearest border
    voxel, or 0 with `empty_outside`.
    """
    shape = tf.shape(labels)
    voxels = tf.reshape(labels, (shape[0], -1))  # (batch, voxels)
    places = _places(labels.shape[1:4], matrix, displacement)
    result = _read(voxels, shape, *(nearest(*axis) for axis in places))
    if empty_outside:
        result = tf.where(is_outside(places), tf.zeros_like(result), result)
    return tf.ensure_shape(result, labels.shape)


def _places(
    size: tuple[int, int, int], matrix: tf.Tensor, displacement: tf.Tensor | None
) -> list[tuple[tf.Tensor, int]]:
    """Of each axis the place in the source, float (batch, depth, rows, columns), and its length."""
    grid = [tf.range(length, dtype=tf.float32) - (length - 1) / 2 for length in size]
    depth, row, column = (
        tf.reshape(line, shape)
        for line, shape in zip(grid, [(1, -1, 1, 1), (1, 1, -1, 1), (1, 1, 1, -1)], strict=True)
    )
    entry = matrix[:, :, :, None, None, None]  # (batch, 4, 4, 1, 1, 1)
    places = []
    for axis, length in enumerate(size):
        own = entry[:, axis]
        place = own[:, 0] * depth + own[:, 1] * row + own[:, 2] * column + own[:, 3]
        if displacement is not None:
            place += displacement[..., axis]
        places.append((place + (length - 1) / 2, length))
    return places


def _read(voxels: tf.Tensor, shape: tf.Tensor, depth, row, column) -> tf.Tensor:
    number = (depth * shape[2] + row) * shape[3] + column
    return tf.gather(voxels, number, batch_dims=1)
