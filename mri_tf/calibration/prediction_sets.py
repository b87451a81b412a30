"""Conformal prediction sets: the classes that cannot be ruled out, with a guaranteed coverage.

Split conformal sets (Vovk et al. 2005) of the score 1 - p(true class) (Sadinle et al. 2019) are the
smallest on average for one coverage of all records, and need only a few dozen patients.
Adaptive sets (Romano et al. 2020) spread the coverage more evenly over easy and hard records, and are
larger.
"""

import numpy as np

from mri_tf.core.errors import InputError

LEVEL = 0.9  # of all sets that this project makes
ALL_CLASSES = 1.0  # the threshold that no score is above


def fit_conformal(
    probabilities: np.ndarray, truth: np.ndarray, patients: np.ndarray, level: float = LEVEL
) -> float:
    """Fits the threshold of `prediction_sets` on records of patients that chose nothing.

    The set of a random record of a new patient of the same kind then holds its class with a probability
    of at least `level`, on average over draws of these patients. Patients, not records, are
    exchangeable: each counts as one, its scores share a weight of 1 / (patients + 1), and the rest of
    the weight is at infinity. With one record a patient the threshold is the ceil(level (n + 1))-th
    smallest score, and the coverage is at most level + 1 / (n + 1) where no scores are equal. Several
    records of few patients are covered more often: benchmarks/prediction_sets.py.

    Args:
        probabilities: (records, classes) calibrated. The classes must have the shares of the records
            to come, so do not fit on a side that was limited per class.
        truth: (records,) labels.
        patients: (records,) patient ids.
        level: the coverage, between 0 and 1.

    Returns:
        The threshold; `ALL_CLASSES` where there are too few patients for `level`.

    Raises:
        InputError: for a level outside of 0 to 1.

    Source:
        Lee, Barber and Willett 2023; the CDF pooling of Dunn et al. 2022, corrected for few patients.
    """
    if not 0 < level < 1:
        raise InputError("The level of prediction sets must lie between 0 and 1.", level, "Try 0.9.")
    if not len(truth):
        return ALL_CLASSES
    scores = 1 - np.asarray(probabilities, float)[np.arange(len(truth)), truth]
    _, patient_of, records = np.unique(
        np.asarray(patients, str), return_inverse=True, return_counts=True
    )
    weights = 1 / (records[patient_of] * (len(records) + 1))
    order = np.argsort(scores)
    # The tolerance keeps a sum that equals the level from being rounded below it.
    reached = np.cumsum(weights[order]) >= level - 1e-9
    return float(scores[order][reached.argmax()]) if reached.any() else ALL_CLASSES


def prediction_sets(probabilities: np.ndarray, threshold: float) -> np.ndarray:
    """(records, classes) bool: the classes whose score 1 - p is not above `threshold`.

    An empty set says that the record is like no class of the validation side.
    """
    return 1 - np.asarray(probabilities, float) <= threshold
