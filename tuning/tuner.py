"""KerasTuner with our training: oracles by name, and a tuner whose trial is a call of `score_trial`."""

import contextlib
import io
import statistics
from pathlib import Path

import keras
import keras_tuner
import tensorflow as tf
from keras_tuner.errors import FailedTrialError, FatalError
from tensorboard.plugins.hparams import api as hparams

from mri_tf.core.command_line import is_disk_full
from mri_tf.core.errors import InputError, OutOfTime, RunFailed
from mri_tf.store.searches import OBJECTIVE, TRIAL_RUNS
from tuning.trials import Problem, score_trial

HYPERBAND = "tuner/"  # prefix of the values that only Hyperband uses
PROJECT = "oracle"  # folder of KerasTuner's state
SECONDS = "seconds"  # of a trial, beside its score


def make_oracle(name: str, space, trials: int, epochs: int, seed: int):
    """The KerasTuner oracle that chooses the values of each trial.

    Args:
        name: hyperband, bayesian or random.
        space: keras_tuner.HyperParameters.
        trials: largest number of trials.
        epochs: of the longest trial of Hyperband.
        seed: of the search.
    """
    common = {
        "objective": keras_tuner.Objective(OBJECTIVE, "min"),
        "hyperparameters": space,
        "seed": seed + 1,  # KerasTuner replaces 0 by a random seed
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
    """A tuner that trains the task, in the only process of a search or in one of several.

    A failed trial is recorded with its reason, and the search goes on. A trial for which the problem's
    deadline leaves no time ends it with a FatalError whose cause is OutOfTime, and is repeated later.
    """

    def __init__(self, oracle, problem: Problem, folder: Path, advance=lambda trial_id: None):
        try:
            with contextlib.redirect_stdout(io.StringIO()):  # KerasTuner prints that it reloads
                super().__init__(oracle, directory=str(folder), project_name=PROJECT)
        except (ValueError, KeyError, TypeError, RuntimeError, tf.errors.OpError) as error:
            raise InputError(
                "The files of this search are damaged.", f"{folder} ({type(error).__name__})",
                "Remove it, or choose another --out folder.",
            ) from None  # fmt: skip
        self.problem, self.folder, self.advance = problem, folder, advance
        # A worker knows the trials of its own only.
        self.seconds = seconds_of_trials(oracle) if isinstance(self.oracle, type(oracle)) else []

    def run_trial(self, trial):
        values = trial_values(trial.hyperparameters.values)
        keras.utils.clear_session()
        deadline = self.problem.deadline
        start = deadline.clock()
        try:
            deadline.check("a trial comes next", statistics.mean(self.seconds or [0.0]))
            score = score_trial(self.problem, values, self.folder / TRIAL_RUNS / trial.trial_id)
        except (KeyboardInterrupt, SystemExit):
            raise
        except OutOfTime as error:
            raise FatalError(str(error)) from error
        except Exception as error:  # TensorFlow raises many kinds, when memory runs out for example
            if is_disk_full(error):  # the next trial would fail too: this one is repeated later
                raise FatalError("The disk is full.") from error
            raise FailedTrialError(reason_of(error)) from error
        write_hparams(self.folder / "tensorboard" / trial.trial_id, values, score)
        self.seconds.append(deadline.clock() - start)
        return {OBJECTIVE: score, SECONDS: self.seconds[-1]}

    def on_trial_end(self, trial):
        super().on_trial_end(trial)
        self.problem.deadline.got_on = True  # a trial that failed is work too
        self.advance(trial.trial_id)


def seconds_of_trials(oracle) -> list[float]:
    """How long each finished trial of a search took."""
    metrics = [trial.metrics for trial in oracle.trials.values() if trial.score is not None]
    return [one.get_history(SECONDS)[-1].value[0] for one in metrics if one.exists(SECONDS)]


def trial_values(values: dict) -> dict:
    """Values of a trial by dotted keys of the task; Hyperband's number of epochs becomes the task's."""
    task_values = {key: value for key, value in values.items() if not key.startswith(HYPERBAND)}
    if f"{HYPERBAND}epochs" in values:
        task_values["epochs"] = int(values[f"{HYPERBAND}epochs"])
    return task_values


def reason_of(error: Exception) -> str:
    """One line without personal data: of an input error only the rule, not what was received."""
    if isinstance(error, (InputError, RunFailed)):
        return str(error).partition(" Received: ")[0]
    return type(error).__name__


def recorded_reason(message: str | None) -> str:
    """The reason, taken from the traceback that KerasTuner stores for a failed trial."""
    lines = [line for line in (message or "").strip().splitlines() if "FailedTrialError" in line]
    return lines[-1].partition("FailedTrialError: ")[2] if lines else ""


def write_hparams(folder: Path, values: dict, score: float) -> None:
    """Writes values and score of a trial for the HParams page of TensorBoard."""
    with tf.summary.create_file_writer(str(folder)).as_default():
        hparams.hparams(values, trial_id=folder.name)
        tf.summary.scalar(OBJECTIVE, score, step=1)
