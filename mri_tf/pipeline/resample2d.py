"""Resamples images by a transform, bilinear or nearest, compiled by XLA into one loop.

TensorFlow's own image operation takes two to four times as long (benchmarks/augment2d.py).
"""

import tensorflow as tf

from mri_tf.pipeline.augment_ops import between, is_outside, nearest, neighbours


@tf.function(jit_compile=True)
def resample_linear(
    images: tf.Tensor, transforms: tf.Tensor, displacement: tf.Tensor | None = None,
    fill: tf.Tensor | None = None,
) -> tf.Tensor:  # fmt: skip
    """Bilinear: float32 (batch, rows, columns, channels) -> the same shape.

    transforms (batch, 8) lead from a pixel of the result to a place in the source, (column, row, 1), by
    the first two rows of a matrix; the last two numbers are 0. A place outside takes the nearest border
    pixel, or `fill` (batch, channels). `displacement` (batch, rows, columns, 2), along rows and columns,
    in pixels, is added to the places in the source.
    """
    pixels = _flat(images)
    places = _places(images, transforms, displacement)
    (left, right, to_right), (upper, lower, to_lower) = (neighbours(*axis) for axis in places)

    def along_columns(row):
        return between(_read(pixels, images, row, left), _read(pixels, images, row, right), to_right)

    result = between(along_columns(upper), along_columns(lower), to_lower)
    if fill is not None:
        result = tf.where(is_outside(places)[..., None], fill[:, None, None, :], result)
    return tf.ensure_shape(result, images.shape)


@tf.function(jit_compile=True)
def resample_nearest(
    images: tf.Tensor, transforms: tf.Tensor, displacement: tf.Tensor | None = None,
    empty_outside: bool = False,
) -> tf.Tensor:  # fmt: skip
    """The nearest pixel's value: (batch, rows, columns, channels) of any dtype -> the same.

    Transforms and displacement are those of `resample_linear`. A place outside takes the nearest border
    pixel, or 0 with `empty_outside`.
    """
    places = _places(images, transforms, displacement)
    column, row = (nearest(*axis) for axis in places)
    result = _read(_flat(images), images, row, column)
    if empty_outside:
        result = tf.where(is_outside(places)[..., None], tf.zeros_like(result), result)
    return tf.ensure_shape(result, images.shape)


def _flat(images: tf.Tensor) -> tf.Tensor:
    return tf.reshape(images, (tf.shape(images)[0], -1, images.shape[-1]))  # (batch, pixels, channels)


def _places(
    images: tf.Tensor, transforms: tf.Tensor, displacement: tf.Tensor | None
) -> list[tuple[tf.Tensor, int]]:
    """Columns and rows in the source, float (batch, rows, columns), each with the axis' length."""
    height, width = images.shape[1:3]
    column = tf.range(width, dtype=tf.float32)[None, None, :]
    row = tf.range(height, dtype=tf.float32)[None, :, None]
    entry = transforms[:, :, None, None]  # (batch, 8, 1, 1)
    places = []
    for first, length in ((0, width), (3, height)):
        place = entry[:, first] * column + entry[:, first + 1] * row + entry[:, first + 2]
        if displacement is not None:
            place += displacement[..., 0 if first else 1]
        places.append((place, length))
    return places


def _read(pixels: tf.Tensor, images: tf.Tensor, row: tf.Tensor, column: tf.Tensor) -> tf.Tensor:
    return tf.gather(pixels, row * images.shape[2] + column, batch_dims=1)
