"""Maps equal closed forms and those of tf-keras-vis, also on grids with unequal axes."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers
from tf_keras_vis.gradcam import Gradcam
from tf_keras_vis.saliency import Saliency
from tf_keras_vis.utils.model_modifiers import GuidedBackpropagation, ReplaceToLinear
from tf_keras_vis.utils.scores import CategoricalScore

from mri_tf.core.errors import InputError
from mri_tf.explain.saliency import (
    explainable_layers,
    grad_cam,
    guided_backpropagation,
    guided_copy,
    has_maps,
    layer_to_explain,
    resize_maps,
)


@pytest.fixture(scope="module")
def pooled():
    """conv -> global average pooling -> Dense on an anisotropic volume: the closed form's network."""
    keras.utils.set_random_seed(0)
    image = keras.Input((4, 6, 10, 2))
    x = layers.Conv3D(5, 3, padding="same", name="last_conv")(image)
    x = layers.GlobalAveragePooling3D()(x)
    return keras.Model(image, layers.Dense(3, activation="softmax", name="probabilities")(x))


@pytest.fixture(scope="module")
def deep():
    keras.utils.set_random_seed(1)
    image = keras.Input((8, 8, 1))
    x = layers.Conv2D(4, 3, padding="same", activation="relu", name="first")(image)
    x = layers.MaxPooling2D()(x)
    x = layers.Conv2D(4, 3, padding="same", name="second")(x)
    x = layers.BatchNormalization()(x)
    x = layers.Activation("relu", name="second_relu")(x)
    x = layers.Flatten()(x)
    x = layers.Dense(6, activation="relu")(x)
    return keras.Model(image, layers.Dense(2, activation="softmax", name="probabilities")(x))


def images_for(model, count=3, seed=0):
    shape = (count, *model.inputs[0].shape[1:])
    return tf.constant(np.random.default_rng(seed).normal(size=shape), tf.float32)


def test_a_map_before_average_pooling_is_the_closed_form_on_an_anisotropic_volume(pooled):
    images, labels = images_for(pooled), tf.constant([0, 2, 1])
    maps, probabilities = grad_cam(pooled, images, labels, "last_conv")
    activations = keras.Model(pooled.input, pooled.get_layer("last_conv").output)(images).numpy()
    kernel = pooled.get_layer("probabilities").kernel.numpy()  # (channels, classes)
    voxels = 4 * 6 * 10
    expected = np.einsum("bdrcx,xb->bdrc", activations, kernel[:, labels.numpy()]) / voxels
    np.testing.assert_allclose(maps, np.maximum(expected, 0), atol=1e-6)
    np.testing.assert_allclose(probabilities, pooled(images), atol=1e-6)
    assert maps.shape == (3, 4, 6, 10)


def test_the_map_equals_that_of_tf_keras_vis(deep):
    images, labels = images_for(deep), [1, 0, 1]
    library = Gradcam(deep, model_modifier=ReplaceToLinear(), clone=True)(
        CategoricalScore(labels), images, penultimate_layer="second_relu",
        seek_penultimate_conv_layer=False, expand_cam=False, normalize_cam=False,
    )  # fmt: skip
    maps, _ = grad_cam(deep, images, tf.constant(labels), "second_relu")
    np.testing.assert_allclose(maps, library, atol=1e-6)
    assert maps.numpy().max() > 0


def test_guided_backpropagation_equals_that_of_tf_keras_vis_and_not_the_plain_gradient(deep):
    images, labels = images_for(deep), [1, 0, 1]
    library = Saliency(deep, model_modifier=[GuidedBackpropagation(), ReplaceToLinear()], clone=True)(
        CategoricalScore(labels), images, keepdims=True, normalize_map=False
    )
    found = guided_backpropagation(guided_copy(deep), images, tf.constant(labels)).numpy()
    np.testing.assert_allclose(np.abs(found), library, atol=1e-6)
    plain = guided_backpropagation(deep, images, tf.constant(labels)).numpy()
    assert np.abs(found - plain).max() > 1e-3


def test_a_relu_layer_is_guided_too():
    image = keras.Input((2,))
    x = layers.ReLU()(layers.Dense(2, use_bias=False, name="inner")(image))
    model = keras.Model(image, layers.Dense(2, activation="softmax", name="probabilities")(x))
    model.get_layer("inner").set_weights([np.eye(2)])
    model.get_layer("probabilities").set_weights([np.array([[1.0, 0], [-1.0, 0]]), np.zeros(2)])
    inputs = tf.constant([[3.0, 5.0]])
    first = tf.constant([0])
    assert guided_backpropagation(guided_copy(model), inputs, first).numpy().tolist() == [[1, 0]]
    assert guided_backpropagation(model, inputs, first).numpy().tolist() == [[1, -1]]


def test_guided_copy_does_not_change_the_model(deep):
    images = images_for(deep)
    before = deep(images).numpy()
    guided = guided_copy(deep)
    np.testing.assert_allclose(guided(images), before, atol=1e-6)
    np.testing.assert_array_equal(deep(images), before)


def test_a_map_does_not_depend_on_the_rest_of_the_batch(pooled):
    images = images_for(pooled)
    labels = tf.constant([0, 1, 2])
    together, _ = grad_cam(pooled, images, labels, "last_conv")
    for place in range(3):
        alone, _ = grad_cam(pooled, images[place : place + 1], labels[place : place + 1], "last_conv")
        np.testing.assert_allclose(alone[0], together[place], atol=1e-6)


def test_a_map_is_placed_amid_the_voxels_it_was_pooled_from():
    maps = np.zeros((1, 2, 3, 4), np.float32)
    maps[0, 1, 0, 2] = 1
    placed = resize_maps(tf.constant(maps), (8, 12, 16)).numpy()[0]
    centre = [np.average(np.arange(size), weights=placed.sum(axis=other))
              for size, other in ((8, (1, 2)), (12, (0, 2)), (16, (0, 1)))]  # fmt: skip
    # Voxel 1 of 2 covers 4..7; at the border the map stays flat, which pulls the mean outwards.
    assert centre[0] > 4.5 and centre[1] < 2.5 and abs(centre[2] - 9.5) < 1e-4
    np.testing.assert_allclose(resize_maps(tf.constant(maps), (2, 3, 4)), maps)
    constant = resize_maps(tf.ones((1, 2, 3)), (5, 7)).numpy()
    np.testing.assert_allclose(constant, 1, atol=1e-6)


def test_linear_maps_stay_linear_inside():
    ramp = tf.reshape(tf.range(4, dtype=tf.float32), (1, 4))
    np.testing.assert_allclose(resize_maps(ramp, (8,))[0], [0, 0.25, 0.75, 1.25, 1.75, 2.25, 2.75, 3])


def test_layers_without_the_image_s_axes_are_refused(deep):
    assert layer_to_explain(deep, "") == "second_relu"
    assert explainable_layers(deep)[0] == "first"
    with pytest.raises(InputError, match="second_relu"):
        layer_to_explain(deep, "flatten")


def test_without_a_name_the_last_layer_of_four_voxels_a_side_is_taken():
    image = x = keras.Input((16, 32, 1))
    for number in range(4):
        x = layers.MaxPooling2D(name=f"pool_{number}")(x)
    answer = layers.Dense(2, activation="softmax", name="probabilities")(layers.Flatten()(x))
    assert layer_to_explain(keras.Model(image, answer), "") == "pool_1"
    tiny = keras.Input((2, 2, 1))
    x = layers.Flatten()(layers.Activation("relu", name="only")(tiny))
    small = keras.Model(tiny, layers.Dense(2, activation="softmax", name="probabilities")(x))
    assert layer_to_explain(small, "") == "only"


def test_maps_work_inside_a_graph(pooled):
    images, labels = images_for(pooled), tf.constant([2, 0, 1])
    graph = tf.function(lambda images, labels: grad_cam(pooled, images, labels, "last_conv")[0])
    eager, _ = grad_cam(pooled, images, labels, "last_conv")
    np.testing.assert_allclose(graph(images, labels), eager, atol=1e-6)


def test_a_negative_label_stands_for_the_most_probable_class(deep):
    images = 4 * images_for(deep, count=40)
    likeliest = tf.argmax(deep(images), axis=-1, output_type=tf.int32)
    assert len(set(likeliest.numpy())) == 2
    wanted, _ = grad_cam(deep, images, likeliest, "second_relu")
    found, _ = grad_cam(deep, images, tf.fill([40], -1), "second_relu")
    np.testing.assert_array_equal(found, wanted)


def test_networks_that_average_several_outputs_are_refused(deep):
    image = keras.Input((8, 8, 1))
    x = layers.Conv2D(2, 3)(image)
    members = [layers.Dense(2, activation="softmax")(layers.Flatten()(x)) for _ in range(2)]
    averaged = keras.Model(image, layers.Average(name="probabilities")(members))
    assert has_maps(deep) and not has_maps(averaged)
    with pytest.raises(InputError, match="Explain another task's run"):
        layer_to_explain(averaged, "")
