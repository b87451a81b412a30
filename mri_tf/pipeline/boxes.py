"""Boxes: the cube around a mask, cut out of a volume and resampled to the network's grid.

One TensorFlow function for training, evaluation and prediction, so that a tumour is cut out alike
wherever it is graded. What lies outside the volume is 0, the background of skull-stripped images.
"""

import tensorflow as tf


def cube_around(mask: tf.Tensor, margin_voxels: int) -> tuple[tf.Tensor, tf.Tensor]:
    """The cube about a mask's box: (3,) centre in voxels and its side, both float32.

    mask (depth, rows, columns), anything but 0 counts. The side is the box's longest one and the
    margin on both ends, so that proportions are kept (recipe E: 10 voxels). Of an empty mask it is
    the cube around the whole grid.
    """
    shape = tf.shape(mask)
    inside = tf.not_equal(mask, 0)
    low, high = [], []
    for axis in range(3):
        others = [other for other in range(3) if other != axis]
        there = tf.where(tf.reduce_any(inside, axis=others))[:, 0]  # (slices with any,)
        last = tf.cast(shape[axis], tf.int64) - 1
        low.append(tf.cond(tf.size(there) > 0, lambda t=there: t[0], lambda: tf.zeros([], tf.int64)))
        high.append(tf.cond(tf.size(there) > 0, lambda t=there: t[-1], lambda end=last: end))
    low, high = tf.cast(tf.stack(low), tf.float32), tf.cast(tf.stack(high), tf.float32)
    margin = tf.where(tf.reduce_any(inside), 2.0 * margin_voxels, 0.0)
    return (low + high) / 2, tf.reduce_max(high - low) + 1 + margin


def resample_cube(
    image: tf.Tensor, centre: tf.Tensor, side: tf.Tensor, grid: tuple[int, int, int]
) -> tf.Tensor:
    """(depth, rows, columns, channels) -> (*grid, channels): a cube of the volume, linearly resampled.

    Voxels of the result that are larger than the volume's average what they cover; a non-cubic
    grid takes the cube's extent along each axis in proportion to its longest axis.
    """
    image = tf.cast(image, tf.float32)
    step = side / max(grid)  # voxels of the volume from one of the result to the next
    weights = [
        _axis_weights(tf.shape(image)[axis], centre[axis], step, grid[axis]) for axis in range(3)
    ]
    # One axis after the other, the volume shrinking on the way.
    image = tf.einsum("kd,drcx->krcx", weights[0], image)
    image = tf.einsum("kr,drcx->dkcx", weights[1], image)
    return tf.einsum("kc,drcx->drkx", weights[2], image)


def _axis_weights(size: tf.Tensor, centre: tf.Tensor, step: tf.Tensor, count: int) -> tf.Tensor:
    """(count, size): how much each voxel of an axis counts in each of the result.

    A triangle as wide as the larger of the two voxels, over voxels outside the volume as well:
    these count as 0, so rows at the border sum to less than 1.
    """
    places = centre + (tf.range(count, dtype=tf.float32) - (count - 1) / 2) * step  # (count,)
    width = tf.maximum(step, 1.0)
    reach = tf.cast(tf.math.ceil(width), tf.int32) + 1
    first = tf.cast(tf.math.floor(tf.reduce_min(places)), tf.int32) - reach
    last = tf.cast(tf.math.ceil(tf.reduce_max(places)), tf.int32) + reach
    # Beyond the volume on both ends, so that the sums know what lies outside.
    index = tf.range(tf.minimum(first, 0), tf.maximum(last + 1, size))
    apart = tf.abs(tf.cast(index, tf.float32)[None, :] - places[:, None])  # (count, index)
    weights = tf.maximum(0.0, 1.0 - apart / width)
    weights = weights / tf.reduce_sum(weights, axis=1, keepdims=True)
    start = -tf.minimum(first, 0)
    return weights[:, start : start + size]
