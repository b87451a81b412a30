"""The fused BatchNorm against Keras' layer: outputs, gradients, moving statistics, saved weights."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from needs import BFLOAT16

from mri_tf.models.batch_norm import BatchNormalization

SHAPES = {"dense": (6, 5), "slices": (3, 8, 6, 5), "volumes": (2, 4, 6, 8, 5)}
PAIRS = {"scale": dict(scale=False), "center": dict(center=False), "both": {}}
every_shape = pytest.mark.parametrize("shape", SHAPES.values(), ids=list(SHAPES))


def _layer(kind, shape, dtype="float32", **values):
    """A layer with weights that are not those of a new one."""
    layer = kind(momentum=0.9, epsilon=1e-5, dtype=dtype, **values)
    layer.build((None, *shape[1:]))
    rng = np.random.default_rng(1)
    layer.set_weights([rng.uniform(0.5, 1.5, weight.shape) for weight in layer.weights])
    return layer


def _batch(shape, dtype="float32"):
    return tf.constant(np.random.default_rng(0).normal(3, 2, shape), dtype)


def _step(layer, x):
    """Output, gradients of a weighted sum of it by input and weights, moving statistics."""
    weight = tf.constant(np.random.default_rng(2).normal(size=x.shape), x.dtype)

    @tf.function
    def step(x):
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = layer(x, training=True)
            loss = tf.reduce_sum(tf.cast(y, weight.dtype) * weight)
        return y, tape.gradient(loss, [x, *(one.value for one in layer.trainable_variables)])

    y, gradients = step(x)
    moving = [np.array(one) for one in layer.non_trainable_variables]
    return y.numpy(), [one.numpy() for one in gradients], moving


def _operations(layer, x) -> set[str]:
    graph = tf.function(lambda x: layer(x, training=True)).get_concrete_function(x).graph
    return {operation.type for operation in graph.get_operations()}


@every_shape
@pytest.mark.parametrize("values", PAIRS.values(), ids=list(PAIRS))
def test_a_training_step_has_the_numbers_of_keras_in_float64(shape, values):
    ours, keras_own = _layer(BatchNormalization, shape, **values), _layer(
        keras.layers.BatchNormalization, shape, "float64", **values
    )  # fmt: skip
    assert "FusedBatchNormV3" in _operations(_layer(BatchNormalization, shape, **values), _batch(shape))
    y, gradients, moving = _step(ours, _batch(shape))
    wanted_y, wanted_gradients, wanted_moving = _step(keras_own, _batch(shape, "float64"))
    np.testing.assert_allclose(y, wanted_y, rtol=1e-4, atol=1e-5)
    for one, wanted in zip(gradients, wanted_gradients, strict=True):
        assert np.abs(one - wanted).max() <= 1e-4 * np.abs(wanted).max()
    for one, wanted in zip(moving, wanted_moving, strict=True):
        np.testing.assert_allclose(one, wanted, rtol=1e-5)


@every_shape
def test_in_inference_and_where_it_is_frozen_it_is_keras_layer(shape):
    for frozen in (False, True):
        ours, other = _layer(BatchNormalization, shape), _layer(keras.layers.BatchNormalization, shape)
        ours.trainable = other.trainable = not frozen
        y, wanted = (layer(_batch(shape), training=frozen) for layer in (ours, other))
        np.testing.assert_array_equal(y, wanted)
        np.testing.assert_array_equal(ours.moving_mean, other.moving_mean)


@pytest.mark.parametrize("shape", [(1, 5), (1, 1, 1, 5), (1, 1, 1, 1, 5)])
def test_a_channel_with_one_value_has_variance_nought(shape):
    layer = _layer(BatchNormalization, shape)
    before = np.array(layer.moving_variance)
    y = layer(_batch(shape), training=True)
    np.testing.assert_allclose(np.reshape(y, -1), layer.beta, atol=1e-5)
    np.testing.assert_allclose(layer.moving_variance, 0.9 * before, rtol=1e-6)


@BFLOAT16
@every_shape
def test_in_mixed_precision_the_statistics_are_those_of_float32(shape):
    ours = _layer(BatchNormalization, shape, "mixed_bfloat16")
    plain = _layer(keras.layers.BatchNormalization, shape)
    x = tf.cast(_batch(shape), tf.bfloat16)
    y = ours(x, training=True)
    wanted = plain(tf.cast(x, tf.float32), training=True)
    assert y.dtype == tf.bfloat16
    np.testing.assert_allclose(tf.cast(y, tf.float32), wanted, rtol=1e-2, atol=1e-2)
    for one, other in zip(ours.non_trainable_variables, plain.non_trainable_variables, strict=True):
        assert one.dtype == "float32"
        np.testing.assert_allclose(one, other, rtol=1e-5)


def test_float64_masks_and_other_axes_take_keras_own_way():
    x = _batch((2, 4, 4, 5))
    for layer, values in (
        (_layer(BatchNormalization, x.shape, "float64"), tf.cast(x, tf.float64)),
        (_layer(BatchNormalization, x.shape, axis=1), x),
    ):
        assert "FusedBatchNormV3" not in _operations(layer, values)


def test_weights_of_networks_with_keras_layer_can_be_loaded(tmp_path):
    def network(kind):
        image = keras.Input((4, 4, 3))
        x = kind(name="a_bn")(keras.layers.Conv2D(2, 3, name="a")(image))
        return keras.Model(image, kind(name="b_bn")(x))

    ours, plain = network(BatchNormalization), network(keras.layers.BatchNormalization)
    plain.set_weights([np.full(weight.shape, k + 1.0) for k, weight in enumerate(plain.weights)])
    plain.save_weights(tmp_path / "plain.weights.h5")
    ours.load_weights(tmp_path / "plain.weights.h5")
    for one, other in zip(ours.weights, plain.weights, strict=True):
        np.testing.assert_array_equal(one, other)
    ours.save_weights(tmp_path / "ours.weights.h5")
    plain.load_weights(tmp_path / "ours.weights.h5")
