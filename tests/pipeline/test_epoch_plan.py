"""The plan of an epoch: which record, how often and in which order, from (seed, epoch) alone."""

import dataclasses
from collections import Counter

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from mri_tf.pipeline.epoch_plan import SEEDS_PER_EPOCH, TrainingPlan, plain_batches

LABELS = st.lists(st.integers(0, 3), min_size=1, max_size=40)
SIZES, REPLICAS, SEEDS, EPOCHS = (
    st.integers(1, 9), st.integers(1, 4), st.integers(0, 2**31 - 1), st.integers(0, 5)
)  # fmt: skip


def a_plan(labels, batch_size=4, seed=0, **settings) -> TrainingPlan:
    """A plan over records that are not 0, 1, 2 ... in the prepared set."""
    records = 7 + 3 * np.arange(len(labels))
    return TrainingPlan(records, np.array(labels), batch_size, seed, **settings)


PLANS = st.builds(a_plan, LABELS, SIZES, SEEDS, replicas=REPLICAS, oversample=st.booleans())


def real(batches) -> np.ndarray:
    """The records that count, in order."""
    return np.concatenate([batch.records[batch.weights > 0] for batch in batches])


@given(LABELS, SIZES, REPLICAS, SEEDS, EPOCHS)
@settings(max_examples=60, deadline=None)
def test_each_record_counts_once_an_epoch(labels, batch_size, replicas, seed, epoch):
    plan = a_plan(labels, batch_size, seed, replicas=replicas)
    assert sorted(real(plan.batches(epoch))) == sorted(plan.records)


@given(labels=LABELS, batch_size=st.integers(2, 20), seed=st.integers(0, 9))
@settings(max_examples=60, deadline=None)
def test_the_batches_of_an_epoch_are_of_nearly_one_size(labels, batch_size, seed):
    """BatchNorm would keep the statistics of one or two records that are left over."""
    plan = TrainingPlan(np.arange(len(labels)), labels, batch_size, seed)
    sizes = [len(batch.records) for batch in plan.batches(0)]
    assert len(sizes) == plan.steps == -(-len(labels) // batch_size)
    assert max(sizes) - min(sizes) <= 1 and max(sizes) <= batch_size


@given(LABELS, SIZES, SEEDS, EPOCHS)
@settings(max_examples=60, deadline=None)
def test_oversampling_draws_every_class_as_often_as_the_largest(labels, batch_size, seed, epoch):
    plan = a_plan(labels, batch_size, seed, oversample=True)
    label_of = dict(zip(plan.records, plan.labels, strict=True))
    drawn = real(plan.batches(epoch))
    counts = Counter(label_of[record] for record in drawn)
    largest = max(Counter(labels).values())
    assert counts == dict.fromkeys(labels, largest)
    times = Counter(drawn)
    for label in set(labels):
        own = [times[record] for record in plan.records if label_of[record] == label]
        assert max(own) - min(own) <= 1
    assert len(drawn) == largest * len(set(labels))


@given(PLANS, EPOCHS)
@settings(max_examples=60, deadline=None)
def test_the_same_seed_and_epoch_give_the_same_batches(first, epoch):
    second = dataclasses.replace(first)
    list(first.batches(epoch + 1))  # what was drawn before does not matter
    batches = list(zip(first.batches(epoch), second.batches(epoch), strict=True))
    assert len(batches) == first.steps
    for one, other in batches:
        for name in ("records", "weights", "seeds"):
            assert np.array_equal(getattr(one, name), getattr(other, name))


def test_other_epochs_and_other_seeds_give_other_orders():
    labels = [0, 1] * 10
    orders = {tuple(a_plan(labels, seed=seed).order(epoch)) for seed in range(3) for epoch in range(3)}
    assert len(orders) == 9


def test_the_classes_of_an_oversampled_epoch_are_mixed():
    plan = a_plan([0] * 30 + [1] * 3, oversample=True)
    label_of = dict(zip(plan.records, plan.labels, strict=True))
    first_half = [label_of[record] for record in plan.order(0)[:30]]
    assert 5 <= sum(first_half) <= 25


def test_the_records_of_a_rare_class_change_between_epochs():
    plan = a_plan([0] * 5 + [1] * 3, oversample=True)
    often = {
        tuple(sorted(record for record, times in Counter(plan.order(epoch)).items() if times == 2))
        for epoch in range(10)
    }
    assert len(often) > 1


@given(PLANS)
@settings(max_examples=60, deadline=None)
def test_no_two_records_of_a_training_share_a_seed(plan):
    seeds = np.concatenate(
        [b.seeds[b.weights > 0] for epoch in range(4) for b in plan.batches(epoch)]
    )
    assert len({tuple(pair) for pair in seeds}) == len(seeds)
    assert set(seeds[:, 0]) == {plan.seed}


def test_an_epoch_has_fewer_records_than_seeds():
    last = list(a_plan([0] * 50).batches(0))[-1].seeds[-1, 1]
    first = next(a_plan([0] * 50).batches(1)).seeds[0, 1]
    assert (last, first) == (49, SEEDS_PER_EPOCH)


@given(PLANS)
@settings(max_examples=80, deadline=None)
def test_a_filled_batch_divides_among_replicas_and_has_the_mean_of_the_plain_one(plan):
    losses = np.random.default_rng(0).uniform(0.1, 5, 7 + 3 * len(plan.records))  # a loss a record
    for batch in plan.batches(0):
        size, counts = len(batch.records), batch.weights > 0
        assert size % plan.replicas == 0
        assert size - counts.sum() < plan.replicas
        assert set(batch.records) <= set(plan.records)
        assert batch.seeds.shape == (size, 2)
        # What Keras computes of a batch: the sum of weight x loss, over the batch's size.
        mean = np.sum(batch.weights * losses[batch.records]) / size
        np.testing.assert_allclose(mean, losses[batch.records[counts]].mean(), rtol=1e-6)


@given(LABELS, SIZES)
@settings(max_examples=40, deadline=None)
def test_without_replicas_every_weight_is_one(labels, batch_size):
    for batch in a_plan(labels, batch_size).batches(0):
        assert np.all(batch.weights == 1)


def test_batches_have_the_types_that_tensorflow_reads():
    for batch in [*a_plan([0, 1, 0], 2, replicas=2).batches(0), *plain_batches(np.arange(3), 2, 2)]:
        types = (batch.records.dtype, batch.weights.dtype, batch.seeds.dtype)
        assert types == (np.int64, np.float32, np.int64)


@given(st.integers(1, 40), SIZES, REPLICAS)
@settings(max_examples=80, deadline=None)
def test_plain_batches_hold_every_record_once_in_order_the_last_part_too(count, batch_size, replicas):
    records = 7 + 3 * np.arange(count)[::-1]
    batches = list(plain_batches(records, batch_size, replicas))
    assert np.array_equal(real(batches), records)
    assert len(batches) == -(-count // batch_size)
    for batch in batches:
        assert len(batch.records) % replicas == 0
        assert len(set(batch.weights[batch.weights > 0])) == 1
        assert len(batch.weights) == len(batch.seeds) == len(batch.records)
        assert set(batch.records) <= set(records)


@given(st.integers(1, 40), SIZES, REPLICAS)
@settings(max_examples=60, deadline=None)
def test_the_validation_loss_is_the_plain_mean_on_any_number_of_replicas(count, batch_size, replicas):
    losses = np.random.default_rng(0).uniform(0.1, 5, count)  # a loss a record
    batches = list(plain_batches(np.arange(count), batch_size, replicas))
    # What Keras computes of an evaluation: each batch over its size, then the mean by size.
    above = sum(np.sum(batch.weights * losses[batch.records]) for batch in batches)
    mean = above / sum(len(batch.records) for batch in batches)
    np.testing.assert_allclose(mean, losses.mean(), rtol=1e-5)
