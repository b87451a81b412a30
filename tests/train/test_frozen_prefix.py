"""A network is cut where its frozen part ends, at the fewest numbers, and computes what it did."""

import keras
import numpy as np
import pytest
from keras import layers

from mri_tf.models.feature_classifier import feature_classifier
from mri_tf.models.mnet import mnet
from mri_tf.train.frozen_prefix import split_at_frozen


def _assert_same_answers(model, prefix, suffix):
    image = np.random.default_rng(0).normal(size=(3, *model.input_shape[1:])).astype(np.float32)
    outputs = prefix(image, training=False)
    np.testing.assert_allclose(suffix(outputs, training=False), model(image, training=False), atol=1e-6)
    assert {id(v) for v in suffix.trainable_variables} == {id(v) for v in model.trainable_variables}


def _answered(image, x) -> keras.Model:
    x = layers.GlobalAveragePooling2D(name="pool")(x)
    return keras.Model(image, layers.Dense(2, activation="softmax", name="answer")(x))


def _names(model):
    return {layer.name for layer in model.layers}


def _block(trained: bool):
    """image -> frozen conv a -> frozen conv b, its shortcut, conv c (trains) -> sum -> dense."""
    image = keras.Input((8, 8, 1), name="image")
    first = layers.Conv2D(4, 3, padding="same", name="a")(image)
    x = layers.Activation("relu", name="a_relu")(first)
    x = layers.Conv2D(2, 3, padding="same", name="b")(x)
    x = layers.Activation("relu", name="b_relu")(x)
    x = layers.Conv2D(4, 3, padding="same", name="c")(x)
    model = _answered(image, layers.Add(name="sum")([x, first]))
    for name in ("a", "b"):
        model.get_layer(name).trainable = trained
    return model


def test_the_features_of_m_net_are_cut_at_each_level_s_own_resolution():
    model = feature_classifier(mnet((64, 64, 1), 5, start_filters=4), 3, dense_units=8)
    prefix, suffix = split_at_frozen(model)
    assert sorted(tensor.shape[1:] for tensor in prefix.outputs) == [
        (4, 4, 64), (8, 8, 32), (16, 16, 16), (32, 32, 4), (32, 32, 8),
    ]  # fmt: skip
    assert "pooled_features" in _names(suffix)  # the wide concatenation is not banked
    _assert_same_answers(model, prefix, suffix)


def test_the_shortcut_of_the_block_that_trains_is_cut_with_its_trunk():
    model = _block(trained=False)
    prefix, suffix = split_at_frozen(model)
    assert sorted(tensor.shape[1:] for tensor in prefix.outputs) == [(8, 8, 2), (8, 8, 4)]
    assert {"c", "sum", "answer"} <= _names(suffix) and not {"a", "b", "b_relu"} & _names(suffix)
    _assert_same_answers(model, prefix, suffix)


def test_a_network_that_begins_with_layers_that_train_has_no_frozen_prefix():
    assert split_at_frozen(_block(trained=True)) is None
    model = _block(trained=False)  # frozen layers behind the first that trains
    model.get_layer("a").trainable = True
    assert split_at_frozen(model) is None


@pytest.mark.parametrize("make", [
    lambda: layers.Dropout(0.5), lambda: layers.GaussianNoise(0.1),
    lambda: layers.BatchNormalization(scale=False, center=False),
])  # fmt: skip
def test_what_changes_from_step_to_step_is_never_banked(make):
    changing = make()
    changing.trainable = True
    image = keras.Input((8, 8, 1))
    x = layers.Conv2D(2, 3, padding="same", name="frozen", trainable=False)(image)
    _, suffix = split_at_frozen(_answered(image, changing(x)))
    assert changing in suffix.layers


def test_dropout_at_rate_zero_and_frozen_batch_norm_are_banked():
    image = keras.Input((8, 8, 1))
    x = layers.Conv2D(2, 3, padding="same", name="frozen", trainable=False)(image)
    x = layers.BatchNormalization(trainable=False, name="norm")(x)
    model = _answered(image, layers.Dropout(0.0, name="drop")(x))
    prefix, suffix = split_at_frozen(model)
    assert [tensor.shape for tensor in prefix.outputs] == [(None, 2)]
    assert "norm" not in _names(suffix)
    _assert_same_answers(model, prefix, suffix)
