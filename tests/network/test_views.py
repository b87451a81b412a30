"""Test-time augmentation: an answer is the mean over the views of an image, whatever the network."""

import dataclasses

import keras
import numpy as np
import pytest
from keras import layers

from mri_tf.network.bags import SLICE_PROBABILITIES, bag_network
from mri_tf.network.build import build_network
from mri_tf.network.penultimate import with_features
from mri_tf.network.views import describe_views, task_views, with_views
from mri_tf.task import Task

FLAT = Task(name="t", channels=("t1",), image_shape=(4, 6), class_names=("a", "b"), model="vgg")
DEEP = dataclasses.replace(FLAT, image_shape=(3, 4, 6), model="grader3d")


def of(task: Task, **test_time) -> Task:
    return dataclasses.replace(task, test_time=test_time)


def images_of(task: Task, count: int = 5) -> np.ndarray:
    shape = (count, *task.image_shape, len(task.channels))
    return np.random.default_rng(0).normal(size=shape).astype(np.float32)


def linear(task: Task) -> keras.Model:
    """Answers two weighted sums of an image, so that every voxel's place counts."""
    keras.utils.set_random_seed(0)
    image = keras.Input((*task.image_shape, len(task.channels)), name="image")
    return keras.Model(image, layers.Dense(2)(layers.Flatten()(image)), name=task.name)


def shifted(images: np.ndarray, axis: int, step: int) -> np.ndarray:
    """Moved by `step` voxels along an axis, the border repeated, by NumPy's padding."""
    size = images.shape[axis]
    padding = [(0, 0)] * images.ndim
    padding[axis] = (max(step, 0), max(-step, 0))
    return np.take(np.pad(images, padding, "edge"), np.arange(size) + max(-step, 0), axis=axis)


def views_by_numpy(images: np.ndarray, task: Task) -> list[np.ndarray]:
    axes = {name: place - 1 - 3 for place, name in enumerate(("depth", "rows", "columns"))}
    views = [images, *(np.flip(images, axes[name]) for name in task.test_time.get("flips", ()))]
    voxels = task.test_time.get("shift_voxels", 0)
    for axis in range(-1 - len(task.image_shape), -1) if voxels else ():
        views += [shifted(images, axis, voxels), shifted(images, axis, -voxels)]
    return views


# ---- which views


def test_each_named_axis_gives_one_flip_and_each_axis_two_shifts():
    assert len(task_views(FLAT)) == len(task_views(of(FLAT, shift_voxels=0, flips=()))) == 1
    assert len(task_views(of(FLAT, flips=("rows", "columns")))) == 3
    assert len(task_views(of(FLAT, shift_voxels=1))) == 5
    assert len(task_views(of(DEEP, flips=("depth",), shift_voxels=2))) == 8


def test_the_edges_of_a_shifted_image_repeat_and_nothing_comes_round():
    image = np.arange(6.0).reshape(1, 1, 6, 1)
    task = dataclasses.replace(of(FLAT, shift_voxels=2), image_shape=(4, 6))
    right, left = (np.array(view.of(image)).ravel() for view in task_views(task)[3:])
    assert right.tolist() == [0, 0, 0, 1, 2, 3]
    assert left.tolist() == [2, 3, 4, 5, 5, 5]


def test_the_grid_of_a_box_is_the_one_that_is_changed():
    box = dict(around="brain", grid=(8, 9, 10))
    views = task_views(dataclasses.replace(of(DEEP, flips=("rows",)), box=box))
    assert views[1].order == tuple(range(8, -1, -1))


def test_views_are_told_in_words():
    assert describe_views(FLAT) == ""
    words = describe_views(of(DEEP, flips=("columns",), shift_voxels=1))
    assert words == (
        "8 views of the image (unchanged; mirrored along columns; shifted by 1 voxel each way along "
        "depth, rows, columns)"
    )


# ---- their mean


def test_without_views_the_network_is_the_one_given():
    network = linear(FLAT)
    assert with_views(network, FLAT) is network
    assert with_views(network, of(FLAT, flips=())) is network


@pytest.mark.parametrize(
    "task",
    [
        of(FLAT, flips=("columns",)), of(FLAT, flips=("rows", "columns")), of(FLAT, shift_voxels=2),
        of(FLAT, flips=("columns",), shift_voxels=1), of(DEEP, flips=("depth", "rows", "columns")),
        of(DEEP, flips=("rows",), shift_voxels=1),
    ],
    ids=lambda task: f"{len(task.image_shape)}D {task.test_time}",
)  # fmt: skip
def test_an_answer_is_the_mean_that_numpy_makes_over_the_views(task):
    network, images = linear(task), images_of(task)
    views = views_by_numpy(images, task)
    assert len(views) == len(task_views(task))
    expected = np.mean([network.predict_on_batch(view) for view in views], axis=0)
    found = with_views(network, task).predict_on_batch(images)
    np.testing.assert_allclose(found, expected, atol=1e-5)
    assert np.abs(found - network.predict_on_batch(images)).max() > 0.1


def test_an_image_and_its_mirror_image_get_one_answer():
    task, images = of(FLAT, flips=("columns",)), images_of(FLAT)
    averaged = with_views(linear(FLAT), task)
    mirrored = averaged.predict_on_batch(images[:, :, ::-1])
    np.testing.assert_allclose(averaged.predict_on_batch(images), mirrored, atol=1e-6)


def test_a_network_that_does_not_see_where_a_voxel_lies_answers_as_without_flips():
    image = keras.Input((4, 6, 1))
    bent = layers.Conv2D(3, 1, activation="relu")(image)
    network = keras.Model(image, layers.Dense(2)(layers.GlobalAveragePooling2D()(bent)))
    images = images_of(FLAT)
    averaged = with_views(network, of(FLAT, flips=("rows", "columns")))
    plain = network.predict_on_batch(images)
    np.testing.assert_allclose(averaged.predict_on_batch(images), plain, atol=1e-6)


def test_every_output_of_a_network_is_averaged():
    task = dataclasses.replace(
        of(FLAT, flips=("columns",)), image_shape=(16, 16),
        model_args=dict(conv_filters=2, dense_units=4, blocks=2),
    )  # fmt: skip
    both, images = with_features(build_network(task)), images_of(task)
    found = with_views(both, task).predict_on_batch(images)
    one, other = both.predict_on_batch(images), both.predict_on_batch(images[:, :, ::-1])
    for number in range(2):
        np.testing.assert_allclose(found[number], (one[number] + other[number]) / 2, atol=1e-6)
    assert np.abs(one[1] - other[1]).max() > 1e-3


def test_the_slices_of_patients_are_changed_and_which_are_present_is_not():
    task = dataclasses.replace(of(FLAT, flips=("rows",), shift_voxels=1), bag=dict(pooling="mean"))
    keras.utils.set_random_seed(0)
    image = keras.Input((4, 6, 1))
    answer = layers.Dense(2, activation="softmax", dtype="float32")(layers.Flatten()(image))
    bags = bag_network(keras.Model(image, answer))
    slices = np.random.default_rng(0).normal(size=(2, 3, 4, 6, 1)).astype(np.float32)
    present = np.array([[1, 1, 1], [1, 0, 0]], np.float32)
    both = keras.Model(bags.inputs, [bags.outputs[0], bags.get_layer(SLICE_PROBABILITIES).output])
    wanted = [both.predict_on_batch([view, present]) for view in views_by_numpy(slices, task)]
    found = with_views(both, task).predict_on_batch([slices, present])
    for number in range(2):
        expected = np.mean([answers[number] for answers in wanted], axis=0)
        np.testing.assert_allclose(found[number], expected, atol=1e-6)
    assert found[1][1, 1:].tolist() == [[0, 0], [0, 0]]  # padding
    single = with_views(bags, task).predict_on_batch((slices, present))  # as batches give them
    np.testing.assert_allclose(single, found[0], atol=1e-6)


def test_a_task_may_have_the_name_of_its_input():
    task = dataclasses.replace(of(FLAT, flips=("rows",)), name="image")
    assert with_views(linear(task), task).predict_on_batch(images_of(task)).shape == (5, 2)


def test_a_network_in_half_precision_is_averaged_in_float32():
    task, images = of(FLAT, flips=("columns",), shift_voxels=1), images_of(FLAT)
    image = keras.Input((4, 6, 1))
    flat = layers.Flatten(dtype="mixed_bfloat16")(image)
    network = keras.Model(image, layers.Dense(2, dtype="mixed_bfloat16")(flat))
    averaged = with_views(network, task)
    assert averaged.outputs[0].dtype == "float32"
    answers = [keras.ops.cast(network(view), "float32") for view in views_by_numpy(images, task)]
    expected = np.mean(answers, axis=0)
    np.testing.assert_allclose(averaged.predict_on_batch(images), expected, atol=1e-2)
