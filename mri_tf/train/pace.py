"""How long a training takes: said once after its first steps, and known before each further epoch."""

import keras
import numpy as np

from mri_tf.core.deadline import Deadline
from mri_tf.core.progress import duration, say_expected

TIMED_STEPS = 5  # after the first one of a process, which compiles
FORWARD = 1 / 3  # of a training step, the rest being the backward pass


class Pace(keras.callbacks.Callback):
    """Times steps and validations; comes behind all callbacks whose time counts.

    Args:
        schedule: of the training (`loop.Schedule`).
        steps: of an epoch.
        validation_batches: of a validation; 0 if that is not known.
        first: epochs done before.
        deadline: its clock is used.
    """

    def __init__(self, schedule, steps: int, validation_batches: int, first: int, deadline: Deadline):
        super().__init__()
        self.schedule, self.steps, self.validation_batches = schedule, steps, validation_batches
        self.first, self.deadline, self.now = first, deadline, deadline.clock
        self.next_epoch_seconds = 0.0  # with its validation, after the end of an epoch
        self._of_step: list[float] = []  # seconds of the first steps behind the one that compiles
        self._of_validation: float | None = None
        self._compiling: float | None = None  # seconds of the step that compiles
        self._compiling_validation: float | None = None  # and of the batch
        self._told = False

    def on_epoch_begin(self, epoch, logs=None):
        self._epoch_began, self._validated_for = self.now(), 0.0  # seconds of its validation
        self._compiled_here = self._compiling is None

    def on_train_batch_begin(self, batch, logs=None):
        self._step_began = self.now()

    def on_train_batch_end(self, batch, logs=None):
        self._step_ended = self.now()
        if self._told:
            return
        seconds = self._step_ended - self._step_began
        if self._compiling is None:
            self._compiling = seconds
            return
        self._of_step.append(seconds)
        if len(self._of_step) >= TIMED_STEPS:
            self._tell()

    def on_test_batch_begin(self, batch, logs=None):
        self._test_began = self.now()

    def on_test_batch_end(self, batch, logs=None):
        if self._compiling_validation is None:
            self._compiling_validation = self.now() - self._test_began

    def on_test_end(self, logs=None):
        is_first = self._of_validation is None
        self._of_validation = self._validated_for = self.now() - self._step_ended
        if is_first:
            compiling = (self._compiling_validation or 0.0) - self._step_seconds * FORWARD
            self._of_validation -= max(compiling, 0.0)

    def on_epoch_end(self, epoch, logs=None):
        if self._of_step and not self._told:
            self._tell()
        training = self.now() - self._epoch_began - self._validated_for
        if self._compiled_here and self._of_step:
            training -= max(self._compiling - self._step_seconds, 0.0)
        is_validated = epoch + 2 in self.schedule.validated
        # The first validation compiles, and measures statistics where weights are averaged: not FORWARD.
        self.next_epoch_seconds = training + is_validated * self._validation_seconds(share=1.0)

    @property
    def _step_seconds(self) -> float:
        return float(np.median(self._of_step)) if self._of_step else 0.0

    def _validation_seconds(self, share: float) -> float:
        """Of the last validation; before the first, each of its batches takes a share of a step."""
        if self._of_validation is not None:
            return self._of_validation
        return self.validation_batches * self._step_seconds * share

    def _tell(self) -> None:
        """Says what the epochs from the first of this command on will take."""
        self._told = True
        count = (self.schedule.epochs - self.first) * self.steps
        validations = sum(epoch > self.first for epoch in self.schedule.validated)
        seconds = count * self._step_seconds + validations * self._validation_seconds(FORWARD)
        text = f"for {count} steps of {duration(self._step_seconds)}"
        if 0 < self.schedule.patience < self.schedule.epochs - self.first:
            text += ", less if it stops early"
        left = max(self.deadline.seconds_left, 0.0)
        if seconds > left:
            text += f"; --max-minutes leaves {duration(left)}"
        say_expected(seconds, text)
