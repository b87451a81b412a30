"""Prediction sets: the classes that cannot be excluded, right as often as they promise.

Split conformal sets (Vovk et al. 2005) of the score 1 - p(true class) (Sadinle et al. 2019): for
one promise about all records together they are the smallest on average, and a few dozen
validation patients have to carry them. Adaptive sets (Romano et al. 2020) spread the coverage
more evenly over easy and hard records and are larger for it.
"""

from dataclasses import dataclass

import numpy as np

from mri_tf.core.errors import InputError

ALL_CLASSES = 1.0  # no score is above it


@dataclass(frozen=True)
class Coverage:
    """How often the true class was in the set, over random halves of the patients."""

    level: float  # what was promised
    mean: float
    sd: float  # between the resplits
    mean_size: float  # classes in a set


def fit_conformal(
    probabilities: np.ndarray, truth: np.ndarray, patients: np.ndarray, level: float = 0.9
) -> float:
    """The threshold of `prediction_sets`, from validation records (records, classes).

    The promise: the set of a random record of a new patient holds its class with a probability of
    at least `level`, and at most level + 2 / (patients + 1) where no scores are equal. What is
    exchangeable is the patient, so every patient counts as one however many records there are:
    the quantile of the scores pooled over patients, each patient's sharing a weight of
    1 / (patients + 1), the rest at infinity (Lee, Barber and Willett 2023; the CDF pooling of
    Dunn et al. 2022 with a correction that makes it hold for few patients, and no drawing). With
    one record a patient this is the ceil(level (n + 1))-th smallest score. Where there are too
    few patients for `level` it is `ALL_CLASSES`: every class is in every set. Few patients with
    many records get more than they were promised: 0.93 for 0.9 with 24 of 17, 0.91 with 100.

    The validation side must have the classes in the shares of the records to come, so a side
    that was limited per class must not be fitted on.
    """
    if not 0 < level < 1:
        raise InputError("The level of prediction sets is between 0 and 1.", level, "Change it.")
    if not len(truth):
        return ALL_CLASSES
    scores = 1 - _wide(probabilities)[np.arange(len(truth)), truth]
    _, patient_of, records = np.unique(
        np.asarray(patients, str), return_inverse=True, return_counts=True
    )
    weights = 1 / (records[patient_of] * (len(records) + 1))
    order = np.argsort(scores)
    # Rounding must not move a sum that equals the level below it.
    reached = np.cumsum(weights[order]) >= level - 1e-9
    return float(scores[order][reached.argmax()]) if reached.any() else ALL_CLASSES


def prediction_sets(probabilities: np.ndarray, threshold: float) -> np.ndarray:
    """(records, classes) bool: the classes whose score 1 - p is not above `threshold`.

    A set may be empty: no class conforms to the validation side, which is a finding of its own.
    """
    return 1 - _wide(probabilities) <= threshold


def resplit_coverage(
    probabilities: np.ndarray,
    truth: np.ndarray,
    patients: np.ndarray,
    level: float = 0.9,
    resplits: int = 200,
    seed: int = 0,
) -> Coverage:
    """Fits on one half of the patients and counts on the other, again and again.

    Every patient weighs the same in a resplit, as in the promise.
    """
    names, patient_of = np.unique(np.asarray(patients, str), return_inverse=True)
    if len(names) < 2:
        raise InputError("Coverage takes at least two patients.", len(names), "Use more data.")
    found = np.empty((resplits, 2))
    for number, fitted in enumerate(_halves(len(names), resplits, seed)):
        fitting = fitted[patient_of]
        threshold = fit_conformal(
            probabilities[fitting], truth[fitting], patient_of[fitting], level
        )
        sets = prediction_sets(probabilities[~fitting], threshold)
        covered = sets[np.arange(len(sets)), truth[~fitting]]
        _, counted, records = np.unique(
            patient_of[~fitting], return_inverse=True, return_counts=True
        )
        each = np.stack([covered, sets.sum(axis=-1)], axis=-1)  # (records, 2)
        found[number] = np.average(each, axis=0, weights=1 / records[counted])
    mean, size = found.mean(axis=0)
    return Coverage(level, float(mean), float(found[:, 0].std()), float(size))


def _halves(patients: int, resplits: int, seed: int):
    """(patients,) bool, true for the half to fit on; one a resplit."""
    rng = np.random.default_rng(seed)
    for _ in range(resplits):
        yield rng.permutation(patients) < patients // 2


def _wide(probabilities: np.ndarray) -> np.ndarray:
    return np.asarray(probabilities, float)
