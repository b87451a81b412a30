"""Some records of a prepared set as a task reads them: their units, labels and batches."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
import tensorflow as tf

from mri_tf.pipeline.bags import BagPlan, plain_bag_batches
from mri_tf.pipeline.batches import (
    eval_batches,
    read_bags_in_order,
    read_in_order,
    training_batches,
)
from mri_tf.pipeline.epoch_plan import Batch, TrainingPlan, plain_batches
from mri_tf.pipeline.field_of_view import Cut, cut_function
from mri_tf.splits.units import answering_records, bags_of, select_slices
from mri_tf.store.prepared import Prepared
from mri_tf.store.run import Run, positions_of
from mri_tf.store.scanners import batches_of, numbers_of
from mri_tf.task import Task
from mri_tf.task.harmonise import combat_batch

RECORDS_PER_BATCH = 64  # where a whole side is read for statistics
COMBAT_KNOWN = "combat"  # in what a run fitted: which sites or scanners it corrects
COMBAT_NUMBER = "combat_batch"  # of a record in a raw batch, and in an exported model's signature


@dataclass(frozen=True)
class Subset:
    """Records of a prepared set, the task that reads them, and what was fitted for reading them.

    A *unit* is what the task answers for: a record, or a patient with all slices (`bag`).

    Attributes:
        task: how records are read.
        prepared: the set.
        records: (records,) int64 positions in the set.
        fitted: what the run fitted on its training side: a spacing, centroids, landmarks of histograms,
            which sites or scanners have a correction; empty if nothing.
    """

    task: Task
    prepared: Prepared
    records: np.ndarray
    fitted: dict = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.records)

    def of(self, records: np.ndarray) -> "Subset":
        """Other records of the same set."""
        return replace(self, records=records)

    @cached_property
    def units(self) -> np.ndarray:
        """(units,) positions of one record a unit: every record, or the first one of each patient."""
        return answering_records(self.task, self.prepared, self.records)

    @property
    def labels(self) -> np.ndarray:
        """(units,) class numbers."""
        return self.prepared.labels[self.units]

    @property
    def patients(self) -> np.ndarray:
        """(units,) patient ids."""
        return self.prepared.patients[self.units]

    @cached_property
    def bags(self) -> list[np.ndarray]:
        """Record positions of each patient."""
        return bags_of(self.prepared, self.records)

    @cached_property
    def combat_numbers(self) -> np.ndarray:
        """(records,) 1 + the place of each record's site or scanner among those whose features the run
        corrects; 0 where it is none of these."""
        known = self.fitted[COMBAT_KNOWN]["batches"]
        names = batches_of(self.prepared, self.records, combat_batch(self.task))
        return numbers_of(names, known)

    def thinned(self) -> "Subset":
        """The records that a network is given: where slices lie closer than fitted, some of them."""
        return self.of(select_slices(self.task, self.prepared, self.records, self.fitted))

    def label_counts(self) -> np.ndarray:
        """(classes,) how often each class occurs: in units, or in the pixels of a segmentation."""
        class_count = len(self.task.output_names)
        if self.task.kind == "classification":
            return np.bincount(self.labels, minlength=class_count)[:class_count]
        counts = np.zeros(class_count, dtype=np.int64)
        for _, masks, _ in self.whole_batches(min(RECORDS_PER_BATCH, self.task.batch_size)):
            counts += np.bincount(np.ravel(masks), minlength=class_count)[:class_count]
        return counts

    def plan(self, seed: int, replicas: int) -> TrainingPlan | BagPlan:
        """Epochs over the records, or over the patients with all of their slices."""
        drawn = np.arange(len(self.bags)) if self.task.bag else self.records
        batch_size = min(self.task.batch_size, len(drawn))
        plan = TrainingPlan(drawn, self.labels, batch_size, seed, self.task.oversample, replicas)
        return BagPlan(self.bags, plan) if self.task.bag else plan

    def training_batches(self, plan: TrainingPlan | BagPlan, first_epoch: int) -> tf.data.Dataset:
        """Raw batches of the plan's epochs from `first_epoch` on."""
        return training_batches(self.prepared, plan, first_epoch, self.task, self.fitted)

    def raw_batches(self, batch_size: int, cut: Cut | None = None) -> tf.data.Dataset:
        """Raw batches of every record once, in order; whole records unless there is a `cut`. With the
        numbers of their sites or scanners, where the run corrects features by them."""
        batches = read_in_order(self.prepared, self.records, batch_size, cut=cut)
        if COMBAT_KNOWN not in self.fitted:
            return batches
        numbers = tf.data.Dataset.from_tensor_slices(self.combat_numbers.astype(np.float32))
        pairs = tf.data.Dataset.zip((batches, numbers.batch(batch_size)))
        return pairs.map(lambda batch, own: {**batch, COMBAT_NUMBER: own})

    def raw_bags(self, batch_size: int, cut: Cut | None = None) -> tf.data.Dataset:
        """Raw batches of every patient once, in order, with all slices."""
        return read_bags_in_order(self.prepared, self.bags, batch_size, cut=cut)

    def whole_batches(self, batch_size: int) -> tf.data.Dataset:
        """(image, target, weight) of whole records in order, normalised, nothing augmented."""
        return eval_batches(self.raw_batches(batch_size), self.task, self.fitted)

    def eval_batches(self, batch_size: int, replicas: int = 1) -> tf.data.Dataset:
        """(image, target, weight) of every unit once, in order, as the network sees it when tested."""
        read, units = read_in_order, self.records
        if self.task.bag:
            read, units = read_bags_in_order, self.bags
        raw = read(self.prepared, units, batch_size, replicas, self.cut(training=False))
        return eval_batches(raw, self.task, self.fitted)

    def plain_batches(self, batch_size: int, replicas: int) -> Iterator[Batch]:
        """Positions of every unit's records once, in order."""
        if self.task.bag:
            return plain_bag_batches(self.bags, batch_size, replicas)
        return plain_batches(self.records, batch_size, replicas)

    def cut(self, training: bool) -> Cut | None:
        """What takes the part of a record that the network sees; None for all of it."""
        return cut_function(self.task, training, self.fitted)


def subset_of(run: Run, prepared: Prepared, records: np.ndarray) -> Subset:
    """Records of a set as a run reads them."""
    return Subset(run.task, prepared, records, run.values["fitted"])


def run_sides(run: Run, prepared: Prepared) -> list[Subset]:
    """Training, validation and test side of a run; raises InputError for another prepared set."""
    return [subset_of(run, prepared, records) for records in positions_of(run, prepared)]
