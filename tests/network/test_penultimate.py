"""The features that the last layer of a classifier reads."""

import keras
import numpy as np
import pytest

from mri_tf.network.bags import SLICE_NETWORK, bag_network
from mri_tf.network.build import build_network
from mri_tf.network.penultimate import with_features
from mri_tf.task import Task


def _task(model: str, shape: tuple[int, ...], channels: int, **arguments) -> Task:
    return Task(
        name="t", channels=tuple("abcd"[:channels]), image_shape=shape, class_names=("x", "y", "z"),
        model=model, model_args=arguments,
    )  # fmt: skip


@pytest.mark.parametrize(
    "task",
    [
        _task("vgg", (32, 32), 1, conv_filters=2, dense_units=5, blocks=2),
        _task("grader3d", (16, 16, 16), 2),
    ],
)
def test_the_last_layer_makes_the_probabilities_of_the_features(task):
    network = build_network(task)
    both = with_features(network)
    images = np.random.default_rng(0).normal(size=(3, *both.inputs[0].shape[1:])).astype(np.float32)
    probabilities, features = (array.numpy() for array in both(images))
    dense = network.get_layer("probabilities")
    logits = features @ dense.kernel.numpy() + dense.bias.numpy()
    np.testing.assert_allclose(keras.ops.softmax(logits), probabilities, atol=1e-5)
    np.testing.assert_allclose(network(images), probabilities, atol=1e-6)


def test_the_features_of_an_average_are_those_of_its_members_side_by_side():
    task = _task("backbone_ensemble", (32, 32), 2, backbone="resnet18", weights="none")
    task = Task(**{**vars(task), "normalize": {"method": "range", "low": 0.0, "high": 1.0}})
    both = with_features(build_network(task))
    single = _task("backbone_classifier", (32, 32), 1, backbone="resnet18", weights="none")
    single = Task(**{**vars(single), "normalize": task.normalize})
    width = with_features(build_network(single)).outputs[1].shape[-1]
    assert both.outputs[1].shape[-1] == 2 * width


def test_the_features_of_patients_of_an_average_are_those_of_its_members_too():
    task = _task("backbone_ensemble", (32, 32), 2, backbone="resnet18", weights="none")
    task = Task(**{**vars(task), "normalize": {"method": "range", "low": 0.0, "high": 1.0}})
    single = build_network(task)
    width = with_features(single).outputs[1].shape[-1]
    assert with_features(bag_network(single)).outputs[1].shape[-1] == width > 2


def test_the_features_of_a_patient_are_the_mean_over_its_slices_without_padding():
    network = build_network(_task("vgg", (16, 16), 1, conv_filters=2, dense_units=4, blocks=2))
    bags = bag_network(network)
    slices = np.random.default_rng(0).normal(size=(2, 3, 16, 16, 1)).astype(np.float32)
    present = np.array([[1, 1, 1], [1, 0, 0]], np.float32)
    answer, features = with_features(bags)([slices, present])
    np.testing.assert_allclose(answer, bags([slices, present]), atol=1e-6)
    _, of_slices = bags.get_layer(SLICE_NETWORK)(slices.reshape(-1, 16, 16, 1))
    of_slices = of_slices.numpy().reshape(2, 3, -1)
    np.testing.assert_allclose(features[0], of_slices[0].mean(axis=0), atol=1e-5)
    np.testing.assert_allclose(features[1], of_slices[1, 0], atol=1e-5)
