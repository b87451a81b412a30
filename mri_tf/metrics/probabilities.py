"""How far probabilities are from what happened: Brier, log loss, expected calibration error.

Each is a sum over patients, so that a weighting of patients is one matrix product.
"""

import numpy as np

from mri_tf.metrics.counts import ratio

BINS = 15


def brier(
    truth: np.ndarray, probabilities: np.ndarray, patient_of: np.ndarray, times: np.ndarray
) -> np.ndarray:
    """(weightings,) mean over records of the squared errors summed over classes, 0 to 2.

    Brier's own definition (1950), for any number of classes; with two it is twice the form that
    looks at the positive class alone. times: (weightings, patients).
    """
    happened = np.eye(probabilities.shape[1])[truth]
    return _mean(((probabilities - happened) ** 2).sum(axis=1), patient_of, times)


def log_loss(
    truth: np.ndarray, probabilities: np.ndarray, patient_of: np.ndarray, times: np.ndarray
) -> np.ndarray:
    """(weightings,) mean of -ln(probability of what happened); probabilities are at least 2.2e-16."""
    given = np.take_along_axis(probabilities, truth[:, None], axis=1)[:, 0]
    floor = np.finfo(float).eps
    return _mean(-np.log(np.clip(given, floor, 1 - floor)), patient_of, times)


def calibration_error(
    truth: np.ndarray, probabilities: np.ndarray, patient_of: np.ndarray, times: np.ndarray
) -> np.ndarray:
    """(weightings,) expected calibration error (Guo 2017): 15 bins of equal width over a probability,
    each open below and closed above; the mean over records of |share true - mean probability|.

    Of two classes the probability is that of the last one (the most probable class would hide a
    wrong prior: what it takes from one class it gives to the other). Of more it is that of the
    most probable class, whatever was decided.
    """
    chosen = probabilities.argmax(axis=1)
    confidence = probabilities.max(axis=1)
    if probabilities.shape[1] == 2:
        chosen, confidence = np.ones_like(truth), probabilities[:, 1]
    bin_of = np.clip(np.ceil(confidence * BINS).astype(int) - 1, 0, BINS - 1)
    gaps = np.zeros((times.shape[1], BINS))  # true minus promised, a patient and bin
    np.add.at(gaps, (patient_of, bin_of), (chosen == truth) - confidence)
    records = np.bincount(patient_of, minlength=times.shape[1])
    return ratio(np.abs(times @ gaps).sum(axis=1), times @ records)


def _mean(values: np.ndarray, patient_of: np.ndarray, times: np.ndarray) -> np.ndarray:
    """(weightings,) mean over records of `values` (records,)."""
    count = times.shape[1]
    sums = np.bincount(patient_of, weights=values, minlength=count)
    return ratio(times @ sums, times @ np.bincount(patient_of, minlength=count))
