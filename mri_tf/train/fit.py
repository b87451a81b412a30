"""Trains one network, of a classifier or for pre-training, and writes its run folder."""

import shutil
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np
import pandas as pd
import tensorflow as tf

from mri_tf.calibration.answers import answers_to_json
from mri_tf.calibration.calibrator import (
    NOT_RESERVED,
    fit_calibrator,
    with_prediction_sets,
    without_prediction_sets,
)
from mri_tf.calibration.class_balance import class_weights
from mri_tf.core.files import write_table
from mri_tf.core.hashing import content_hash, file_hash, fingerprint
from mri_tf.evaluate.context import COUNTS, is_counted, neighbour_counts
from mri_tf.evaluate.familiarity import fit_familiarity, save_familiarity
from mri_tf.evaluate.outputs_table import known_columns, output_columns
from mri_tf.network.build import (
    Parts,
    PreparingModel,
    build_parts,
    load_network,
    takes_weights,
    wrap_for_training,
)
from mri_tf.network.fine_tuning import Steps, callbacks_of, make_optimizer
from mri_tf.network.inference import predict_records
from mri_tf.network.starting_statistics import FILE as STARTING_STATISTICS
from mri_tf.network.starting_statistics import begin_from_training_side
from mri_tf.pipeline.batches import report_damage
from mri_tf.pipeline.subset import Subset
from mri_tf.store.continued import start_or_continue
from mri_tf.store.frozen import TEST_LOCK, frozen_result
from mri_tf.store.prepared import Prepared
from mri_tf.store.run import FINISHED, VALIDATION, Run, locked
from mri_tf.task import Task
from mri_tf.task.rules import ACCURACY
from mri_tf.task.settings import fine_tuning_of
from mri_tf.train.batches_of_combat import fitted_combat
from mri_tf.train.checkpoint import FILE, TrainingState
from mri_tf.train.devices import has_accelerator, strategy
from mri_tf.train.feed import (
    BANKS,
    balance_validation,
    feed_features,
    feed_images,
    store_features,
)
from mri_tf.train.frozen_prefix import split_at_frozen
from mri_tf.train.inputs import Inputs, read_inputs
from mri_tf.train.loop import USUAL, Checkpoints, Schedule, train
from mri_tf.train.loss import right_answers, weighted_cross_entropy, with_soft_dice
from mri_tf.train.probe import fit_probe, is_probe, split_at_features


@dataclass(frozen=True)
class Network:
    """The network of a run, compiled.

    Attributes:
        parts: the network of single images, and what weighs the slices of a patient.
        whole: image -> output; its weights are the run's.
        trained: what the training loop fits: `whole`, or the part behind a frozen prefix. Layers are
            shared, so training the part trains the whole.
        prefix: the frozen part whose features are computed once; None where there is none.
        callbacks: of the optimizer's learning rates.
    """

    parts: Parts
    whole: PreparingModel
    trained: PreparingModel
    prefix: keras.Model | None
    callbacks: list


def fit_run(
    run: Run, prepared: Prepared, features: Run | None, devices: int,
    checkpoints: Checkpoints = USUAL, banks: Path | None = None,
) -> Run:  # fmt: skip
    """Trains a run, or continues it where it was interrupted.

    Args:
        run: as `new_run` makes it, or the same run from disk.
        prepared: its prepared set.
        features: the finished run whose network feeds the classifier; None where there is none.
        devices: how many GPUs or logical CPUs train together.
        checkpoints: how often it is saved, and when it stops.
        banks: a folder of frozen features that several runs share. Without it the run keeps its own,
            which are removed at the end of the training.

    Returns:
        The finished run, the best weights in its folder.

    Raises:
        InputError: the data does not fit the task, or the folder holds another run.
        RunFailed: the loss became NaN or infinite.
        OutOfTime: the deadline came; the checkpoint in the folder is of the last epoch.
    """
    with locked(run.folder):
        run = start_or_continue(run)
        if run.finished:
            return run
        checkpoints.deadline.check(f"the training of {run.task.name} comes next")
        replicas = strategy(devices)
        with report_damage(prepared):
            inputs = read_inputs(run, prepared, replicas.num_replicas_in_sync)
        run = run.save(fitted=inputs.training.fitted)
        network = _build_network(run, features, inputs, replicas)
        if not is_probe(network.parts.network):
            begin_from_training_side(network.parts.network, inputs.training, run.folder)
        on_device = has_accelerator() and replicas.num_replicas_in_sync == 1
        with report_damage(prepared):
            state = _train(run, inputs, network, on_device, checkpoints, banks)
        return _save_finished(run, inputs, network.whole, state)


def _build_network(
    run: Run, features: Run | None, inputs: Inputs, replicas: tf.distribute.Strategy
) -> Network:
    """The run's network with fresh weights from its seed, compiled."""
    task = run.task
    total = inputs.plan.steps * task.epochs_of(inputs.plan.steps)
    steps = Steps(total, task.warm_up, task.schedule == "cosine", task.clip_norm)
    keras.utils.set_random_seed(run.values["seed"])
    with replicas.scope():
        keras.config.set_dtype_policy(run.precision)
        try:
            parts = build_parts(task, load_network(features) if features else None)
            whole = wrap_for_training(task, parts)
            prefix, suffix = _cut(parts.network, task) or (None, None)
            trained = wrap_for_training(task, parts, suffix) if prefix else whole
        finally:
            keras.config.set_dtype_policy("float32")
        compile_network(trained, task, inputs.counts, steps)
        trained.optimizer.build(trained.trainable_variables)
        # They read the first rates.
        callbacks = callbacks_of(fine_tuning_of(task), trained.optimizer, steps)
    return Network(parts, whole, trained, prefix, callbacks)


def _cut(network: keras.Model, task: Task) -> tuple[keras.Model, keras.Model] | None:
    """(frozen part whose features are stored, the rest), where there is such a part."""
    if is_probe(network):
        return split_at_features(network)
    return split_at_frozen(network) if task.feature_bank else None


def compile_network(network: keras.Model, task: Task, counts: np.ndarray, steps: Steps) -> None:
    """Gives a network the optimizer and the loss of its task, and the accuracy where that chooses the
    epoch, with the weights of the loss: what only fills a batch does not count.

    Args:
        counts: (classes,) records, or pixels of a segmentation, of each class on the training side.
        steps: how the learning rates and gradients are treated.
    """
    variables = network.trainable_variables
    entropy = weighted_cross_entropy(class_weights(counts, task.loss_weights), task.label_smoothing)
    metrics = None
    if task.choose_epoch == ACCURACY:
        metrics = [keras.metrics.MeanMetricWrapper(right_answers, name="accuracy")]
    network.compile(
        optimizer=make_optimizer(fine_tuning_of(task), task.learning_rate, variables, steps),
        loss=with_soft_dice(entropy, task.dice_share),
        weighted_metrics=metrics,
        # Whether XLA pays on a GPU, augmentation included, has not been measured.
        jit_compile=False if has_accelerator() else "auto",
    )


def _train(
    run: Run, inputs: Inputs, network: Network, on_device: bool, checkpoints: Checkpoints,
    banks: Path | None,
) -> TrainingState:  # fmt: skip
    """Trains from the last checkpoint, if there is one, to the end."""
    task = run.task
    identity = run.identity()
    if takes_weights(task):  # the file may be another one when the training continues
        weights = map(content_hash, network.parts.network.get_weights())
        identity = fingerprint([identity, *weights])
    each = inputs.plan.steps  # of an epoch
    schedule = Schedule(
        task.epochs_of(each), task.patience, run.values["seed"], identity, task.name,
        choose=task.choose_epoch, first=-(-task.warm_up // each), average=task.average,
    )  # fmt: skip
    sides = (inputs.training, inputs.validation)
    if network.prefix:
        stored = store_features(*sides, run.values["seed"], network.prefix, banks or run.folder / BANKS)
        if is_probe(network.parts.network):
            return fit_probe(network.parts.network, stored, inputs.counts, run.folder)
        data = feed_features(stored, inputs.plan, network.prefix.outputs)
    else:
        data = feed_images(*sides, inputs.plan)
    data = balance_validation(data, inputs.validation, inputs.counts)
    return train(
        network.trained, data, schedule, run.folder, on_device, network.callbacks, checkpoints
    )


def _save_finished(run: Run, inputs: Inputs, model: PreparingModel, state: TrainingState) -> Run:
    """Writes weights and run.json, and removes what only an unfinished run needs."""
    scratch = run.folder / ".partial.weights.h5"
    model.save_weights(scratch)
    scratch.replace(run.weights)
    run = run.save(fitted=run.values["fitted"] | fitted_combat(inputs.training, run.folder))
    inputs = inputs.fitted_with(run.values["fitted"])
    trained = load_network(run)
    familiar = fit_familiarity(inputs.training, inputs.validation, trained)
    result = {
        "state": FINISHED,
        "answers": _calibrate(run, trained, inputs),
        "familiar": save_familiarity(familiar, run.folder),
        "weights_sha256": file_hash(run.weights),
        "epochs_trained": state.epoch,
        "best_epoch": state.best_epoch + 1,
        "training_counts": inputs.counts.tolist(),
        "parameters": model.count_params(),
    }
    if is_counted(run.task):
        result[COUNTS] = neighbour_counts(inputs.training)
    if TEST_LOCK in run.values:
        result[TEST_LOCK] = frozen_result({**run.values, **result})
    run = run.save(**result)
    for name in (FILE, STARTING_STATISTICS):
        (run.folder / name).unlink(missing_ok=True)
    shutil.rmtree(run.folder / BANKS, ignore_errors=True)
    return run


def _calibrate(run: Run, trained: keras.Model, inputs: Inputs) -> dict | None:
    """What turns a classifier's outputs into reported probabilities, fitted on the validation side."""
    if run.task.kind == "segmentation":
        return None
    validation, reserved = inputs.validation, inputs.reserved
    outputs = predict_records(trained, validation)
    tables = [_outputs_table(validation, outputs)]
    trained_and_natural = (inputs.counts, run.values["natural_counts"])
    calibrator = fit_calibrator(
        outputs, validation.labels, validation.patients, run.task, trained_and_natural
    )
    if len(reserved):
        outputs = predict_records(trained, reserved)
        tables.append(_outputs_table(reserved, outputs))
        calibrator = with_prediction_sets(calibrator, outputs, reserved.labels, reserved.patients)
    else:
        reason = (run.values.get("reserved") or {}).get("reason") or NOT_RESERVED
        calibrator = without_prediction_sets(calibrator, reason)
    write_table(run.folder / VALIDATION, pd.concat(tables, ignore_index=True))
    return answers_to_json(calibrator)


def _outputs_table(subset: Subset, outputs: np.ndarray) -> pd.DataFrame:
    return pd.DataFrame(
        known_columns(subset) | output_columns(subset.task.class_names, outputs)
    )
