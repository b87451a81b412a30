"""What a training is fed: batches of images or of a frozen prefix's features, and validation batches."""

from dataclasses import dataclass, replace
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from mri_tf.calibration.class_balance import class_counts
from mri_tf.pipeline.bags import BagPlan
from mri_tf.pipeline.batches import batch_function
from mri_tf.pipeline.epoch_plan import TrainingPlan
from mri_tf.pipeline.subset import Subset
from mri_tf.train.bank_batches import bank_batches, every_record
from mri_tf.train.feature_bank import Bank, BankSource, bank_identity, fill_bank
from mri_tf.train.loop import TrainingData

BANKS = ".banks"  # folder of frozen features inside a run, while it trains


def feed_images(
    training: Subset, validation: Subset, plan: TrainingPlan | BagPlan
) -> TrainingData:
    """Batches of images, augmented anew each time they are drawn."""
    return TrainingData(
        training=lambda first: training.training_batches(plan, first),
        validation=validation.eval_batches(plan.batch_size, plan.replicas),
        steps=plan.steps,
        prepare=batch_function(training.task, training=True, fitted=training.fitted),
        names_of=lambda epoch, step: _names(training, plan, epoch, step),
    )


@dataclass(frozen=True)
class StoredSide:
    """The features of a side's records, as far as a network is frozen."""

    source: BankSource
    bank: Bank


def store_features(
    training: Subset, validation: Subset, seed: int, prefix: keras.Model, folder: Path
) -> tuple[StoredSide, StoredSide]:
    """Both sides with the features of `prefix`, computed into `folder` or found there."""
    sides = []
    for subset, is_training in ((training, True), (validation, False)):
        source = BankSource(subset, seed, is_training)
        identity = bank_identity(prefix, source)
        bank = fill_bank(folder / identity[:16], prefix, source, identity)
        sides.append(StoredSide(source, bank))
    return tuple(sides)


def feed_features(
    sides: tuple[StoredSide, StoredSide], plan: TrainingPlan | BagPlan, inputs: list
) -> TrainingData:
    """Batches of stored features; `inputs` are those of the network that takes them."""
    training, validation = sides
    ordered = list(validation.source.subset.plain_batches(plan.batch_size, plan.replicas))
    return TrainingData(
        training=lambda first: bank_batches(training.bank, plan, first, training.source, inputs),
        validation=every_record(validation.bank, ordered, validation.source, inputs),
        steps=plan.steps,
        prepare=None,
        names_of=lambda epoch, step: _names(training.source.subset, plan, epoch, step),
    )


def balance_validation(data: TrainingData, validation: Subset, counts: np.ndarray) -> TrainingData:
    """Weighs the classes of the validation loss as the training draws them.

    With oversampling every class weighs the same. Otherwise the epoch with the lowest loss would be
    the one that happens to lean towards the common classes, and correcting the prior would lean once
    more.

    Args:
        data: what the training is fed.
        validation: the validation side.
        counts: (classes,) of the training side.
    """
    task, labels = validation.task, validation.labels
    if not task.oversample or task.kind == "segmentation":
        return data
    present = np.where(counts > 0, class_counts(labels, len(counts)), 0)  # of classes trained on
    even = len(labels) / max(np.count_nonzero(present), 1)
    factors = np.divide(even, present, out=np.zeros(len(present)), where=present > 0)
    factors = tf.constant(factors, tf.float32)
    return replace(
        data,
        validation=data.validation.map(
            lambda image, label, weight: (image, label, weight * tf.gather(factors, label))
        ),
    )


def _names(subset: Subset, plan: TrainingPlan | BagPlan, epoch: int, step: int) -> list[str]:
    """Ids of the records of one step."""
    for number, batch in enumerate(plan.batches(epoch)):
        if number == step:
            return sorted(set(subset.prepared.record_ids[batch.records]))
    return []
