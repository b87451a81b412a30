"""How far probabilities are from the true classes: Brier score, log loss, calibration error.

Each is a mean over records under several weightings of the patients at once. Common arguments:
`truth` (records,) class numbers, `probabilities` (records, classes), `patient_of` (records,) patient
numbers, `times` (weightings, patients).
"""

import numpy as np

from mri_tf.metrics.counts import ratio

BINS = 15
SMALLEST = float(np.finfo(float).eps)  # probability that counts in a log loss
LARGEST_LOG_LOSS = -float(np.log(SMALLEST))  # 36.04


def brier(
    truth: np.ndarray, probabilities: np.ndarray, patient_of: np.ndarray, times: np.ndarray
) -> np.ndarray:
    """Returns (weightings,) means of the squared errors summed over classes, 0 to 2 (Brier 1950).

    With two classes it is twice the common form that uses the positive class only.
    """
    losses = np.take_along_axis(squared_errors(probabilities), truth[:, None], axis=1)[:, 0]
    return _mean(losses, patient_of, times)


def log_loss(
    truth: np.ndarray, probabilities: np.ndarray, patient_of: np.ndarray, times: np.ndarray
) -> np.ndarray:
    """Returns (weightings,) means of -ln(probability of the true class), which counts as >= 2.2e-16."""
    losses = np.take_along_axis(logarithms(probabilities), truth[:, None], axis=1)[:, 0]
    return _mean(losses, patient_of, times)


def squared_errors(probabilities: np.ndarray) -> np.ndarray:
    """(records, classes): the squared error, summed over classes, if a class is the true one."""
    return (probabilities**2).sum(axis=1, keepdims=True) - 2 * probabilities + 1


def logarithms(probabilities: np.ndarray) -> np.ndarray:
    """(records, classes): the log loss if a class is the true one; LARGEST_LOG_LOSS at most."""
    return -np.log(np.clip(probabilities, SMALLEST, 1 - SMALLEST))


def calibration_error(
    truth: np.ndarray, probabilities: np.ndarray, patient_of: np.ndarray, times: np.ndarray
) -> np.ndarray:
    """Returns (weightings,) expected calibration errors in 15 bins of equal width, closed above.

    The error is the mean over records of |share true - mean probability| of their bin (Guo 2017). With
    two classes the probability is that of the last one: with the most probable class a wrong prior
    would not show, as its errors on the two classes cancel. With more classes it is that of the most
    probable class, whatever was decided.
    """
    chosen, confidence, bin_of = confidences(probabilities)
    gaps = np.zeros((times.shape[1], BINS))  # hits minus probabilities
    np.add.at(gaps, (patient_of, bin_of), (chosen == truth) - confidence)
    records = np.bincount(patient_of, minlength=times.shape[1])
    return ratio(np.abs(times @ gaps).sum(axis=1), times @ records)


def confidences(probabilities: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(records,) class whose probability is looked at, that probability, and its bin."""
    chosen, confidence = probabilities.argmax(axis=1), probabilities.max(axis=1)
    if probabilities.shape[1] == 2:
        chosen, confidence = np.ones_like(chosen), probabilities[:, 1]
    return chosen, confidence, np.clip(np.ceil(confidence * BINS).astype(int) - 1, 0, BINS - 1)


def _mean(values: np.ndarray, patient_of: np.ndarray, times: np.ndarray) -> np.ndarray:
    """(weightings,) mean over records of `values` (records,)."""
    count = times.shape[1]
    sums = np.bincount(patient_of, weights=values, minlength=count)
    return ratio(times @ sums, times @ np.bincount(patient_of, minlength=count))
