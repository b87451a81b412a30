"""What 2D and 3D augmentation share: random numbers from the seed of a record, gamma, interpolation."""

import tensorflow as tf


def record_uniforms(seeds: tf.Tensor, count: int) -> tf.Tensor:
    """Seeds (batch, 2) -> `count` numbers in [0, 1) a record, (batch, count).

    Not inside what XLA compiles (jit_compile=True): its Philox gives other numbers than TensorFlow's.
    """
    return tf.map_fn(
        lambda seed: tf.random.stateless_uniform([count], seed, alg="philox"),
        seeds,
        fn_output_signature=tf.TensorSpec([count], tf.float32),
    )


@tf.function(jit_compile=True)
def apply_gamma(
    images: tf.Tensor, exponent: tf.Tensor, value_range: tuple[float, float] | None = None,
    keep_zero: bool = False,
) -> tf.Tensor:  # fmt: skip
    """float32 (batch, ..., channels), exponents (batch,): ((x - low) / (high - low)) ** exponent.

    low and high are the least and greatest value of each record and channel, or `value_range`;
    the result is scaled back to them. Values beyond stay, with `keep_zero` also what is exactly 0 (the
    outside of standardised records); an exponent of 1 is exact.
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
    unchanged = tf.logical_or(power == 1, images != inside)
    if keep_zero:
        unchanged = tf.logical_or(unchanged, images == 0)
    return tf.where(unchanged, images, bent)


def neighbours(place: tf.Tensor, length: int) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """The pixels or voxels before and after a place on one axis, and how far it lies between them.

    Args:
        place: (batch, ...) float, from 0 to `length` - 1.
        length: of the axis.

    Returns:
        Two int32 positions (batch, ...), and the share (batch, ..., 1).
    """
    before = tf.floor(place)
    share = (place - before)[..., None]
    before = tf.cast(before, tf.int32)
    return before, tf.minimum(before + 1, length - 1), share


def between(before: tf.Tensor, after: tf.Tensor, share: tf.Tensor) -> tf.Tensor:
    """The linear interpolation; exact where both values are equal, or the share is 0."""
    return before + (after - before) * share
