"""One training from a prepared set to a finished run folder; pre-training and classifier alike."""

import os
import shutil
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

import mri_tf
from mri_tf.calibration.calibrator import fit_calibrator, to_values
from mri_tf.calibration.class_balance import class_counts, class_weights
from mri_tf.core.errors import InputError, first_few
from mri_tf.core.hashing import content_hash, file_hash, fingerprint
from mri_tf.network.build import build_parts, load_network, takes_weights, wrap_for_training
from mri_tf.network.fine_tuning import callbacks_of, make_optimizer
from mri_tf.network.inference import predict_records
from mri_tf.pipeline.bags import BagPlan
from mri_tf.pipeline.batches import eval_batches, read_in_order, report_damage
from mri_tf.pipeline.epoch_plan import TrainingPlan
from mri_tf.pipeline.field_of_view import check_masks
from mri_tf.pipeline.intensity_classes import fit_centroids
from mri_tf.pipeline.spacing import fit_spacing
from mri_tf.splits.leakage import seen_by
from mri_tf.splits.sides import Sides
from mri_tf.splits.units import answered, bags_of, case_spacing, cases_of, select_slices
from mri_tf.store.prepared import Prepared
from mri_tf.store.run import FINISHED, RUNNING, Run, locked, positions_of, start_or_continue
from mri_tf.task import Task
from mri_tf.task.settings import fine_tuning_of
from mri_tf.task.spec import SIDES, to_json
from mri_tf.train.checkpoint import FILE
from mri_tf.train.devices import has_accelerator, strategy
from mri_tf.train.feed import BANKS, count_as_drawn, feed_features, feed_images
from mri_tf.train.frozen_prefix import split_at_frozen
from mri_tf.train.loop import Schedule, train
from mri_tf.train.loss import weighted_cross_entropy

READ_AT_ONCE = 64  # records, where a whole side is walked through


def new_run(
    folder: Path, task: Task, prepared: Prepared, chosen: Sides, seed: int,
    features: Run | None = None,
) -> Run:
    """The values of a run that has not started; nothing is written."""
    sides, natural = chosen.records, chosen.natural_counts
    return Run(
        folder,
        {
            "task": to_json(task),
            "seed": seed,
            "data": prepared.content_fingerprint(),
            "layout": prepared.manifest.get("layout"),
            "data_folder": os.path.relpath(prepared.folder, folder),
            "split": chosen.mode,
            "natural_counts": None if natural is None else natural.tolist(),
            "sides": _by_side(prepared.record_ids, sides),
            "patients": {
                side: sorted(set(names))
                for side, names in _by_side(prepared.patients, sides).items()
            },
            "seen": seen_by(prepared, sides, features),
            "feature_task": features.values["task"] if features and task.features_from else None,
            "fitted": {},  # on the training side; filled when the training starts
            "feature_weights": features.values["weights_sha256"] if features else "",
            "versions": {"mri_tf": mri_tf.__version__, "tensorflow": tf.__version__,
                         "keras": keras.__version__},
            "state": RUNNING,
        },
    )  # fmt: skip


def fit_run(
    run: Run, prepared: Prepared, features: Run | None, devices: int, checkpoint_seconds=None,
    banks: Path | None = None,
) -> Run:
    """Trains a run or continues it; returns it finished, the best weights in its folder.

    Banked features are the run's own, and gone with the end of the training, unless `banks` is a folder
    of several runs'.
    """
    with locked(run.folder):
        run = start_or_continue(run)
        if run.finished:
            return run
        task, seed = run.task, run.values["seed"]
        sides = positions_of(run, prepared)
        _check_classes(task, prepared, sides)
        check_masks(task, prepared)
        where = strategy(devices)
        replicas = where.num_replicas_in_sync
        with report_damage(prepared):
            fitted = fit_on_training_side(task, prepared, sides[0], seed)
            sides = [select_slices(task, prepared, side, fitted) for side in sides]
            counts = training_counts(task, prepared, sides[0], fitted)
        plan = _plan(task, prepared, sides[0], seed, replicas)
        run = run.save(fitted=fitted)
        keras.utils.set_random_seed(seed)
        with where.scope():
            keras.config.set_dtype_policy(task.precision)
            try:
                parts = build_parts(task, load_network(features) if features else None)
                model = wrap_for_training(task, parts)
            finally:
                keras.config.set_dtype_policy("float32")
            views = split_at_frozen(parts.network) if task.feature_bank else None
            # Layers are shared: training the suffix trains the model.
            trained = wrap_for_training(task, parts, views[1]) if views else model
            settings = fine_tuning_of(task)
            trained.compile(
                optimizer=make_optimizer(settings, task.learning_rate, trained.trainable_variables),
                loss=weighted_cross_entropy(class_weights(counts, task.loss_weights)),
                # The augmentation's image op is not for XLA.
                jit_compile=False if has_accelerator() else "auto",
            )
            trained.optimizer.build(trained.trainable_variables)
            callbacks = callbacks_of(settings, trained.optimizer)  # now: it has its first rates
        identity = run.identity()
        if takes_weights(task):  # the file may be another one when the training continues
            identity = fingerprint([identity, *map(content_hash, parts.network.get_weights())])
        schedule = Schedule(task.epochs, task.patience, seed, identity)
        timing = {} if checkpoint_seconds is None else {"checkpoint_seconds": checkpoint_seconds}
        with report_damage(prepared):
            if views:
                data = feed_features(run, prepared, sides, plan, views[0], banks or run.folder / BANKS)
            else:
                data = feed_images(task, prepared, sides, plan, fitted)
            counted = answered(task, prepared, sides[1])
            data = count_as_drawn(data, task, prepared.labels[counted], counts)
            # Under a strategy Keras builds the loss on the raw batch, before a train step.
            on_device = has_accelerator() and replicas == 1
            state = train(trained, data, schedule, run.folder, on_device, callbacks, **timing)
        scratch = run.folder / ".partial.weights.h5"
        model.save_weights(scratch)
        scratch.replace(run.weights)
        run = run.save(
            state=FINISHED,
            answers=_answers(run, prepared, sides[1], counts),
            weights_sha256=file_hash(run.weights),
            epochs_trained=state.epoch,
            best_epoch=state.best_epoch + 1,
            training_counts=counts.tolist(),
            parameters=model.count_params(),
        )
        (run.folder / FILE).unlink(missing_ok=True)
        shutil.rmtree(run.folder / BANKS, ignore_errors=True)
        return run


def _answers(run: Run, prepared: Prepared, validation: np.ndarray, counts: np.ndarray) -> dict | None:
    """How a classifier's outputs become answers, fitted on the validation side."""
    if run.task.kind == "segmentation":
        return None
    outputs = predict_records(load_network(run), run, prepared, validation)
    counted = answered(run.task, prepared, validation)
    labels, patients = prepared.labels[counted], prepared.patients[counted]
    both = (counts, run.values["natural_counts"])
    return to_values(fit_calibrator(outputs, labels, patients, run.task, both))


def _plan(
    task: Task, prepared: Prepared, records: np.ndarray, seed: int, replicas: int
) -> TrainingPlan | BagPlan:
    """Epochs over the training side's records, or over its patients with all of their slices."""
    bags = bags_of(prepared, records) if task.bag else None
    drawn = np.arange(len(bags)) if task.bag else records
    labels = prepared.labels[answered(task, prepared, records)]
    size = min(task.batch_size, len(drawn))
    plan = TrainingPlan(drawn, labels, size, seed, task.oversample, replicas)
    return BagPlan(bags, plan) if task.bag else plan


def fit_on_training_side(task: Task, prepared: Prepared, records: np.ndarray, seed: int) -> dict:
    """What is fitted to data and stored in the run, from the training side alone."""
    if task.spacing:
        cases = cases_of(prepared, records)
        return fit_spacing(np.array([case_spacing(prepared, case) for case in cases]))
    if not task.intensity_classes:
        return {}
    images = (
        image
        for batch in read_in_order(prepared, records, READ_AT_ONCE)
        for image in batch["image"].numpy()
    )
    return {"centroids": fit_centroids(images, task.intensity_classes, seed).tolist()}


def training_counts(
    task: Task, prepared: Prepared, records: np.ndarray, fitted: dict
) -> np.ndarray:
    """How often each class occurs in the training side: records (or patients, where they are
    answered for), or pixels of a segmentation."""
    class_count = len(task.output_names)
    if task.kind == "classification":
        return class_counts(prepared.labels[answered(task, prepared, records)], class_count)
    total = np.zeros(class_count, dtype=np.int64)
    for _, target, _ in eval_batches(read_in_order(prepared, records, READ_AT_ONCE), task, fitted):
        total += class_counts(target.numpy(), class_count)
    return total


def _by_side(values: np.ndarray, sides: list[np.ndarray]) -> dict[str, list[str]]:
    return {name: list(values[side]) for name, side in zip(SIDES, sides, strict=True)}


def _check_classes(task: Task, prepared: Prepared, sides: list[np.ndarray]) -> None:
    if task.kind == "segmentation":
        return
    present = np.unique(prepared.labels[sides[0]])
    if len(present) < 2:
        raise InputError(
            "A classifier needs training records of at least two classes.",
            first_few(task.class_names[label] for label in present),
            "Add records of other classes.",
        )
