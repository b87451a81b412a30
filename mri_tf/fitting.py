"""One training from a prepared set to a finished run folder; pre-training and classifier alike."""

from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

import mri_tf
from mri_tf.assemble import build_network, load_network
from mri_tf.data.centroids import fit_centroids
from mri_tf.data.pipeline import (
    batch_function,
    ordered_batches,
    training_batches,
    walk,
)
from mri_tf.data.plan import TrainingPlan
from mri_tf.errors import InputError, some_of
from mri_tf.fingerprint import file_hash
from mri_tf.losses import class_weights, weighted_cross_entropy
from mri_tf.prepared import Prepared
from mri_tf.runs import (
    CHECKPOINT,
    FINISHED,
    RUNNING,
    Run,
    locked,
    start_or_continue,
)
from mri_tf.splits import SIDES
from mri_tf.task import Task, to_json
from mri_tf.training import Schedule, TrainingData, class_counts, has_accelerator, train

READ_AT_ONCE = 64  # records, where a whole side is walked through


def new_run(
    folder: Path, task: Task, prepared: Prepared, sides: list[np.ndarray], seed: int,
    split: str, features: Run | None = None,
) -> Run:  # fmt: skip
    """The values of a run that has not started; nothing is written."""
    features_place = ""
    if features is not None:
        inside = features.folder.resolve().is_relative_to(folder.resolve())
        features_place = (
            str(features.folder.resolve().relative_to(folder.resolve()))
            if inside
            else str(features.folder.resolve())
        )
    return Run(
        folder,
        {
            "task": to_json(task),
            "seed": seed,
            "data": prepared.content_fingerprint(),
            "data_folder": str(prepared.folder),
            "split": split,
            "sides": _by_side(prepared.record_ids, sides),
            "patients": {
                side: sorted(set(names))
                for side, names in _by_side(prepared.patients, sides).items()
            },
            "contents": _by_side(prepared.contents, sides),
            "features": features_place,
            "feature_task": features.values["task"] if features else None,
            "fitted": {},  # on the training side; filled when the training starts
            "feature_weights": features.values["weights_sha256"] if features else "",
            "versions": {"mri_tf": mri_tf.__version__, "tensorflow": tf.__version__,
                         "keras": keras.__version__},
            "state": RUNNING,
        },
    )  # fmt: skip


def fit_run(
    run: Run, prepared: Prepared, features: Run | None, devices: int, checkpoint_seconds=None
) -> Run:
    """Trains a run or continues it; returns it finished, the best weights in its folder."""
    with locked(run.folder):
        run = start_or_continue(run)
        if run.finished:
            return run
        task, seed = run.task, run.values["seed"]
        sides = positions_of(run, prepared)
        _check_classes(task, prepared, sides)
        strategy = _strategy(devices)
        replicas = strategy.num_replicas_in_sync
        plan = TrainingPlan(
            sides[0], prepared.labels[sides[0]], min(task.batch_size, len(sides[0])), seed,
            task.oversample, replicas,
        )  # fmt: skip
        run = run.save(fitted=fit_on_training_side(task, prepared, sides[0], seed))
        fitted = run.values["fitted"]
        counts = training_counts(task, prepared, sides[0], fitted)
        keras.utils.set_random_seed(seed)
        with strategy.scope():
            keras.config.set_dtype_policy(task.precision)
            try:
                model = build_network(task, load_network(features) if features else None)
            finally:
                keras.config.set_dtype_policy("float32")
            model.compile(
                optimizer=keras.optimizers.Adam(task.learning_rate, name="adam"),
                loss=weighted_cross_entropy(class_weights(counts, task.loss_weights)),
                # The augmentation's image op is not for XLA.
                jit_compile=False if has_accelerator() else "auto",
            )
            model.optimizer.build(model.trainable_variables)
        data = TrainingData(
            training=lambda first: training_batches(prepared, plan, first, task.epochs),
            validation=ordered_batches(
                walk(prepared, sides[1], plan.batch_size, replicas), task, fitted
            ),
            steps=plan.steps,
            prepare=batch_function(task, training=True, fitted=fitted),
            names_of=lambda epoch, step: _names(prepared, plan, epoch, step),
        )
        schedule = Schedule(task.epochs, task.patience, seed, run.identity())
        timing = {} if checkpoint_seconds is None else {"checkpoint_seconds": checkpoint_seconds}
        state = train(model, data, schedule, run.folder, has_accelerator(), **timing)
        scratch = run.folder / ".partial.weights.h5"
        model.save_weights(scratch)
        scratch.replace(run.weights)
        run = run.save(
            state=FINISHED,
            weights_sha256=file_hash(run.weights),
            epochs_trained=state.epoch,
            best_epoch=state.best_epoch + 1,
            training_counts=counts.tolist(),
            parameters=model.count_params(),
        )
        (run.folder / CHECKPOINT).unlink(missing_ok=True)
        return run


def positions_of(run: Run, prepared: Prepared) -> list[np.ndarray]:
    """Positions in the prepared set of the run's records, a side each; raises InputError."""
    if prepared.content_fingerprint() != run.values["data"]:
        raise InputError(
            "A run knows the prepared set it was trained on.",
            f"{prepared.folder}, which is another set or was prepared again",
            "Name the right one with --data.",
        )
    place = {name: number for number, name in enumerate(prepared.record_ids)}
    return [
        np.array([place[name] for name in run.sides[side]], dtype=np.int64) for side in SIDES
    ]


def fit_on_training_side(task: Task, prepared: Prepared, records: np.ndarray, seed: int) -> dict:
    """What is fitted to data and stored in the run, from the training side alone."""
    if not task.intensity_classes:
        return {}
    images = (
        image
        for batch in walk(prepared, records, READ_AT_ONCE)
        for image in batch["image"].numpy()
    )
    return {"centroids": fit_centroids(images, task.intensity_classes, seed).tolist()}


def training_counts(
    task: Task, prepared: Prepared, records: np.ndarray, fitted: dict
) -> np.ndarray:
    """How often each class occurs in the training side: records, or pixels of a segmentation."""
    class_count = len(task.output_names)
    if task.kind == "classification":
        return class_counts(prepared.labels[records], class_count)
    total = np.zeros(class_count, dtype=np.int64)
    for _, target, _ in ordered_batches(walk(prepared, records, READ_AT_ONCE), task, fitted):
        total += class_counts(target.numpy(), class_count)
    return total


def check_no_overlap(features: Run, prepared: Prepared, sides: list[np.ndarray]) -> None:
    """Refuses a feature network that saw patients of validation or test, by id or by pixels."""
    seen_patients = {name for side in SIDES[:2] for name in features.values["patients"][side]}
    seen_contents = {name for side in SIDES[:2] for name in features.values["contents"][side]}
    held_out = np.concatenate(sides[1:])
    leaked = sorted(
        {
            prepared.patients[record]
            for record in held_out
            if prepared.patients[record] in seen_patients
            or prepared.contents[record] in seen_contents
        }
    )
    if leaked:
        raise InputError(
            "The feature network saw no patient of the classifier's validation or test side.",
            some_of(leaked, 20),
            "Leave --features away to pre-train on the training side, or use other features.",
        )


def _by_side(values: np.ndarray, sides: list[np.ndarray]) -> dict[str, list[str]]:
    return {name: list(values[side]) for name, side in zip(SIDES, sides, strict=True)}


def _names(prepared: Prepared, plan: TrainingPlan, epoch: int, step: int) -> list[str]:
    for number, batch in enumerate(plan.batches(epoch)):
        if number == step:
            return sorted(set(prepared.record_ids[batch.records]))
    return []


def _check_classes(task: Task, prepared: Prepared, sides: list[np.ndarray]) -> None:
    if task.kind == "segmentation":
        return
    present = np.unique(prepared.labels[sides[0]])
    if len(present) < 2:
        raise InputError(
            "A classifier needs training records of at least two classes.",
            some_of(task.class_names[label] for label in present),
            "Add records of other classes.",
        )


def _strategy(devices: int) -> tf.distribute.Strategy:
    """One device, or MirroredStrategy over several; 0 means all GPUs there are.

    Without GPUs, `devices` logical CPUs are used.
    """
    gpus = tf.config.list_physical_devices("GPU")
    if devices > 1 and not gpus:
        cpu = tf.config.list_physical_devices("CPU")[0]
        if tf.config.get_logical_device_configuration(cpu) is None:
            parts = [tf.config.LogicalDeviceConfiguration()] * devices
            tf.config.set_logical_device_configuration(cpu, parts)
    kind = "GPU" if gpus else "CPU"
    names = [device.name for device in tf.config.list_logical_devices(kind)]
    wanted = devices or len(names)
    if wanted > len(names):
        raise InputError(
            "--devices counts devices of this machine.", f"{wanted} of {len(names)}", "Ask for less."
        )
    if wanted == 1:
        return tf.distribute.get_strategy()
    return tf.distribute.MirroredStrategy(names[:wanted])


