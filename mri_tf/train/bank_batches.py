"""Batches of stored features: a copy of each record drawn an epoch, or every record once."""

from collections.abc import Iterator

import numpy as np
import tensorflow as tf

from mri_tf.pipeline.bags import BagPlan
from mri_tf.pipeline.batches import gather_bags
from mri_tf.pipeline.epoch_plan import Batch, TrainingPlan
from mri_tf.train.feature_bank import STORED, Bank, BankSource

DRAW_SEED = 7919  # keeps the draws of copies apart from the plan's permutation


def bank_batches(
    bank: Bank, plan: TrainingPlan | BagPlan, first: int, source: BankSource, inputs: list
) -> tf.data.Dataset:
    """(features, label, weight) of the plan's epochs from `first` on, a copy of each record drawn;
    of patients where the task answers for them.

    `inputs` are those of the suffix.
    """

    def generate() -> Iterator:
        for epoch in range(first, epochs):
            rng = np.random.default_rng([plan.seed, DRAW_SEED, epoch])
            for batch in plan.batches(epoch):
                drawn = draw_copies(rng, len(batch.records), source)
                features = bank.rows(batch.records, drawn)
                yield features, labels[batch.records], batch.weights, batch.places

    labels = source.subset.prepared.labels
    epochs = source.subset.task.epochs_of(plan.steps)
    count = plan.steps * (epochs - first)
    return _dataset(generate, inputs, count, bool(source.subset.task.bag))


def every_record(bank: Bank, batches: list[Batch], source: BankSource, inputs: list) -> tf.data.Dataset:
    """(features, label, weight) of each record's identity copy once, in order: validation."""

    def generate() -> Iterator:
        for batch in batches:
            features = bank.rows(batch.records, np.zeros(len(batch.records), np.int64))
            labels = source.subset.prepared.labels[batch.records]
            yield features, labels, batch.weights, batch.places

    return _dataset(generate, inputs, len(batches), bool(source.subset.task.bag))


def draw_copies(rng: np.random.Generator, count: int, source: BankSource) -> np.ndarray:
    """Which copy of each record is used: 0 for the identity."""
    changed = rng.random(count) < source.subset.task.augment_probability
    return np.where(changed, 1 + rng.integers(source.copies, size=count), 0)


def _dataset(generate, inputs: list, count: int, in_bags: bool) -> tf.data.Dataset:
    signature = (
        tuple(tf.TensorSpec((None, *tensor.shape[1:]), STORED) for tensor in inputs),
        tf.TensorSpec([None], tf.int64),
        tf.TensorSpec([None], tf.float32),
        tf.TensorSpec([None], tf.int64),
    )
    dataset = tf.data.Dataset.from_generator(generate, output_signature=signature)

    def widen(features, label, weight, bags):
        wide = [tf.cast(part, tensor.dtype) for part, tensor in zip(features, inputs, strict=True)]
        if in_bags:
            return gather_bags(wide, label, bags, weight)
        return tuple(wide) if len(wide) > 1 else wide[0], label, weight

    return dataset.map(widen).apply(tf.data.experimental.assert_cardinality(count)).prefetch(2)
