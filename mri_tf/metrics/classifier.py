"""All numbers of a classifier for any weights of the patients: the data and its resamples at once."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from mri_tf.metrics import counts, probabilities
from mri_tf.metrics.ranking import ranking
from mri_tf.metrics.resamples import resampled_confusions

SPECIFICITY = 0.9  # of sensitivity_at_specificity
GRADE_ERROR = "mean_absolute_grade_error"
LOWER_IS_BETTER = ("brier", "ece", "log_loss", GRADE_ERROR)
# What numbers can be that are not between 0 and 1.
LEAST = {"kappa": -1.0, "quadratic_kappa": -1.0}
LARGEST = {
    "brier": 2.0, "log_loss": probabilities.LARGEST_LOG_LOSS, GRADE_ERROR: math.inf,
}  # fmt: skip


def largest_difference(name: str, classes: int | None = None) -> float:
    """How far two values of a number can be apart; a grade error needs the number of classes for it.

    >>> largest_difference("auc"), largest_difference("kappa"), largest_difference("brier")
    (1.0, 2.0, 2.0)
    """
    if name == GRADE_ERROR and classes:
        return float(classes - 1)
    return LARGEST.get(name, 1.0) - LEAST.get(name, 0.0)


class Predictions(NamedTuple):
    """What a classifier predicted; one row per record.

    `predicted` is the decision at the operating point, which need not be the most probable class. With
    two classes the last one is the positive one.
    """

    truth: np.ndarray  # (records,) class numbers
    probabilities: np.ndarray  # (records, classes)
    predicted: np.ndarray  # (records,) class numbers
    patients: np.ndarray  # (records,) ids


def predictions_of(table: pd.DataFrame, class_names: Sequence[str]) -> Predictions:
    """The rows of a predictions.parquet, whose columns name the classes, as predictions."""
    number_of = {name: number for number, name in enumerate(class_names)}
    return Predictions(
        table["truth"].map(number_of).to_numpy(),
        table[[f"p_{name}" for name in class_names]].to_numpy(float),
        table["predicted"].map(number_of).to_numpy(),
        np.asarray(table["patient"], dtype=str),
    )


def checked(truth, probabilities, predicted, patients) -> Predictions:
    """Predictions as arrays; ValueError if shapes, class numbers or probabilities do not fit."""
    predictions = Predictions(
        np.asarray(truth).astype(np.int64), np.asarray(probabilities, float),
        np.asarray(predicted).astype(np.int64), np.asarray(patients).astype(str),
    )  # fmt: skip
    shape = predictions.probabilities.shape
    lengths = {len(predictions.truth), len(predictions.predicted), len(predictions.patients)}
    if len(shape) != 2 or lengths != {shape[0]}:
        raise ValueError(
            "Truth, probabilities, predicted and patients need one row per record. "
            f"Received: probabilities {shape}, the others {sorted(lengths)}."
        )
    if not shape[0] or shape[1] < 2:
        raise ValueError(f"Predictions need records and at least two classes. Received: {shape}.")
    for name in ("truth", "predicted"):
        classes = getattr(predictions, name)
        if classes.min() < 0 or classes.max() >= shape[1]:
            raise ValueError(
                f"A class number in {name} is not between 0 and {shape[1] - 1}. "
                f"Received: {classes.min()} to {classes.max()}."
            )
    finite = np.isfinite(predictions.probabilities).all(axis=1)
    if not finite.all():
        raise ValueError(
            f"Some probabilities are not finite. Received: {np.sum(~finite)} of {shape[0]} records. "
            "Look for NaN in what the network answers."
        )
    sums = predictions.probabilities.sum(axis=1)
    if np.abs(sums - 1).max() > 1e-3 or predictions.probabilities.min() < 0:
        raise ValueError(
            "Some probabilities are negative or do not add up to 1 in their record. Received: the least "
            f"is {predictions.probabilities.min():.3g}, sums are {sums.min():.4g} to {sums.max():.4g}."
        )
    return predictions


def classifier_numbers(
    predictions: Predictions, times: np.ndarray, ordered: bool = False
) -> dict[str, np.ndarray]:
    """Returns each number by name: (rows,), or (rows, classes) for `per_class_...`.

    Args:
        predictions: from `checked`.
        times: (rows, patients) whole numbers: how often each patient counts; patients in sorted
            order. Row 0 should be all ones, the data itself.
        ordered: adds quadratic_kappa, and of more than two classes mean_absolute_grade_error.
    """
    class_count = predictions.probabilities.shape[1]
    _, patient_of = np.unique(predictions.patients, return_inverse=True)
    by_patient = counts.confusion_by_patient(
        predictions.truth, predictions.predicted, predictions.patients, class_count
    )
    confusions = resampled_confusions(by_patient, times)  # (rows, classes, classes)
    numbers = {
        "accuracy": counts.accuracy(confusions),
        "balanced_accuracy": counts.balanced_accuracy(confusions),
        "kappa": counts.kappa(confusions),
        "f1_macro": counts.f1_macro(confusions),
        "per_class_precision": counts.precision_per_class(confusions),
        "per_class_recall": counts.recall_per_class(confusions),
        "per_class_f1": counts.f1_per_class(confusions),
    }
    if ordered:
        numbers["quadratic_kappa"] = counts.quadratic_kappa(confusions)
        if class_count > 2:  # of two classes it is the share of errors
            numbers["mean_absolute_grade_error"] = counts.mean_absolute_grade_error(confusions)
    numbers |= _ranking_numbers(predictions, patient_of, times)
    arrays = predictions.truth, predictions.probabilities, patient_of, times.astype(float)
    return numbers | {
        "brier": probabilities.brier(*arrays),
        "ece": probabilities.calibration_error(*arrays),
        "log_loss": probabilities.log_loss(*arrays),
    }


def _ranking_numbers(predictions: Predictions, patient_of, times) -> dict[str, np.ndarray]:
    """With two classes of the last one, otherwise the mean over classes, each against the rest."""
    rankings = [
        ranking(scores, predictions.truth == label, patient_of, times, SPECIFICITY)
        for label, scores in enumerate(predictions.probabilities.T)
    ]
    auc = np.stack([of_class.auc for of_class in rankings], axis=1)  # (rows, classes)
    precision = np.stack([of_class.average_precision for of_class in rankings], axis=1)
    if len(rankings) == 2:
        return {
            "auc": auc[:, -1],
            "average_precision": precision[:, -1],
            "sensitivity_at_specificity": rankings[-1].sensitivity,
            "per_class_auc": auc,
        }
    return {
        "auc": counts.mean_over_classes(auc),
        "average_precision": counts.mean_over_classes(precision),
        "per_class_average_precision": precision,
        "per_class_auc": auc,
    }
