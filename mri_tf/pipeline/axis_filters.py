"""Blur, thick slices and ghosts of images and volumes: each is a matrix along an axis.

What is done along one axis is multiplied into a single matrix a record, (batch, length, length), so that
every axis is passed once whatever was drawn, and a record that keeps an axis has the identity there.
"""

import math

import numpy as np
import tensorflow as tf

KEPT_CENTRE = 0.02  # of the lines of k-space on either side of the centre, which ghosts leave alone


def blur_matrices(sd: tf.Tensor, length: int) -> tf.Tensor:
    """A Gaussian blur whose border repeats itself, as scipy.ndimage's with mode "nearest".

    Args:
        sd: (batch,) in voxels; 0 blurs nothing.
        length: of the axis, in voxels.

    Returns:
        (batch, length, length).
    """
    place = tf.range(length, dtype=tf.float32)
    beyond = tf.range(-length, 2 * length, dtype=tf.float32)  # the axis and as much on both sides
    apart = beyond[None, None, :] - place[None, :, None]  # (1, length, 3 length)
    width = tf.maximum(sd, 1e-3)[:, None, None]
    weights = tf.exp(-0.5 * (apart / width) ** 2)
    weights /= tf.reduce_sum(weights, axis=-1, keepdims=True)
    before, inside, after = tf.split(weights, 3, axis=-1)
    ends = tf.one_hot([0, length - 1], length)  # what lies outside counts for the first and last voxel
    outside = tf.stack([tf.reduce_sum(before, -1), tf.reduce_sum(after, -1)], axis=-1)
    return inside + tf.matmul(outside, ends)


def thick_slice_matrices(factor: tf.Tensor, length: int) -> tf.Tensor:
    """Slices `factor` voxels thick, each the mean of what it covers, and linear interpolation between
    their centres, as a coarser scan looks on the grid of a finer one.

    Args:
        factor: (batch,) 1 or more; 1 changes nothing.
        length: of the axis, in voxels.

    Returns:
        (batch, length, length).
    """
    place = tf.range(length, dtype=tf.float32)
    thick = tf.maximum(factor, 1.0)[:, None]  # (batch, 1)
    middle = length // 2  # a slice lies on this voxel, the others beside it
    first, last = -tf.floor(middle / thick), tf.floor((length - 1 - middle) / thick)
    number = tf.clip_by_value((place - middle) / thick, first, last)  # (batch, length)
    below = tf.floor(number)
    share = (number - below)[..., None]

    def covered(slice_number: tf.Tensor) -> tf.Tensor:
        centre = (slice_number * thick + middle)[..., None]  # (batch, length, 1)
        apart = tf.abs(place - centre)
        part = tf.clip_by_value((thick[..., None] + 1) / 2 - apart, 0.0, 1.0)  # of each voxel
        return part / tf.reduce_sum(part, axis=-1, keepdims=True)

    above = tf.minimum(below + 1, last)
    return (1 - share) * covered(below) + share * covered(above)


def ghost_matrices(ghosts: tf.Tensor, intensity: tf.Tensor, length: int) -> tf.Tensor:
    """Fainter copies along the phase-encoding axis: every `ghosts`-th line of k-space is weakened.

    Args:
        ghosts: (batch,) int32, how many copies appear along the axis; 2 or more.
        intensity: (batch,) by how much the lines are weakened: 0 changes nothing.
        length: of the axis, in voxels.

    Returns:
        (batch, length, length).
    """
    frequency = np.fft.fftfreq(length, 1 / length).round().astype(np.int32)
    is_centre = np.abs(frequency) <= KEPT_CENTRE * length
    weakened = (tf.abs(frequency)[None] % ghosts[:, None] == 0) & ~is_centre  # (batch, length)
    kept = 1 - intensity[:, None] * tf.cast(weakened, tf.float32)
    apart = np.arange(length)
    waves = np.cos(2 * np.pi * np.outer(frequency, apart) / length).astype(np.float32)
    answer = tf.matmul(kept, waves) / length  # (batch, length): what one voxel becomes
    matrices = tf.gather(answer, (apart[:, None] - apart[None, :]) % length, axis=1)
    return tf.where(intensity[:, None, None] == 0, tf.eye(length), matrices)  # exact, not rounded


def apply_along(images: tf.Tensor, matrices: tf.Tensor, axis: int) -> tf.Tensor:
    """Multiplies every line of an axis by the record's matrix.

    Args:
        images: float32 (batch, [depth,] rows, columns, channels).
        matrices: (batch, length, length).
        axis: of the grid: 0 for depth, or for the rows of images.

    Returns:
        The shape of `images`.
    """
    before, length, *after = math.prod(images.shape[1 : 1 + axis]), *images.shape[1 + axis :]
    if len(after) > 1:  # what lies behind the axis is long: a product that moves nothing is faster
        lines = tf.reshape(images, (-1, before, length, math.prod(after)))
        changed = tf.reshape(tf.matmul(matrices[:, None], lines), tf.shape(images))
    else:
        lines = tf.reshape(images, (-1, before, length, *after))
        changed = tf.reshape(tf.einsum("bzc,brcd->brzd", matrices, lines), tf.shape(images))
    return tf.ensure_shape(changed, images.shape)
