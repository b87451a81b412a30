"""Figures of a classifier's probabilities: ROC curves, reliability curve and decision curve."""

from pathlib import Path

import numpy as np

from mri_tf.figures import draw_decision_curve, draw_reliability, draw_roc, save
from mri_tf.metrics.classifier import Predictions
from mri_tf.metrics.net_benefit import decision_curve
from mri_tf.metrics.reliability import reliability_curve
from mri_tf.metrics.roc import roc_curves
from mri_tf.task import Task

ROC, RELIABILITY, DECISIONS = "roc", "reliability", "decision_curve"  # names of the files


def save_roc(predictions: Predictions, values: dict, task: Task, out: Path) -> list[Path]:
    """Of two classes the curve of the last one, with the numbers of metrics.json."""
    curves = roc_curves(predictions, task.class_names, values["per_class"])
    return save(draw_roc({("", name): curve for name, curve in curves.items()}), out / ROC)


def save_reliability(
    probabilities: np.ndarray, labels: np.ndarray, patients: np.ndarray, task: Task, out: Path
) -> list[Path]:
    """Of two classes the probability of the last one matters; of more, that of the top one."""
    two = len(task.class_names) == 2
    curve = reliability_curve(probabilities, labels, patients, 1 if two else None)
    what = task.class_names[1] if two else "the most probable class"
    return save(draw_reliability({task.name: curve}, what), out / RELIABILITY)


def save_decision_curve(
    probabilities: np.ndarray, labels: np.ndarray, prevalence: float | None, task: Task, out: Path
) -> list[Path]:
    """Of two classes; `prevalence` is that of the last one, None for that of the labels."""
    benefit = decision_curve(probabilities, labels, prevalence=prevalence)
    figure = draw_decision_curve(
        benefit.thresholds, {task.name: benefit.model}, benefit.treat_all, task.class_names[1]
    )
    return save(figure, out / DECISIONS)
