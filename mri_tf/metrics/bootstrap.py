"""Intervals by resampling patients, whole: records of one patient are not independent.

A resample is a row of how often each patient was drawn. Row 0 is the data itself, everybody once:
one call of a measure gives the value and its resamples.
"""

from collections.abc import Callable

import numpy as np

from mri_tf.metrics.counts import ratio
from mri_tf.metrics.form import joined, number

RESAMPLES = 2000
COVERAGE = 0.95


def multiplicities(patients: int, seed: int) -> np.ndarray:
    """(1 + RESAMPLES, patients): how often each counts; row 0 is everybody once."""
    drawn = np.random.default_rng(seed).multinomial(
        patients, np.full(patients, 1 / patients), size=RESAMPLES
    )
    return np.concatenate([np.ones((1, patients), drawn.dtype), drawn])


def interval_number(drawn: np.ndarray, patients: int, undefined: str, also: str = "") -> dict:
    """A number from (1 + resamples,) values, the data's own first: percentile interval.

    `undefined` says what a missing value would mean, `also` what else there is to say. Resamples
    where the number is undefined are left out and counted; if they are more than half there is no
    interval. Neither is there where all resamples agree: they show nothing then.
    """
    value, resamples = drawn[0], drawn[1:]
    if not np.isfinite(value):
        return number(np.nan, patients, reason=joined(undefined, also))
    if patients < 2:
        return number(value, patients, reason=joined("one patient", also))
    defined = resamples[np.isfinite(resamples)]
    lost = len(resamples) - len(defined)
    counted = f"undefined in {lost} of {len(resamples)} resamples" if lost else ""
    if lost > len(resamples) / 2:
        return number(value, patients, reason=joined(counted, also))
    tail = (1 - COVERAGE) / 2
    low, high = np.quantile(defined, [tail, 1 - tail])
    left_out = f"{counted}: left out" if lost else ""
    if high - low < 1e-12:
        same = "all resamples agree, which shows nothing"
        return number(value, patients, reason=joined(same, left_out, also))
    return number(value, patients, (low, high), "bootstrap", joined(left_out, also))


def with_interval(
    measure: Callable[[np.ndarray], np.ndarray], by_patient: np.ndarray, seed: int = 0
) -> dict:
    """A number from `measure` of confusions, with its interval.

    by_patient: (patients, classes, classes); measure: (..., classes, classes) to (...).
    """
    times = multiplicities(len(by_patient), seed)
    return interval_number(
        measure(resampled_confusions(by_patient, times)), len(by_patient), "no denominator"
    )


def resampled_confusions(by_patient: np.ndarray, times: np.ndarray) -> np.ndarray:
    """(rows, classes, classes): sums over patients, each as often as the row says."""
    flat = times.astype(float) @ by_patient.reshape(len(by_patient), -1)
    return flat.reshape(len(times), *by_patient.shape[1:])


def mean_with_interval(values: np.ndarray, patients: np.ndarray, seed: int = 0) -> dict:
    """The mean of (volumes,) values, with its interval; NaN values are left out and counted."""
    values = np.asarray(values, float)
    defined = np.isfinite(values)
    lost = len(values) - int(defined.sum())
    names, patient_of = np.unique(np.asarray(patients)[defined].astype(str), return_inverse=True)
    if not len(names):
        return number(np.nan, 0, reason=f"undefined in all of {len(values)} volumes")
    times = multiplicities(len(names), seed)
    sums = np.bincount(patient_of, weights=values[defined])
    also = f"undefined in {lost} of {len(values)} volumes: left out" if lost else ""
    return interval_number(ratio(times @ sums, times @ np.bincount(patient_of)), len(names), "", also)
