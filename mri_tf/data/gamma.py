"""Gamma on intensities scaled to [0, 1], compiled by XLA into one loop."""

import tensorflow as tf


@tf.function(jit_compile=True)
def apply_gamma(
    images: tf.Tensor, exponent: tf.Tensor, value_range: tuple[float, float] | None = None
) -> tf.Tensor:
    """float32 (batch, ..., channels), exponents (batch,): ((x - low) / (high - low)) ** exponent.

    low and high are the least and greatest value of each record and channel, or `value_range`;
    the result is scaled back to them. Values beyond stay; an exponent of 1 is exact.
    """
    if value_range is None:
        grid = list(range(1, images.shape.rank - 1))
        low = tf.reduce_min(images, axis=grid, keepdims=True)  # (batch, 1, ..., 1, channels)
        high = tf.reduce_max(images, axis=grid, keepdims=True)
    else:
        low, high = (tf.constant(end, images.dtype) for end in value_range)
    power = tf.reshape(exponent, (-1, *[1] * (images.shape.rank - 1)))
    inside = tf.clip_by_value(images, low, high)
    unit = tf.math.divide_no_nan(inside - low, high - low)
    # TensorFlow's pow costs several times exp and log; log(0) is -inf, whose exp is 0.
    bent = tf.exp(power * tf.math.log(unit)) * (high - low) + low
    return tf.where(tf.logical_or(power == 1, images != inside), images, bent)
