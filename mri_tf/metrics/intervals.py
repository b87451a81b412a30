"""Intervals by resampling patients, whole: records of one patient are not independent.

A resample is a row of how often each patient was drawn. Row 0 is the data itself, everybody once:
one call of a measure gives the value and its resamples.
"""

import math
from collections.abc import Callable

import numpy as np
from scipy.special import betaincinv

from mri_tf.metrics.counts import ratio
from mri_tf.metrics.number import joined, number

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


def too_few(having: np.ndarray) -> str:
    """Why there is no interval of a number that compares groups of patients, or nothing.

    having: (classes,) patients of each class, who have no other.
    """
    counts = [int(count) for count in having if count]
    if len(counts) < 2:
        return ""
    exchanges = math.factorial(sum(counts)) // math.prod(map(math.factorial, counts))
    if 2 / exchanges <= 1 - COVERAGE:
        return ""
    listed = ", ".join(map(str, counts[:-1])) + f" and {counts[-1]}"
    return f"{listed} patients are too few: chance alone does as well in 1 of {exchanges / 2:g} cases"


def one_class_each(by_patient: np.ndarray) -> bool:
    """Whether every patient of (patients, true class, predicted class) counts has one true class."""
    return bool(((by_patient.sum(axis=2) > 0).sum(axis=1) <= 1).all())


def clopper_pearson(hits: int, n: int, coverage: float = COVERAGE) -> tuple[float, float]:
    """The exact interval of a binomial proportion (Clopper and Pearson 1934), two-sided.

    Raises ValueError unless 0 <= hits <= n and n > 0.
    """
    if not 0 <= hits <= n or n == 0:
        raise ValueError(f"hits lie between 0 and n > 0. Received: {hits} of {n}.")
    tail = (1 - coverage) / 2
    low = betaincinv(hits, n - hits + 1, tail) if hits else 0.0
    high = betaincinv(hits + 1, n - hits, 1 - tail) if hits < n else 1.0
    return float(low), float(high)


def proportion(
    hits: np.ndarray, counts: np.ndarray, one_each: bool, drawn: np.ndarray, undefined: str
) -> dict:
    """Share of records that are right, from hits and counts of records (patients,) each.

    `n` are the patients who have such a record. Where every patient of the data has one record
    (`one_each`) the interval is exact. So it is where all records are right, or none: then from
    patients without and with a wrong record, as resamples of patients would all be alike. Else it
    is that of the resamples `drawn` (1 + resamples,).
    """
    n, total, right = int((counts > 0).sum()), int(counts.sum()), int(hits.sum())
    if not n:
        return number(np.nan, 0, reason=undefined)
    if one_each:
        return number(right / n, n, clopper_pearson(right, n), "exact")
    if right in (0, total):
        all_or_none = "right" if right else "wrong"
        interval = clopper_pearson(n if right else 0, n)
        reason = f"every record of all {n} patients is {all_or_none}: the limit is that of patients"
        return number(right / total, n, interval, "exact", reason)
    return interval_number(drawn, n, undefined)


def highest_error_rate(patients: int) -> float:
    """Upper 95 % limit of the share of patients with an error, when none of them had one."""
    return clopper_pearson(0, patients)[1]
