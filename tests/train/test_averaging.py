"""Averaged weights: the closed form, BatchNorm's statistics, and a training that is left as it is."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from mri_tf.train.averaging import AverageWeights, BatchStatistics

DECAY = 0.5
IMAGES = np.random.default_rng(0).normal(size=(24, 6)).astype(np.float32)
LABELS = (IMAGES[:, 0] > 0).astype(np.int64)


def _model(seed: int = 0, dropout: float = 0.0) -> keras.Model:
    keras.utils.set_random_seed(seed)
    image = keras.Input((6,))
    x = layers.Dense(5, name="hidden")(image)
    x = layers.BatchNormalization(momentum=0.9, name="norm")(x)
    x = layers.Dropout(dropout)(layers.Activation("relu")(x))
    model = keras.Model(image, layers.Dense(2, activation="softmax", name="answer")(x))
    model.compile(keras.optimizers.SGD(0.5), loss="sparse_categorical_crossentropy")
    model.optimizer.build(model.trainable_variables)
    return model


def _batches() -> tf.data.Dataset:
    return tf.data.Dataset.from_tensor_slices((IMAGES, LABELS, np.ones(24, np.float32))).batch(8)


class _Remember(keras.callbacks.Callback):
    def __init__(self):
        super().__init__()
        self.weights = []

    def on_train_batch_end(self, batch, logs=None):
        self.weights.append([np.array(one) for one in self.model.trainable_variables])


def _fit(model, *callbacks) -> None:
    model.fit(_batches(), validation_data=_batches(), epochs=3, verbose=0, callbacks=list(callbacks))


@pytest.fixture(scope="module")
def fitted():
    """(model after 9 steps, its averaging, first weights, weights after each step)."""
    model, remember = _model(), _Remember()
    first = [np.array(one) for one in model.trainable_variables]
    averaging = AverageWeights(model, list(model.variables), DECAY, _batches())
    _fit(model, averaging, remember)
    return model, averaging, first, remember.weights


def test_the_average_is_the_recursion_of_its_definition(fitted):
    _, averaging, expected, steps = fitted
    for step, weights in enumerate(steps):
        decay = min(DECAY, (1 + step) / (10 + step))
        expected = [decay * a + (1 - decay) * w for a, w in zip(expected, weights, strict=True)]
    for average, value in zip(averaging.variables, expected, strict=False):
        np.testing.assert_allclose(average, value, rtol=1e-5, atol=1e-6)


def test_kept_are_the_average_and_the_statistics_that_belong_to_it(fitted):
    model, averaging, *_ = fitted
    kept = _model()
    kept.set_weights(averaging.kept_weights)
    for variable, average in zip(kept.trainable_variables, averaging.variables, strict=False):
        np.testing.assert_array_equal(variable, average)
    hidden = keras.Model(kept.inputs, kept.get_layer("hidden").output)(IMAGES).numpy()
    batches = hidden.reshape(3, 8, 5)
    norm = kept.get_layer("norm")
    np.testing.assert_allclose(norm.moving_mean, batches.mean(axis=1).mean(axis=0), rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(norm.moving_variance, batches.var(axis=1).mean(axis=0), rtol=1e-4)
    assert not np.allclose(norm.moving_mean, model.get_layer("norm").moving_mean, rtol=1e-3)


def test_a_training_has_the_weights_that_it_has_without_an_average():
    plain, averaged = _model(dropout=0.3), _model(dropout=0.3)
    keras.utils.set_random_seed(1)
    _fit(plain)
    keras.utils.set_random_seed(1)
    _fit(averaged, AverageWeights(averaged, list(averaged.variables), 0.99, _batches()))
    for one, other in zip(plain.get_weights(), averaged.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_frozen_batch_norm_keeps_its_statistics():
    model = _model()
    model.get_layer("norm").trainable = False
    before = np.array(model.get_layer("norm").moving_mean)
    BatchStatistics(model, _batches()).measure()
    np.testing.assert_array_equal(model.get_layer("norm").moving_mean, before)
