"""Layers get fresh weights from the output downwards, and their own ones again."""

import keras
import numpy as np
from keras import layers

from mri_tf.explain.methods import METHODS, Maps
from mri_tf.explain.randomised import Cascade


def network(seed):
    keras.utils.set_random_seed(seed)
    image = keras.Input((8, 8, 1))
    inner = keras.Sequential([layers.Conv2D(3, 3, padding="same", name="inner")], name="nested")
    x = layers.Conv2D(4, 3, padding="same", name="first")(image)
    x = layers.Activation("relu", name="first_relu")(layers.BatchNormalization(name="norm")(x))
    x = inner(x)
    x = layers.GlobalAveragePooling2D()(x)
    return keras.Model(image, layers.Dense(2, activation="softmax", name="probabilities")(x))


def test_groups_are_randomised_from_the_output_and_normalisation_goes_with_its_kernel():
    model, fresh = network(0), network(1)
    own, other = model.get_weights(), fresh.get_weights()
    cascade = Cascade(model, [fresh])
    assert cascade.depth == 3 and cascade.draws == 1  # first with norm, inner, probabilities
    for count, layer in ((1, "probabilities"), (2, "inner")):
        cascade.randomise(count)
        np.testing.assert_array_equal(model.get_layer("first").get_weights()[0], own[0])
        found = layer_of(model, layer).get_weights()[0]
        np.testing.assert_array_equal(found, layer_of(fresh, layer).get_weights()[0])
    cascade.randomise(3)
    for one, wanted in zip(model.get_weights(), other, strict=True):
        np.testing.assert_array_equal(one, wanted)
    cascade.restore()
    for one, wanted in zip(model.get_weights(), own, strict=True):
        np.testing.assert_array_equal(one, wanted)


def layer_of(model, name):
    return model.get_layer("nested").get_layer(name) if name == "inner" else model.get_layer(name)


def test_stages_are_even_and_reach_all_groups():
    cascade = Cascade(network(0), [network(1)])
    assert cascade.stages(4) == [1, 2, 3] and cascade.stages(2) == [1, 3]


def test_maps_follow_the_weights_of_the_network():
    model = network(0)
    maps, cascade = Maps(model, "first_relu"), Cascade(model, [network(1)])
    images = np.random.default_rng(0).normal(size=(2, 8, 8, 1)).astype(np.float32)
    trained = maps.of(images, np.array([0, 1], np.int32))
    assert set(trained) == set(METHODS)
    assert all(values.shape == (2, 8, 8) and values.min() >= 0 for values in trained.values())
    cascade.randomise(3)
    changed = maps.of(images, np.array([0, 1], np.int32))
    assert all(np.abs(changed[name] - trained[name]).max() > 0 for name in METHODS)
    cascade.restore()
    again = maps.of(images, np.array([0, 1], np.int32))
    for name in METHODS:
        np.testing.assert_allclose(again[name], trained[name], atol=1e-6)
