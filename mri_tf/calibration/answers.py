"""The answers of a run: those of one network (`Calibrator`), or of several members (`PooledAnswers`).

Both have `probabilities`, `decisions` and `sets` of the networks' outputs.
"""

from dataclasses import asdict

import numpy as np

from mri_tf.calibration.calibrator import Calibrator, calibrator_from_json, recalibrated
from mri_tf.calibration.pooled import PooledAnswers, pooled_from_json, recalibrated_mean
from mri_tf.task import Task

Answers = Calibrator | PooledAnswers


def answers_to_json(answers: Answers) -> dict:
    """The values that run.json holds."""
    return asdict(answers)


def answers_from_json(values: dict) -> Answers:
    """The answers of the values in run.json."""
    return pooled_from_json(values) if "scales" in values else calibrator_from_json(values)


def refitted(
    answers: Answers, outputs: np.ndarray, truth: np.ndarray, patients: np.ndarray, task: Task
) -> Answers:
    """The same networks' answers, fitted anew to patients of another source (`recalibrated`)."""
    if isinstance(answers, PooledAnswers):
        return recalibrated_mean(answers, outputs, truth, patients, task.operating_point)
    return recalibrated(answers, outputs, truth, patients, task)
