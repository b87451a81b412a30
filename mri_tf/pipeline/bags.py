"""A patient's slices as one unit: which slices, in which order, and how they are padded."""

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import tensorflow as tf

from mri_tf.pipeline.epoch_plan import SEEDS_PER_EPOCH, Batch, TrainingPlan, plain_batches


@dataclass(frozen=True)
class BagPlan:
    """Epochs over patients; the fields of `patients` are numbers of bags."""

    bags: list[np.ndarray]
    patients: TrainingPlan = field(repr=False)

    @property
    def steps(self) -> int:
        return self.patients.steps

    @property
    def batch_size(self) -> int:
        return self.patients.batch_size

    @property
    def replicas(self) -> int:
        return self.patients.replicas

    @property
    def seed(self) -> int:
        return self.patients.seed

    def batches(self, epoch: int) -> Iterator[Batch]:
        """Batches of whole patients; every slice has a seed of its own."""
        drawn = 0
        for batch in self.patients.batches(epoch):
            spread = _spread(batch, self.bags)
            index = epoch * SEEDS_PER_EPOCH + drawn + np.arange(len(spread.records))
            drawn += len(index)
            seeds = np.stack([np.full_like(index, self.seed), index], axis=-1)
            yield Batch(spread.records, spread.weights, seeds, spread.bags)


def plain_bag_batches(bags: list[np.ndarray], batch_size: int, replicas: int = 1) -> Iterator[Batch]:
    """Every patient once, in order: validation and evaluation."""
    for batch in plain_batches(np.arange(len(bags)), batch_size, replicas):
        yield _spread(batch, bags)


def _spread(batch: Batch, bags: list[np.ndarray]) -> Batch:
    """A batch of bag numbers as one of their records."""
    own = [bags[number] for number in batch.records]
    places = np.repeat(np.arange(len(own)), [len(bag) for bag in own])
    records = np.concatenate(own).astype(np.int64)
    return Batch(records, batch.weights, np.zeros((len(records), 2), np.int64), places)


def pad_slices(slices: tf.Tensor, bags: tf.Tensor, count: tf.Tensor) -> tf.Tensor:
    """(slices, ...) and the bag of each, ascending, -> (bags, most slices, ...), zeros behind."""
    ragged = tf.RaggedTensor.from_value_rowids(slices, bags, count, validate=False)
    shape = (None, None, *slices.shape[1:])
    return tf.ensure_shape(ragged.to_tensor(), shape)


def present_slices(bags: tf.Tensor, count: tf.Tensor) -> tf.Tensor:
    """(bags, most slices) float32, 1 for a slice and 0 for padding."""
    return pad_slices(tf.ones_like(bags, tf.float32), bags, count)
