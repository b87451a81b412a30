"""Resamples 2D slices around the tumour to one pixel size in mm, whatever their own spacing.

One TensorFlow function of a batch for training, evaluation and the served model. The wanted spacing
is the median over the training side's cases, fitted when a training starts (recipe B: 0.54 mm, and
4 mm from slice to slice). Each slice is cut to the box of its own mask with a margin in mm, as the
recipe crops; what lies outside the box is the case's mean, which a z-score takes to 0.
"""

import numpy as np
import tensorflow as tf


def fit_spacing(spacings_mm: np.ndarray) -> dict:
    """Medians over cases of spacings (cases, 3: from slice to slice, rows, columns).

    `pixel_mm` is that of the geometric mean of a case's rows and columns: the network's pixels are
    square, so that turning a slice keeps its shape.
    """
    pixels = np.sqrt(spacings_mm[:, 1] * spacings_mm[:, 2])
    return {"pixel_mm": float(np.median(pixels)), "slice_mm": float(np.median(spacings_mm[:, 0]))}


def spaced_slices(
    images: tf.Tensor, masks: tf.Tensor, spacing_mm: tf.Tensor, beyond: tf.Tensor,
    pixel_mm: float, grid: tuple[int, int], margin_mm: float,
) -> tf.Tensor:  # fmt: skip
    """(n, rows, columns, channels) -> float32 (n, *grid, channels) of square pixels of `pixel_mm`.

    masks (n, rows, columns), not 0 in the tumour; spacing_mm (n, 2) of rows and columns; beyond
    (n, channels): the value outside the mask's box and its margin. The middle of the box becomes the
    grid's; an empty mask is one of the whole slice. Linear, and an average where pixels grow.
    """
    images = tf.cast(images, tf.float32)
    weights, inside = [], []
    for axis in range(2):
        low, high = _extent(masks, axis)  # (n,) pixels
        own = spacing_mm[:, axis]
        half_mm = (high - low + 1) / 2 * own + margin_mm
        from_middle = tf.range(grid[axis], dtype=tf.float32) - (grid[axis] - 1) / 2
        places = ((low + high) / 2)[:, None] + from_middle * (pixel_mm / own)[:, None]  # (n, grid)
        found, covered = _weights(places, pixel_mm / own, tf.shape(images)[1 + axis])
        weights.append(found)
        inside.append(covered & (tf.abs(from_middle) * pixel_mm <= half_mm[:, None]))
    resized = tf.einsum("nkr,nrcx->nkcx", weights[0], images)
    resized = tf.einsum("nmc,nkcx->nkmx", weights[1], resized)
    kept = inside[0][:, :, None, None] & inside[1][:, None, :, None]
    result = tf.where(kept, resized, beyond[:, None, None, :])
    return tf.ensure_shape(result, (None, *grid, images.shape[-1]))


def _extent(masks: tf.Tensor, axis: int) -> tuple[tf.Tensor, tf.Tensor]:
    """First and last index of a mask along rows (0) or columns (1), (n,) float32; all if empty."""
    filled = tf.reduce_any(tf.not_equal(masks, 0), axis=2 - axis)  # (n, size)
    size = tf.shape(filled)[1]
    first = tf.argmax(tf.cast(filled, tf.int32), axis=1, output_type=tf.int32)
    last = size - 1 - tf.argmax(tf.cast(filled[:, ::-1], tf.int32), axis=1, output_type=tf.int32)
    return tf.cast(first, tf.float32), tf.cast(last, tf.float32)


def _weights(places: tf.Tensor, step: tf.Tensor, size: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """(n, grid, size) how much each pixel counts in each of the result, and (n, grid) which lie in it.

    A triangle as wide as the larger of the two pixels, cut off at the slice's border.
    """
    index = tf.range(size, dtype=tf.float32)
    width = tf.maximum(step, 1.0)[:, None, None]
    weights = tf.maximum(0.0, 1.0 - tf.abs(index - places[..., None]) / width)
    total = tf.reduce_sum(weights, axis=-1, keepdims=True)
    covered = (places >= -0.5) & (places <= tf.cast(size, tf.float32) - 0.5)
    return tf.math.divide_no_nan(weights, total), covered
