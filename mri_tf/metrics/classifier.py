"""Every number of a classifier under weights a patient: the data, its resamples, in one pass."""

from typing import NamedTuple

import numpy as np

from mri_tf.metrics import counts, probabilities
from mri_tf.metrics.intervals import resampled_confusions
from mri_tf.metrics.ranking import ranking

SPECIFICITY = 0.9  # at which sensitivity is told
PER_CLASS = ("precision", "recall", "f1", "auc")  # per_class_<name> in the numbers
LOWER_IS_BETTER = ("brier", "ece", "log_loss")


class Predictions(NamedTuple):
    """What a classifier said about records; one row a record.

    `predicted` is the decision, made elsewhere (an operating point), not always the most probable
    class. With two classes the last one is the positive one.
    """

    truth: np.ndarray  # (records,) class numbers
    probabilities: np.ndarray  # (records, classes)
    predicted: np.ndarray  # (records,) class numbers
    patients: np.ndarray  # (records,) ids


def checked(truth, probabilities, predicted, patients) -> Predictions:
    """Predictions as arrays. Raises ValueError if lengths, class numbers or probabilities are wrong."""
    found = Predictions(
        np.asarray(truth).astype(np.int64),
        np.asarray(probabilities, float),
        np.asarray(predicted).astype(np.int64),
        np.asarray(patients).astype(str),
    )
    records, shape = len(found.truth), found.probabilities.shape
    if len(shape) != 2 or {shape[0], len(found.predicted), len(found.patients)} != {records}:
        raise ValueError("truth, probabilities, predicted and patients have one row a record")
    if not records or shape[1] < 2:
        raise ValueError(f"there are records and two classes or more. Received: {shape}.")
    for name, classes in (("truth", found.truth), ("predicted", found.predicted)):
        if classes.min() < 0 or classes.max() >= shape[1]:
            raise ValueError(f"{name} holds class numbers from 0 to {shape[1] - 1}")
    if not np.isfinite(found.probabilities).all():
        raise ValueError("probabilities are finite numbers")
    if np.abs(found.probabilities.sum(axis=1) - 1).max() > 1e-3 or found.probabilities.min() < 0:
        raise ValueError("probabilities of a record are not negative and add up to 1")
    return found


def patient_numbers(patients: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(sorted ids, number of each record's patient): the order of the columns of `times`."""
    return np.unique(patients, return_inverse=True)


def classifier_numbers(
    given: Predictions, times: np.ndarray, ordered: bool = False
) -> dict[str, np.ndarray]:
    """(rows,) a number, (rows, classes) for `per_class_...`; row by row of `times`.

    times: (rows, patients) whole numbers, patients in sorted order; row 0 is everybody once.
    Memory is bounded: the ranks are taken a few rows at a time.
    """
    class_count = given.probabilities.shape[1]
    _, patient_of = patient_numbers(given.patients)
    by_patient = counts.confusion_by_patient(
        given.truth, given.predicted, given.patients, class_count
    )
    confusions = resampled_confusions(by_patient, times)
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
    numbers |= _ranking_numbers(given, patient_of, times)
    weights = times.astype(float)
    for name, measure in (
        ("brier", probabilities.brier),
        ("ece", probabilities.calibration_error),
        ("log_loss", probabilities.log_loss),
    ):
        numbers[name] = measure(given.truth, given.probabilities, patient_of, weights)
    return numbers


def _ranking_numbers(given: Predictions, patient_of, times) -> dict[str, np.ndarray]:
    """Of the last class where there are two, else the mean over classes, each against the rest."""
    class_count = given.probabilities.shape[1]
    each = [
        ranking(given.probabilities[:, label], given.truth == label, patient_of, times, SPECIFICITY)
        for label in range(class_count)
    ]
    auc = np.stack([one.auc for one in each], axis=1)  # (rows, classes)
    precision = np.stack([one.average_precision for one in each], axis=1)
    if class_count == 2:
        return {
            "auc": auc[:, -1],
            "average_precision": precision[:, -1],
            "sensitivity_at_specificity": each[-1].sensitivity,
            "per_class_auc": auc,
        }
    return {
        "auc": counts.mean_over_classes(auc),
        "average_precision": counts.mean_over_classes(precision),
        "per_class_auc": auc,
    }
