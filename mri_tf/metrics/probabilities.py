"""How far probabilities are from the true classes: Brier score, log loss, calibration error.

Each is a mean over records under several weightings of the patients at once. Common arguments:
`truth` (records,) class numbers, `probabilities` (records, classes), `patient_of` (records,) patient
numbers, `times` (weightings, patients).
"""

import numpy as np

from mri_tf.metrics.counts import ratio

BINS = 15


def brier(
    truth: np.ndarray, probabilities: np.ndarray, patient_of: np.ndarray, times: np.ndarray
) -> np.ndarray:
    """Returns (weightings,) means of the squared errors summed over classes, 0 to 2 (Brier 1950).

    With two classes it is twice the common form that uses the positive class only.
    """
    happened = np.eye(probabilities.shape[1])[truth]
    return _mean(((probabilities - happened) ** 2).sum(axis=1), patient_of, times)


def log_loss(
    truth: np.ndarray, probabilities: np.ndarray, patient_of: np.ndarray, times: np.ndarray
) -> np.ndarray:
    """Returns (weightings,) means of -ln(probability of the true class), which counts as >= 2.2e-16."""
    of_truth = np.take_along_axis(probabilities, truth[:, None], axis=1)[:, 0]
    floor = np.finfo(float).eps
    return _mean(-np.log(np.clip(of_truth, floor, 1 - floor)), patient_of, times)


def calibration_error(
    truth: np.ndarray, probabilities: np.ndarray, patient_of: np.ndarray, times: np.ndarray
) -> np.ndarray:
    """Returns (weightings,) expected calibration errors in 15 bins of equal width, closed above.

    The error is the mean over records of |share true - mean probability| of their bin (Guo 2017). With
    two classes the probability is that of the last one: with the most probable class a wrong prior
    would not show, as its errors on the two classes cancel. With more classes it is that of the most
    probable class, whatever was decided.
    """
    chosen = probabilities.argmax(axis=1)
    confidence = probabilities.max(axis=1)
    if probabilities.shape[1] == 2:
        chosen, confidence = np.ones_like(truth), probabilities[:, 1]
    bin_of = np.clip(np.ceil(confidence * BINS).astype(int) - 1, 0, BINS - 1)
    gaps = np.zeros((times.shape[1], BINS))  # hits minus probabilities
    np.add.at(gaps, (patient_of, bin_of), (chosen == truth) - confidence)
    records = np.bincount(patient_of, minlength=times.shape[1])
    return ratio(np.abs(times @ gaps).sum(axis=1), times @ records)


def _mean(values: np.ndarray, patient_of: np.ndarray, times: np.ndarray) -> np.ndarray:
    """(weightings,) mean over records of `values` (records,)."""
    count = times.shape[1]
    sums = np.bincount(patient_of, weights=values, minlength=count)
    return ratio(times @ sums, times @ np.bincount(patient_of, minlength=count))
