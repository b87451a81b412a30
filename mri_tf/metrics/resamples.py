"""Resamples of whole patients, for differences between variants.

Records of one patient are not independent, so a resample draws patients with all their records. It is
a row of `times`: how often each patient was drawn. Row 0 is all ones, the data itself, so one call of a
measure gives the value and its resamples.
"""

import numpy as np

from mri_tf.metrics.intervals import TAIL
from mri_tf.metrics.number import joined, number

RESAMPLES = 2000


def multiplicities(patients: int, seed: int) -> np.ndarray:
    """Returns `times`, (1 + RESAMPLES, patients): how often each patient counts; row 0 is all ones."""
    drawn = np.random.default_rng(seed).multinomial(
        patients, np.full(patients, 1 / patients), size=RESAMPLES
    )
    return np.concatenate([np.ones((1, patients), drawn.dtype), drawn])


def resampled_confusions(by_patient: np.ndarray, times: np.ndarray) -> np.ndarray:
    """(rows, classes, classes): sums over patients, weighted by (rows, patients) `times`."""
    flat = times.astype(float) @ by_patient.reshape(len(by_patient), -1)
    return flat.reshape(len(times), *by_patient.shape[1:])


def percentile_interval(drawn: np.ndarray, patients: int, undefined: str, also: str = "") -> dict:
    """Returns a number of metrics.json with its percentile interval.

    Resamples where the number is undefined are left out and counted; if they are more than half there
    is no interval. There is none either if all resamples agree, which shows nothing.

    Args:
        drawn: (1 + resamples,) values, that of the data first.
        patients: how many were resampled.
        undefined: the reason if the value of the data is NaN.
        also: a further reason, of what was left out.
    """
    value, resamples = drawn[0], drawn[1:]
    if not np.isfinite(value):
        return number(np.nan, patients, reason=joined(undefined, also))
    if patients < 2:
        return number(value, patients, reason=joined("one patient", also))
    defined = resamples[np.isfinite(resamples)]
    lost = len(resamples) - len(defined)
    count = f"undefined in {lost} of {len(resamples)} resamples"
    if lost > len(resamples) / 2:
        return number(value, patients, reason=joined(count, also))
    left_out = f"{count}: left out" if lost else ""
    low, high = np.quantile(defined, [TAIL, 1 - TAIL])
    if high - low < 1e-12:
        agree = "all resamples agree, so they show no uncertainty"
        return number(value, patients, reason=joined(agree, left_out, also))
    return number(value, patients, (low, high), "bootstrap", joined(left_out, also))
