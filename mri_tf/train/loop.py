"""The training loop: exact resume, best weights, early stopping, stopping at NaN or in time, history."""

import csv
import io
import math
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import keras
import tensorflow as tf

from mri_tf.core.deadline import NO_LIMIT, Deadline
from mri_tf.core.errors import RunFailed
from mri_tf.core.files import write_atomic
from mri_tf.core.progress import progress
from mri_tf.pipeline.batches import BatchFunction
from mri_tf.store.history import NOT_VALIDATED, lowest_validation_loss
from mri_tf.store.run import HISTORY
from mri_tf.task.rules import ACCURACY, BUDGET, VALIDATION
from mri_tf.train.averaging import BATCHES_OF_STATISTICS, AverageWeights
from mri_tf.train.checkpoint import FILE, TrainingState, load_checkpoint, save_checkpoint
from mri_tf.train.pace import Pace

SECONDS_BETWEEN_CHECKPOINTS = 10.0
SAME_ACCURACY = 1e-6  # a smaller difference is a matter of rounding: less than a record of a million
VALIDATIONS_OF_A_BUDGET = 3  # where validation chooses nothing and is only for the history


@dataclass(frozen=True)
class Schedule:
    """How long is trained, and which weights are kept: of which epoch, as `choose_epoch` of a task says;
    of its last step, or averaged."""

    epochs: int
    patience: int  # 0: all epochs
    seed: int
    identity: str  # of the run; a checkpoint of another is refused
    name: str = "the training"  # what is trained, for messages
    choose: str = VALIDATION
    first: int = 0  # epochs at the beginning in which patience does not run out
    average: float = 0.0  # largest decay of the averaged weights; 0: those of the last step

    @property
    def validated(self) -> list[int]:
        """The epochs, from 1, after which is validated: all, or a few up to the last."""
        every = -(-self.epochs // VALIDATIONS_OF_A_BUDGET) if self.choose == BUDGET else 1
        return list(range(self.epochs, 0, -every))[::-1]


@dataclass(frozen=True)
class Checkpoints:
    """When a training is saved: not more often than this, and where its time ends."""

    seconds_between: float = SECONDS_BETWEEN_CHECKPOINTS
    deadline: Deadline = NO_LIMIT


USUAL = Checkpoints()


@dataclass(frozen=True)
class TrainingData:
    """Batches and what is needed to name the records of a bad one."""

    training: Callable[[int], tf.data.Dataset]  # first epoch -> raw batches until the end
    validation: tf.data.Dataset  # (image, target, weight)
    steps: int
    prepare: BatchFunction | None  # None: the raw batches are such already
    names_of: Callable[[int, int], list[str]]  # epoch, step -> record ids


def train(
    model: keras.Model,
    data: TrainingData,
    schedule: Schedule,
    folder: Path,
    on_device: bool,
    callbacks: Sequence[keras.callbacks.Callback] = (),
    checkpoints: Checkpoints = USUAL,
) -> TrainingState:
    """Trains a compiled PreparingModel, its optimizer built, from its checkpoint if there is one.

    The model has its best weights at the end.

    `on_device` makes batches inside the train step instead of in tf.data; the result is the same.

    Raises:
        RunFailed: the loss is no number.
        OutOfTime: no further epoch fits before the deadline; the checkpoint is of the last one.
    """
    keras.utils.set_random_seed(schedule.seed)
    variables = _changing_variables(model)
    averaging = _averaging(model, variables, data, schedule.average)
    variables = [*variables, *model.optimizer.variables, *(averaging.variables if averaging else ())]
    checkpoint = folder / FILE
    state = load_checkpoint(checkpoint, variables, schedule.identity) or TrainingState()
    keeper = _KeepState(state, variables, checkpoint, schedule, checkpoints)
    if averaging:
        callbacks = [*callbacks, averaging]
        keeper.weights_now = lambda: averaging.kept_weights
    if not keeper.stopped:
        raw = data.training(state.epoch)
        in_pipeline = data.prepare and not on_device
        batches = raw.map(data.prepare) if in_pipeline else raw
        model.prepare = data.prepare if on_device else None
        validation_batches = max(int(data.validation.cardinality()), 0)
        pace = Pace(schedule, data.steps, validation_batches, state.epoch, checkpoints.deadline)
        keeper.pace = pace
        with progress("training", schedule.epochs) as advance:
            keeper.advance = advance
            model.fit(
                batches.prefetch(2),
                validation_data=data.validation,
                validation_freq=schedule.validated,
                initial_epoch=state.epoch,
                epochs=schedule.epochs,
                steps_per_epoch=data.steps,
                shuffle=False,  # the plan has done it
                verbose=0,
                callbacks=[
                    _StopAtNaN(data.names_of),
                    *callbacks,
                    keras.callbacks.TensorBoard(folder / "tensorboard", write_graph=False),
                    pace,
                    keeper,
                ],
            )
        if keeper.out_of_time:
            done = f"{state.epoch} of {schedule.epochs} epochs of {schedule.name} are done"
            raise checkpoints.deadline.out_of_time(done, pace.next_epoch_seconds)
    write_history(folder / HISTORY, state.history)
    if not state.best_weights:
        raise RunFailed(
            "The validation loss was NaN or infinite in every epoch that could be kept.",
            f"The history in {folder} is kept. Try a lower --set learning_rate.",
        )
    model.set_weights(state.best_weights)
    return state


def _averaging(
    model: keras.Model, variables: list, data: TrainingData, decay: float
) -> AverageWeights | None:
    """What averages the weights, if a decay is asked for."""
    if not decay:
        return None
    raw = data.training(0).take(min(data.steps, BATCHES_OF_STATISTICS))  # of the first epoch
    return AverageWeights(model, variables, decay, raw.map(data.prepare) if data.prepare else raw)


def _changing_variables(model: keras.Model) -> list:
    """The model's variables that change while training: not the weights of frozen layers."""
    frozen = {
        id(variable)
        for layer in model.layers
        if not layer.trainable
        for variable in layer.variables
    }
    return [variable for variable in model.variables if id(variable) not in frozen]


class _StopAtNaN(keras.callbacks.Callback):
    """Stops at the first loss that is no number and names the batch's records."""

    def __init__(self, names_of: Callable[[int, int], list[str]]):
        super().__init__()
        self.names_of, self.epoch = names_of, 0

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch

    def on_train_batch_end(self, batch, logs=None):
        if not math.isfinite(float(logs["loss"])):
            names = ", ".join(self.names_of(self.epoch, batch))
            raise RunFailed(
                f"The loss became NaN or infinite at epoch {self.epoch + 1}, step {batch + 1}, "
                f"records {names}.",
                "The checkpoint before it is kept. Look at these records, or lower the "
                "learning rate.",
            )


class _KeepState(keras.callbacks.Callback):
    """History, best weights, early stop, stop in time and checkpoint after each epoch."""

    def __init__(self, state, variables, checkpoint, schedule, checkpoints):
        super().__init__()
        self.state, self.variables, self.checkpoint = state, variables, checkpoint
        self.schedule, self.checkpoints = schedule, checkpoints
        self.pace: Pace | None = None  # of the epochs that this command trains
        self.out_of_time = False
        self.advance = lambda done, note="": None
        self.weights_now = lambda: self.model.get_weights()
        self._saved_at = time.monotonic()

    @property
    def stopped(self) -> bool:
        """Whether the last epoch was done, or the patience has run out."""
        since = max(self.state.best_epoch, self.schedule.first - 1)
        waited = self.state.epoch - 1 - since
        out_of_patience = 0 < self.schedule.patience <= waited and self.state.best_epoch >= 0
        return self.state.epoch >= self.schedule.epochs or out_of_patience

    def on_epoch_end(self, epoch, logs=None):
        row = {"epoch": epoch + 1, **{key: float(value) for key, value in logs.items()}}
        state = self.state
        row.setdefault("val_loss", NOT_VALIDATED)
        if self._is_best(row):
            state.best_epoch, state.best_weights = epoch, self.weights_now()
        state.history.append(row)
        state.epoch = epoch + 1
        deadline = self.checkpoints.deadline
        deadline.got_on = True
        self.out_of_time = not self.stopped and deadline.ends_before(self.pace.next_epoch_seconds)
        ends = self.stopped or self.out_of_time
        if ends:
            self.model.stop_training = True
        if ends or time.monotonic() - self._saved_at >= self.checkpoints.seconds_between:
            save_checkpoint(self.checkpoint, state, self.variables, self.schedule.identity)
            self._saved_at = time.monotonic()
        note = f"loss {row['loss']:.3f}"
        if row["val_loss"] != NOT_VALIDATED:
            note += f"  validation loss {row['val_loss']:.3f}"
        self.advance(self.schedule.epochs if self.stopped else state.epoch, note)

    def _is_best(self, row: dict) -> bool:
        """Whether the weights of an epoch are kept, by its row of the history and those before it."""
        before, choose = self.state.history, self.schedule.choose
        if choose == BUDGET:
            return row["epoch"] == self.schedule.epochs and math.isfinite(row["val_loss"])
        if choose == ACCURACY:
            higher = row["val_accuracy"] > highest_validation_accuracy(before) + SAME_ACCURACY
            return higher and math.isfinite(row["val_loss"])
        return row["val_loss"] < lowest_validation_loss(before)


def highest_validation_accuracy(rows: Iterable[dict]) -> float:
    """Of the rows of a history whose validation loss is finite; minus infinity where there is none."""
    finite = (row for row in rows if math.isfinite(float(row["val_loss"])))
    return max((float(row["val_accuracy"]) for row in finite), default=-math.inf)


def write_history(path: Path, rows: list[dict]) -> None:
    """One row an epoch as CSV."""
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]))
    writer.writeheader()
    writer.writerows(rows)
    write_atomic(path, text.getvalue().encode())
