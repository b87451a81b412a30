"""Intervals over patients: bootstrap of whole patients, and exact binomial intervals.

Records of one patient are not independent, so a resample draws patients with all their records. It is
a row of `times`: how often each patient was drawn. Row 0 is all ones, the data itself, so one call of a
measure gives the value and its resamples.
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
    """Returns `times`, (1 + RESAMPLES, patients): how often each patient counts; row 0 is all ones."""
    drawn = np.random.default_rng(seed).multinomial(
        patients, np.full(patients, 1 / patients), size=RESAMPLES
    )
    return np.concatenate([np.ones((1, patients), drawn.dtype), drawn])


def interval_number(drawn: np.ndarray, patients: int, undefined: str, also: str = "") -> dict:
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
    tail = (1 - COVERAGE) / 2
    low, high = np.quantile(defined, [tail, 1 - tail])
    if high - low < 1e-12:
        agree = "all resamples agree, so they show no uncertainty"
        return number(value, patients, reason=joined(agree, left_out, also))
    return number(value, patients, (low, high), "bootstrap", joined(left_out, also))


def with_interval(
    measure: Callable[[np.ndarray], np.ndarray], by_patient: np.ndarray, seed: int = 0
) -> dict:
    """Returns a number of metrics.json from confusion counts, with its interval.

    Args:
        measure: from (..., classes, classes) counts to (...) values, as in `counts`.
        by_patient: (patients, true class, predicted class) counts.
        seed: of the resamples.
    """
    confusions = resampled_confusions(by_patient, multiplicities(len(by_patient), seed))
    return interval_number(measure(confusions), len(by_patient), "no denominator")


def resampled_confusions(by_patient: np.ndarray, times: np.ndarray) -> np.ndarray:
    """(rows, classes, classes): sums over patients, weighted by (rows, patients) `times`."""
    flat = times.astype(float) @ by_patient.reshape(len(by_patient), -1)
    return flat.reshape(len(times), *by_patient.shape[1:])


def mean_with_interval(values: np.ndarray, patients: np.ndarray, seed: int = 0) -> dict:
    """Returns the mean of (volumes,) values with its interval; NaN values are left out and counted."""
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


def too_few(patients_of: np.ndarray) -> str:
    """Returns the reason if no ranking of so few patients could be significant, otherwise "".

    That is so if a permutation test's smallest two-sided p-value is above 0.05.

    Args:
        patients_of: (classes,) patients of each class; every patient has one class.
    """
    counts = [int(count) for count in patients_of if count]
    if len(counts) < 2:
        return ""
    orders = math.factorial(sum(counts)) // math.prod(map(math.factorial, counts))
    if 2 / orders <= 1 - COVERAGE:
        return ""
    groups = ", ".join(map(str, counts[:-1])) + f" and {counts[-1]}"
    p = f"even a perfect result has p = {2 / orders:.2g}"
    return f"{groups} patients are too few for any result to be significant: {p}"


def clopper_pearson(hits: int, n: int, coverage: float = COVERAGE) -> tuple[float, float]:
    """Returns the exact two-sided interval of a binomial proportion, (low, high).

    Raises ValueError unless 0 <= hits <= n and n > 0.

    >>> [round(limit, 3) for limit in clopper_pearson(9, 10)]
    [0.555, 0.997]
    """
    if not 0 <= hits <= n or n == 0:
        raise ValueError(f"A proportion needs 0 <= hits <= n and n > 0. Received: {hits} of {n}.")
    low, high = exact_interval(hits, n, coverage)
    return float(low), float(high)


def exact_interval(
    hits: np.ndarray, counts: np.ndarray, coverage: float = COVERAGE
) -> tuple[np.ndarray, np.ndarray]:
    """(low, high) of Clopper and Pearson (1934) for arrays of one shape."""
    tail, misses = (1 - coverage) / 2, counts - hits
    low = np.where(hits > 0, betaincinv(np.maximum(hits, 1), misses + 1, tail), 0)
    high = np.where(misses > 0, betaincinv(hits + 1, np.maximum(misses, 1), 1 - tail), 1)
    return low, high


def proportion(
    hits: np.ndarray, counts: np.ndarray, one_each: bool, drawn: np.ndarray, undefined: str
) -> dict:
    """Returns the share of correct records as a number of metrics.json.

    The interval is exact where every patient has one record. It is also exact where all records or
    none are correct, as resamples would all agree: then it is over patients. Otherwise it is that of
    the resamples.

    Args:
        hits: (patients,) correct records.
        counts: (patients,) records; `n` is how many patients have any.
        one_each: whether every patient of the data has one record.
        drawn: (1 + resamples,) shares, that of the data first.
        undefined: the reason if there is no record.
    """
    n, total, right = int((counts > 0).sum()), int(counts.sum()), int(hits.sum())
    if not n:
        return number(np.nan, 0, reason=undefined)
    if one_each:
        return number(right / n, n, clopper_pearson(right, n), "exact")
    if right in (0, total):
        interval = clopper_pearson(n if right else 0, n)
        reason = f"all records are {'right' if right else 'wrong'}: the interval counts patients"
        return number(right / total, n, interval, "exact", reason)
    return interval_number(drawn, n, undefined)
