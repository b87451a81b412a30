"""What 2D and 3D augmentation share: random numbers from the seed of a record, and interpolation."""

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


def other_seeds(seeds: tf.Tensor, number: int) -> tf.Tensor:
    """Seeds (batch, 2) of the same records for random numbers of another kind, int64.

    Each kind has a number of its own, which keeps it apart: the seeds of trainings are below 2 ** 32.
    """
    return tf.cast(seeds, tf.int64) + tf.constant([number << 32, 0], tf.int64)


def neighbours(place: tf.Tensor, length: int) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """The pixels or voxels before and after a place on one axis, and how far it lies between them.

    Args:
        place: (batch, ...) float; outside 0 to `length` - 1 it is the nearest of these.
        length: of the axis.

    Returns:
        Two int32 positions (batch, ...), and the share (batch, ..., 1).
    """
    place = tf.clip_by_value(place, 0.0, length - 1.0)
    before = tf.floor(place)
    share = (place - before)[..., None]
    before = tf.cast(before, tf.int32)
    return before, tf.minimum(before + 1, length - 1), share


def nearest(place: tf.Tensor, length: int) -> tf.Tensor:
    """The nearest pixel or voxel to a place on one axis of this length, int32."""
    return tf.cast(tf.floor(tf.clip_by_value(place, 0.0, length - 1.0) + 0.5), tf.int32)


def is_outside(places: list[tuple[tf.Tensor, int]]) -> tf.Tensor:
    """Whether places lie more than half a pixel or voxel outside the grid: (batch, ...) bool.

    Args:
        places: along each axis, with the length of the axis.
    """
    beyond = [(place < -0.5) | (place > length - 0.5) for place, length in places]
    return tf.reduce_any(tf.stack(beyond), axis=0)


def between(before: tf.Tensor, after: tf.Tensor, share: tf.Tensor) -> tf.Tensor:
    """The linear interpolation; exact where both values are equal, or the share is 0."""
    return before + (after - before) * share
