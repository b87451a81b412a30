"""What a run is trained on: its sides, and what is fitted to the training side."""

from dataclasses import dataclass, replace

import numpy as np

from mri_tf.core.errors import InputError, first_few
from mri_tf.core.progress import progress
from mri_tf.pipeline.bags import BagPlan
from mri_tf.pipeline.epoch_plan import TrainingPlan
from mri_tf.pipeline.field_of_view import check_masks
from mri_tf.pipeline.histogram_matching import fit_standard, in_units_of_fit, matches_histograms
from mri_tf.pipeline.intensity_classes import fit_centroids
from mri_tf.pipeline.spacing import fit_spacing
from mri_tf.pipeline.subset import RECORDS_PER_BATCH, Subset
from mri_tf.splits.units import case_spacing, cases_of
from mri_tf.store.prepared import Prepared
from mri_tf.store.run import Run, positions_of
from mri_tf.task import Task
from mri_tf.task.harmonise import combat_batch
from mri_tf.train.batches_of_combat import known_batches


@dataclass(frozen=True)
class Inputs:
    """What a run is trained on.

    Attributes:
        training: the training side, its records thinned to what the network is given.
        validation: the validation side without what is reserved, likewise.
        reserved: the part of the validation side that only sets the threshold of prediction sets.
        counts: (classes,) how often each class occurs on the training side.
        plan: the order of records in each epoch.
    """

    training: Subset
    validation: Subset
    reserved: Subset
    counts: np.ndarray
    plan: TrainingPlan | BagPlan

    def fitted_with(self, fitted: dict) -> "Inputs":
        """The same sides, read with what was fitted when the training had ended."""
        sides = ("training", "validation", "reserved")
        return replace(self, **{name: replace(getattr(self, name), fitted=fitted) for name in sides})


def read_inputs(run: Run, prepared: Prepared, replicas: int) -> Inputs:
    """Checks the records of a run and fits to the training side what the task fits."""
    task, seed = run.task, run.values["seed"]
    sides = positions_of(run, prepared)
    _check_classes(task, prepared, sides)
    check_masks(task, prepared)
    if combat_batch(task):
        known_batches(Subset(task, prepared, sides[0]))  # said now, not after the features
    fitted = fit_on_training_side(Subset(task, prepared, sides[0]), seed)
    names = (run.values.get("reserved") or {}).get("records", [])
    is_reserved = np.isin(prepared.record_ids[sides[1]], names)
    training, validation, reserved = (
        Subset(task, prepared, records, fitted).thinned()
        for records in (sides[0], sides[1][~is_reserved], sides[1][is_reserved])
    )
    counts = training.label_counts()
    return Inputs(training, validation, reserved, counts, training.plan(seed, replicas))


def fit_on_training_side(training: Subset, seed: int) -> dict:
    """What is fitted to data and stored in the run, from the training side alone."""
    task, prepared = training.task, training.prepared
    if matches_histograms(task):
        return _standard_landmarks(training)
    if task.spacing:
        cases = cases_of(prepared, training.records)
        return fit_spacing(np.array([case_spacing(prepared, case) for case in cases]))
    if not task.intensity_classes:
        return {}
    batches = training.raw_batches(min(RECORDS_PER_BATCH, task.batch_size))
    images = (image for batch in batches for image in batch["image"].numpy())
    return {"centroids": fit_centroids(images, task.intensity_classes, seed).tolist()}


def _standard_landmarks(training: Subset) -> dict:
    """The landmarks of the histograms of all training records, see `fit_standard`."""
    task, prepared = training.task, training.prepared
    found, zeros, done = [], [], 0
    with progress("histograms", len(training)) as advance:
        for batch in training.raw_batches(min(RECORDS_PER_BATCH, task.batch_size)):
            one, zero = in_units_of_fit(batch["image"], batch["intensity_stats"], task)
            found.append(one)
            zeros.append(zero)
            done += len(one)
            advance(done)
    patients = prepared.patients[training.records]
    return fit_standard(np.concatenate(found), np.concatenate(zeros), patients, task.image_channels)


def _check_classes(task: Task, prepared: Prepared, sides: list[np.ndarray]) -> None:
    if task.kind == "segmentation":
        return
    present = np.unique(prepared.labels[sides[0]])
    if len(present) < 2:
        raise InputError(
            "The training side needs records of at least two classes.",
            first_few(task.class_names[label] for label in present),
            "Add records of other classes.",
        )
