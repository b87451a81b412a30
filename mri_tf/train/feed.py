"""What a training is fed: batches of images or of a frozen prefix's features; validation batches."""

from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from mri_tf.calibration.class_balance import class_counts
from mri_tf.pipeline.bags import BagPlan, plain_bag_batches
from mri_tf.pipeline.batches import (
    batch_function,
    eval_batches,
    read_bags_in_order,
    read_in_order,
    training_batches,
)
from mri_tf.pipeline.epoch_plan import TrainingPlan, plain_batches
from mri_tf.pipeline.field_of_view import cut_function
from mri_tf.splits.units import bags_of
from mri_tf.store.prepared import Prepared
from mri_tf.store.run import Run
from mri_tf.task import Task
from mri_tf.train.feature_bank import Side, bank_batches, bank_identity, every_record, fill_bank
from mri_tf.train.loop import TrainingData

BANKS = ".banks"  # of frozen features, in the run's folder while it trains


def feed_images(
    task: Task, prepared: Prepared, sides: list[np.ndarray], plan: TrainingPlan | BagPlan, fitted: dict
) -> TrainingData:
    """Batches of images, augmented anew each time."""
    batches, cut = (plan.batch_size, plan.replicas), cut_function(task, False, fitted)
    if task.bag:
        raw = read_bags_in_order(prepared, bags_of(prepared, sides[1]), *batches, cut)
    else:
        raw = read_in_order(prepared, sides[1], *batches, cut)
    return TrainingData(
        training=lambda first: training_batches(prepared, plan, first, task, fitted),
        validation=eval_batches(raw, task, fitted),
        steps=plan.steps,
        prepare=batch_function(task, training=True, fitted=fitted),
        names_of=lambda epoch, step: _names(prepared, plan, epoch, step),
    )


def feed_features(
    run: Run,
    prepared: Prepared,
    sides: list[np.ndarray],
    plan: TrainingPlan | BagPlan,
    prefix: keras.Model,
    folder: Path,
) -> TrainingData:
    """Batches of the frozen prefix's features, computed once or found in `folder`, that of banks."""
    task, seed, fitted = run.task, plan.seed, run.values["fitted"]
    training = Side(prepared, sides[0], task, seed, task.feature_bank, training=True, fitted=fitted)
    validation = Side(prepared, sides[1], task, seed, 0, training=False, fitted=fitted)
    banks = []
    for side in (training, validation):
        identity = bank_identity(prefix, side)
        banks.append(fill_bank(folder / identity[:16], prefix, side, identity))
    if task.bag:
        ordered = plain_bag_batches(bags_of(prepared, sides[1]), plan.batch_size, plan.replicas)
    else:
        ordered = plain_batches(sides[1], plan.batch_size, plan.replicas)
    return TrainingData(
        training=lambda first: bank_batches(banks[0], plan, first, training, prefix.outputs),
        validation=every_record(banks[1], list(ordered), validation, prefix.outputs),
        steps=plan.steps,
        prepare=None,
        names_of=lambda epoch, step: _names(prepared, plan, epoch, step),
    )


def count_as_drawn(
    data: TrainingData, task: Task, labels: np.ndarray, counts: np.ndarray
) -> TrainingData:
    """The same data; the validation loss counts classes as the training draws them.

    `labels` are those of the validation side, `counts` those of the training side. With oversampling
    every class weighs the same. Otherwise the epoch with the lowest loss would be the one that
    happens to lean towards the common classes, and correcting the prior would lean once more.
    """
    if not task.oversample or task.kind == "segmentation":
        return data
    there = np.where(counts > 0, class_counts(labels, len(counts)), 0)  # of classes trained on
    even = len(labels) / max(np.count_nonzero(there), 1)
    factors = np.divide(even, there, out=np.zeros(len(there)), where=there > 0)
    factors = tf.constant(factors, tf.float32)
    return replace(
        data,
        validation=data.validation.map(
            lambda image, label, weight: (image, label, weight * tf.gather(factors, label))
        ),
    )


def _names(prepared: Prepared, plan: TrainingPlan, epoch: int, step: int) -> list[str]:
    for number, batch in enumerate(plan.batches(epoch)):
        if number == step:
            return sorted(set(prepared.record_ids[batch.records]))
    return []
