"""KerasTuner around our training: oracles by name, a tuner whose trial is one call of `score_trial`."""

import contextlib
import io
import time
from pathlib import Path

import keras
import keras_tuner
import tensorflow as tf
from keras_tuner.errors import FailedTrialError, FatalError
from tensorboard.plugins.hparams import api as hparams

from mri_tf.core.command_line import is_disk_full
from mri_tf.core.errors import InputError, RunFailed
from tuning.trials import OBJECTIVE, Problem, score_trial

OWN = "tuner/"  # prefix of the values that Hyperband keeps for itself
PROJECT = "oracle"  # folder of KerasTuner's own state


def make_oracle(name: str, space, trials: int, epochs: int, seed: int):
    """An oracle that asks for at most `trials` trials; Hyperband's longest has `epochs` epochs."""
    common = {
        "objective": keras_tuner.Objective(OBJECTIVE, "min"),
        "hyperparameters": space,
        "seed": seed + 1,  # of 0 KerasTuner makes a random one
        "allow_new_entries": False,
        "tune_new_entries": False,
    }
    if name == "hyperband":
        oracle = keras_tuner.oracles.HyperbandOracle(max_epochs=epochs, factor=3, **common)
        oracle.max_trials = trials
    elif name == "bayesian":
        oracle = keras_tuner.oracles.BayesianOptimizationOracle(max_trials=trials, **common)
    else:
        oracle = keras_tuner.oracles.RandomSearchOracle(max_trials=trials, **common)
    oracle.verbose = 0
    return oracle


class TrainingTuner(keras_tuner.engine.base_tuner.BaseTuner):
    """A tuner that trains the task; one process of a search, or all of it.

    A failed trial is recorded with its reason and the search goes on.
    """

    def __init__(self, oracle, problem: Problem, folder: Path, advance=lambda trial_id: None):
        try:
            with contextlib.redirect_stdout(io.StringIO()):  # it prints that it reloads
                super().__init__(oracle, directory=str(folder), project_name=PROJECT)
        except (ValueError, KeyError, TypeError, RuntimeError, tf.errors.OpError) as error:
            raise InputError(
                "A search goes on from what it wrote.", f"{folder}, damaged ({type(error).__name__})",
                "Remove it, or name another --out.",
            ) from None  # fmt: skip
        self.problem, self.folder, self.advance = problem, folder, advance

    def run_trial(self, trial):
        values = trial_values(trial.hyperparameters.values)
        keras.utils.clear_session()
        start = time.monotonic()
        try:
            score = score_trial(self.problem, values, self.folder / "trials" / trial.trial_id)
        except (KeyboardInterrupt, SystemExit):
            raise
        except Exception as error:  # also what TensorFlow raises where memory ends
            if is_disk_full(error):  # so would be the next: this one is run again later
                raise FatalError("The disk is full.") from error
            raise FailedTrialError(reason_of(error)) from error
        write_hparams(self.folder / "tensorboard" / trial.trial_id, values, score)
        return {OBJECTIVE: score, "seconds": time.monotonic() - start}

    def on_trial_end(self, trial):
        super().on_trial_end(trial)
        self.advance(trial.trial_id)


def trial_values(values: dict) -> dict:
    """Dotted keys of the task; Hyperband's number of epochs is the task's."""
    found = {key: value for key, value in values.items() if not key.startswith(OWN)}
    if f"{OWN}epochs" in values:
        found["epochs"] = int(values[f"{OWN}epochs"])
    return found


def reason_of(error: Exception) -> str:
    """One line; what an input error received may hold names, its rule does not."""
    if isinstance(error, (InputError, RunFailed)):
        return str(error).partition(" Received: ")[0]
    return type(error).__name__


def recorded_reason(message: str | None) -> str:
    """The reason in the traceback that KerasTuner stores of a failed trial."""
    lines = [line for line in (message or "").strip().splitlines() if "FailedTrialError" in line]
    return lines[-1].partition("FailedTrialError: ")[2] if lines else ""


def write_hparams(folder: Path, values: dict, score: float) -> None:
    """Values and score of a trial for TensorBoard's HParams page."""
    with tf.summary.create_file_writer(str(folder)).as_default():
        hparams.hparams(values, trial_id=folder.name)
        tf.summary.scalar(OBJECTIVE, score, step=1)
