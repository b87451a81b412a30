"""What becomes of positions before the dense layers, and the difference of a volume's halves."""

import functools

import keras
import numpy as np
import pytest
from check_model import batch_of, check_bfloat16, check_model, forward, randomised
from needs import BFLOAT16

from data_prep.case import Case
from data_prep.cases.case_volumes import Masks
from data_prep.cases.volume_case import case_record
from data_prep.volume import to_ras_volume
from mri_tf.core.errors import InputError
from mri_tf.models.feature_classifier import feature_classifier, feature_classifier3d
from mri_tf.models.layers import MirroredDifference
from mri_tf.models.mnet import mnet, mnet3d
from mri_tf.models.vgg import vgg, vgg3d
from mri_tf.task import Task

CLASSES = 3
SMALL = dict(conv_filters=4, dense_units=8)


def _feature_classifier(shape, **arguments):
    features = mnet(shape, CLASSES, start_filters=2, levels=2)
    return feature_classifier(features, CLASSES, repeats=1, **SMALL, **arguments)


def _feature_classifier3d(shape, **arguments):
    features = mnet3d(shape, CLASSES, start_filters=2, levels=2)
    return feature_classifier3d(features, CLASSES, repeats=1, **SMALL, **arguments)


def _vgg(shape, **arguments):
    return vgg(shape, CLASSES, blocks=2, **SMALL, **arguments)


def _vgg3d(shape, **arguments):
    return vgg3d(shape, CLASSES, blocks=2, **SMALL, **arguments)


NETWORKS = {
    "feature_classifier": (_feature_classifier, (64, 48, 1)),
    "feature_classifier3d": (_feature_classifier3d, (32, 48, 64, 1)),
    "vgg": (_vgg, (64, 48, 1)),
    "vgg3d": (_vgg3d, (32, 48, 64, 1)),
}
each_network = pytest.mark.parametrize("name", NETWORKS)


def _answers_for_a_spot(name: str, pooling: str) -> np.ndarray:
    """Of two images with one bright spot each, eight voxels apart along every axis."""
    build, shape = NETWORKS[name]
    images = np.zeros((2, *shape), np.float32)
    for image, start in zip(images, (12, 20), strict=True):
        image[(slice(start, start + 3),) * (len(shape) - 1)] = 1
    return forward(randomised(build(shape, pooling=pooling)), images)


@each_network
@pytest.mark.parametrize("pooling", ["max", "average"])
def test_with_global_pooling_a_spot_has_the_same_answer_wherever_it_lies(name, pooling):
    here, there = _answers_for_a_spot(name, pooling)
    np.testing.assert_allclose(here, there, atol=1e-4)


@each_network
def test_flattened_a_spot_has_another_answer_elsewhere(name):
    here, there = _answers_for_a_spot(name, "flatten")
    assert np.abs(here - there).max() > 1e-3


@each_network
def test_the_grid_decides_how_many_weights_there_are_only_if_it_is_flattened(name):
    build, shape = NETWORKS[name]
    larger = (*(2 * side for side in shape[:-1]), shape[-1])
    for pooling in ("max", "average"):
        count = build(shape, pooling=pooling).count_params()
        assert count == build(larger, pooling=pooling).count_params()
    assert build(shape).count_params() < build(larger).count_params()


@each_network
def test_another_pooling_is_refused(name):
    build, shape = NETWORKS[name]
    with pytest.raises(InputError, match="pooling must be one of flatten, max, average. Received: mean"):
        build(shape, pooling="mean")


MIRRORED = functools.partial(_vgg3d, (16, 16, 32, 2), pooling="max", mirrored_difference=True)


def test_a_network_with_the_mirrored_difference_passes_the_standard_checks():
    check_model(MIRRORED, (CLASSES,))


@BFLOAT16
def test_a_network_with_the_mirrored_difference_computes_in_mixed_precision():
    check_bfloat16(MIRRORED, (CLASSES,))


def test_the_first_convolution_sees_the_volume_and_its_difference():
    model = MIRRORED()
    volume = batch_of(model)
    first = keras.Model(model.input, model.get_layer("block_1_1_conv").input)
    expected = np.concatenate([volume, volume - volume[:, :, :, ::-1]], axis=-1)
    np.testing.assert_array_equal(first(volume), expected)


def test_the_difference_of_a_mirrored_volume_is_the_mirrored_difference():
    volume = np.random.default_rng(0).normal(size=(2, 3, 4, 7, 1)).astype(np.float32)
    difference = MirroredDifference()
    mirrored = volume[:, :, :, ::-1]
    np.testing.assert_array_equal(difference(mirrored), difference(volume).numpy()[:, :, :, ::-1])
    np.testing.assert_array_equal(difference(volume + mirrored), np.zeros_like(volume))


@pytest.mark.parametrize("towards_the_right", [1, -1])
def test_the_difference_of_a_prepared_volume_compares_left_with_right(towards_the_right):
    """A cube in one half of the patient, whichever way the file stores its columns."""
    task = Task(
        name="sides", channels=("t1",), image_shape=(16, 16, 16), class_names=("a", "b"), model="vgg3d",
        prep=dict(crop_to_brain=False),
    )  # fmt: skip
    stored = np.zeros((16, 16, 16), np.float32)
    stored[2:5, 6:10, 6:10] = 1.0
    volume = to_ras_volume(stored, np.diag([2.0 * towards_the_right, 2.0, 2.0, 1.0]))
    (record,) = case_record({"t1": volume}, Masks(), Case("p", {}, "a"), task, ("t1",))
    difference = MirroredDifference()(record.image[None])[0, ..., 0].numpy()
    one, other = difference[..., 2:5], difference[..., 11:14]
    assert np.abs(one).max() > 0.9
    np.testing.assert_array_equal(one, -other[..., ::-1])
    assert np.abs(difference[..., 6:10]).max() == 0
