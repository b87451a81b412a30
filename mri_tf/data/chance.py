"""Uniform numbers of a record from its own stateless seed: alike whatever the batch around it."""

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
