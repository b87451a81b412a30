"""A patient's answer is the mean over its slices, whatever the batch and however many there are."""

import dataclasses

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from mri_tf.core.errors import InputError
from mri_tf.network.bags import SLICE_PROBABILITIES, bag_network, scorer
from mri_tf.pipeline.bags import BagPlan, pad_slices, plain_bag_batches, present_slices
from mri_tf.pipeline.epoch_plan import TrainingPlan
from mri_tf.splits.units import bags_of
from mri_tf.task import Task
from mri_tf.task.settings import Bag, bag_of

SIZES = (3, 1, 5)


def _network():
    keras.utils.set_random_seed(1)
    image = keras.Input((8, 8, 1), name="image")
    x = layers.Conv2D(4, 3, name="conv")(image)
    x = layers.BatchNormalization(momentum=0.5, name="norm")(x)
    x = layers.GlobalAveragePooling2D(name="pool")(x)
    return keras.Model(image, layers.Dense(3, activation="softmax", name="answer")(x))


@pytest.fixture(scope="module")
def network():
    return _network()


@pytest.fixture(scope="module")
def slices():
    return np.random.default_rng(0).normal(size=(sum(SIZES), 8, 8, 1)).astype(np.float32)


@pytest.fixture(scope="module")
def bags(slices) -> list[np.ndarray]:
    """The slices of three patients, padded to as many, and which are present."""
    numbers = np.repeat(np.arange(len(SIZES)), SIZES)
    padded = pad_slices(tf.constant(slices), numbers, len(SIZES)).numpy()
    return [padded, present_slices(numbers, len(SIZES)).numpy()]


def test_padding_keeps_order_and_says_what_is_present(slices, bags):
    padded, present = bags
    assert padded.shape == (3, 5, 8, 8, 1)
    np.testing.assert_array_equal(present.sum(axis=1), SIZES)
    np.testing.assert_array_equal(padded[present > 0], slices)
    assert np.all(padded[present == 0] == 0)


def test_a_patient_s_probabilities_are_the_mean_of_its_slices_probabilities(network, slices, bags):
    found = bag_network(network).predict_on_batch(bags)
    single = network.predict_on_batch(slices)
    wanted = [part.mean(axis=0) for part in np.split(single, np.cumsum(SIZES)[:-1])]
    np.testing.assert_allclose(found, wanted, atol=1e-6)


def test_a_patient_s_answer_does_not_depend_on_the_batch_around_it(network, bags):
    model = bag_network(network, scorer(Bag(pooling="attention", attention_units=4)))
    together = model.predict_on_batch(bags)
    alone = model.predict_on_batch([array[1:2, :1] for array in bags])
    np.testing.assert_allclose(alone[0], together[1], atol=1e-6)


def test_padding_reaches_neither_batch_norm_nor_the_gradient(bags):
    states = []
    for pad in (0, 7):
        network = _network()
        model = bag_network(network)
        model.compile(optimizer=keras.optimizers.SGD(0.1), loss="sparse_categorical_crossentropy")
        padded = np.pad(bags[0], ((0, 0), (0, pad), (0, 0), (0, 0), (0, 0)), constant_values=99.0)
        present = np.pad(bags[1], ((0, 0), (0, pad)))
        model.train_on_batch([padded, present], np.array([0, 1, 2]))
        states.append([np.array(value) for value in network.get_weights()])
    for one, two in zip(*states, strict=True):
        np.testing.assert_allclose(one, two, atol=1e-6)


def test_equal_attention_is_the_mean_and_a_high_score_decides_alone(network, slices, bags):
    keras.utils.set_random_seed(2)  # no two slices of the first patient have nearly the same score
    score = scorer(Bag(pooling="attention", attention_units=4))
    model = bag_network(network, score)
    hidden, answer = score.layers
    answer.kernel.assign(tf.zeros_like(answer.kernel))
    mean = bag_network(network).predict_on_batch(bags)
    np.testing.assert_allclose(model.predict_on_batch(bags), mean, atol=1e-6)
    answer.kernel.assign(1e4 * tf.ones_like(answer.kernel))
    features = keras.Model(network.inputs, network.get_layer("pool").output).predict_on_batch(slices)
    top = np.argmax((score.predict_on_batch(features))[: SIZES[0], 0])
    single = network.predict_on_batch(slices)[top]
    np.testing.assert_allclose(model.predict_on_batch(bags)[0], single, atol=1e-4)


def test_the_probabilities_of_single_slices_stand_beside_the_patient_s(network, slices, bags):
    model = bag_network(network)
    by_slice = keras.Model(model.inputs, model.get_layer(SLICE_PROBABILITIES).output)
    found, present = by_slice.predict_on_batch(bags), bags[1]
    np.testing.assert_allclose(found[present > 0], network.predict_on_batch(slices), atol=1e-6)
    assert np.all(found[present == 0] == 0)


def test_unknown_poolings_and_misspelt_values_are_refused():
    task = Task("t", ("mri",), (8, 8), ("a", "b"), "vgg", bag=dict(pooling="attention"))
    assert bag_of(task) == Bag(pooling="attention", attention_units=64)
    for bag in ({"pooling": "max"}, {"poling": "mean"}):
        with pytest.raises(InputError, match="pooling"):
            bag_of(dataclasses.replace(task, bag=bag))


class _Set:
    """As much of a prepared set as bags look at: patients interleaved, p2 with one record."""

    patients = np.array(["p1", "p0", "p1", "p2", "p0", "p1"], dtype=object)
    labels = np.array([1, 0, 1, 0, 0, 1])
    record_ids = np.array([f"r{n}" for n in range(6)], dtype=object)


def _plan(**options) -> BagPlan:
    bags = bags_of(_Set, np.arange(6))
    return BagPlan(bags, TrainingPlan(np.arange(3), np.array([1, 0, 0]), 2, seed=3, **options))


def test_bags_hold_the_records_of_one_patient_in_the_order_given():
    assert [bag.tolist() for bag in bags_of(_Set, np.arange(6))] == [[0, 2, 5], [1, 4], [3]]


def test_a_patient_with_two_labels_is_refused_by_record():
    torn = type("Torn", (_Set,), {"labels": np.array([1, 0, 1, 0, 1, 1])})
    with pytest.raises(InputError, match="r1"):
        bags_of(torn, np.arange(6))


def test_an_epoch_has_every_slice_of_every_patient_with_seeds_that_never_meet():
    seen, seeds = [], []
    for epoch in range(2):
        for batch in _plan().batches(epoch):
            assert np.all(np.diff(batch.bags) >= 0) and len(batch.weights) == batch.bags[-1] + 1
            for number in range(len(batch.weights)):
                assert len(set(_Set.patients[batch.records[batch.bags == number]])) == 1
            seen += batch.records.tolist()
            seeds += batch.seeds[:, 1].tolist()
    assert sorted(seen) == sorted(list(range(6)) * 2)
    assert len(set(seeds)) == len(seeds)


def test_oversampling_counts_patients_not_slices():
    drawn = [
        _Set.labels[batch.records[batch.bags == number][0]]
        for batch in _plan(oversample=True).batches(0)
        for number in range(len(batch.weights))
    ]
    assert sorted(drawn) == [0, 0, 1, 1]


def test_with_two_devices_batches_are_filled_with_whole_patients_at_weight_zero():
    batches = list(plain_bag_batches(bags_of(_Set, np.arange(6)), 2, replicas=2))
    assert [len(batch.weights) for batch in batches] == [2, 2]
    assert batches[1].weights[1] == 0 and batches[1].bags[-1] == 1
