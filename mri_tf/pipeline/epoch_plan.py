"""The plan of an epoch: which records, how often and in which order, drawn from (seed, epoch).

The plan is a pure function of its fields and the epoch, so that training goes on after a kill
with the very batches it would have had.
"""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

SEEDS_PER_EPOCH = 1_000_003  # more than records in an epoch, so that seeds never meet


@dataclass(frozen=True)
class Batch:
    """Positions of records in the prepared set, their weights in the loss and their seeds.

    Where patients are answered for, `bags` says which of the batch's patients a record belongs to,
    and there is a weight a patient.
    """

    records: np.ndarray  # (batch,) int64
    weights: np.ndarray  # (batch,) float32; 0 for a record that only fills a batch
    seeds: np.ndarray  # (batch, 2) int64, for tf.random.stateless_*
    bags: np.ndarray | None = None  # (batch,) int64, ascending from 0

    @property
    def places(self) -> np.ndarray:
        """(batch,) which answer of the batch each record belongs to: its patient's, or its own."""
        return np.arange(len(self.records)) if self.bags is None else self.bags


@dataclass(frozen=True)
class TrainingPlan:
    """Epochs over the records of the training side."""

    records: np.ndarray  # positions in the prepared set
    labels: np.ndarray  # of these records; used by oversampling
    batch_size: int
    seed: int
    oversample: bool = False
    replicas: int = 1  # batches are filled up to a multiple of it, at weight 0

    @property
    def steps(self) -> int:
        """Batches of an epoch; the same in every epoch."""
        return -(-self._records_per_epoch() // self.batch_size)

    def order(self, epoch: int) -> np.ndarray:
        """Positions of the epoch's records, in order.

        With oversampling every class is drawn as often as the largest: each record the whole
        number of times that fits, and a seeded choice for the rest.
        """
        rng = np.random.default_rng([self.seed, epoch])
        if not self.oversample:
            return rng.permutation(self.records)
        drawn = []
        for label in np.unique(self.labels):
            own = rng.permutation(self.records[self.labels == label])
            drawn.append(np.resize(own, self._largest_class()))
        return rng.permutation(np.concatenate(drawn))

    def batches(self, epoch: int) -> Iterator[Batch]:
        """The epoch's batches, whose sizes differ by one at most.

        A last batch of the one or two records that are left over would give BatchNorm's statistics,
        which the network keeps, a variance of almost nothing.
        """
        order = self.order(epoch)
        starts = np.arange(self.steps + 1) * len(order) // self.steps
        for start, end in itertools.pairwise(starts.tolist()):
            records = order[start:end]
            real = len(records)
            fill = -real % self.replicas
            # Repeated records of the epoch: blank ones would corrupt BatchNorm's statistics.
            records = np.concatenate([records, np.resize(order, fill)])
            # The loss divides by the batch's size; real records count as if nothing was filled.
            weights = np.where(np.arange(real + fill) < real, (real + fill) / real, 0.0)
            index = epoch * SEEDS_PER_EPOCH + start + np.arange(real + fill)
            seeds = np.stack([np.full_like(index, self.seed), index], axis=-1)
            yield Batch(records.astype(np.int64), weights.astype(np.float32), seeds)

    def _largest_class(self) -> int:
        return int(np.unique(self.labels, return_counts=True)[1].max())

    def _records_per_epoch(self) -> int:
        if not self.oversample:
            return len(self.records)
        return self._largest_class() * len(np.unique(self.labels))


def plain_batches(records: np.ndarray, batch_size: int, replicas: int = 1) -> Iterator[Batch]:
    """Every record once, in order, the last partial batch included: validation and evaluation.

    A mean over all batches that divides by their sizes, as Keras' does, is the mean over the
    records, however many fill the batches.
    """
    sizes = [min(batch_size, len(records) - start) for start in range(0, len(records), batch_size)]
    weight = sum(size + -size % replicas for size in sizes) / max(len(records), 1)
    for start in range(0, len(records), batch_size):
        batch = np.asarray(records[start : start + batch_size], dtype=np.int64)
        real, fill = len(batch), -len(batch) % replicas
        batch = np.concatenate([batch, np.resize(records, fill).astype(np.int64)])
        weights = np.where(np.arange(real + fill) < real, weight, 0.0).astype(np.float32)
        yield Batch(batch, weights, np.zeros((real + fill, 2), dtype=np.int64))
