"""95 % intervals over patients: one function for each kind of number.

Records of one patient resemble each other. So every interval rests on the variance between patients,
turned into an effective number: of independent records that would give the same variance. How often the
intervals hold the true value is simulated by benchmarks/coverage.py; see docs/statistics.md.
"""

from typing import NamedTuple

import numpy as np
from scipy.special import betaincinv, stdtrit

from mri_tf.metrics.effective_number import (
    effective_number,
    equal_patients,
    jackknife_variance,
    variance_of_mean,
)

COVERAGE = 0.95
TAIL = (1 - COVERAGE) / 2
NORMAL = 1.959963984540054  # quantile of the normal distribution for COVERAGE
GROWING = "variance grows with the mean"


class Interval(NamedTuple):
    """Limits of a number, and how they were computed."""

    low: float
    high: float
    method: str


def share_interval(hits: np.ndarray, counts: np.ndarray) -> Interval:
    """The interval of a share of records: accuracy, recall (sensitivity, specificity), precision.

    Of one record a patient it is that of Clopper and Pearson (1934). Otherwise it is Wilson's (1927)
    with the effective number of records, as Korn and Graubard (1998) use it, and a quantile of
    Student's t. Where all records are right, or all are wrong, the effective number is that of the
    patients (`equal_patients`).

    Args:
        hits: (patients,) records that count.
        counts: (patients,) all records, above 0.

    >>> share_interval(np.array([1] * 9 + [0]), np.ones(10))[2]
    'Clopper-Pearson'
    """
    total = counts.sum()
    share = hits.sum() / total
    if (counts == 1).all():
        return Interval(*exact_interval(hits.sum(), total), "Clopper-Pearson")
    if share in (0, 1):
        equal = equal_patients(counts)
        return Interval(*exact_interval(share * equal, equal), "Clopper-Pearson, n = patients")
    variance = variance_of_mean(hits, counts)
    rarer = (hits < counts) if share > 0.5 else (hits > 0)
    effective = min(effective_number(share, variance, counts, int(rarer.sum())), total)
    quantile = NORMAL if effective == total else _quantile(counts)
    return Interval(*wilson(share, effective, quantile), "Wilson, effective n")


def f1_interval(hits: np.ndarray, either: np.ndarray) -> Interval:
    """The interval of an F1 score (Dice).

    F1 = 2 J / (1 + J), where J is the share of hits among the records that are of the class or are
    predicted as it.

    Args:
        hits: (patients,) records of the class that are predicted as it.
        either: (patients,) records that are of the class or are predicted as it.
    """
    counted = either > 0
    low, high, method = share_interval(hits[counted], either[counted])
    return Interval(2 * low / (1 + low), 2 * high / (1 + high), method)


def mean_interval_of_parts(
    values: np.ndarray, intervals: list[Interval], errors: np.ndarray, least: float = 0.0
) -> Interval:
    """The interval of a mean of several numbers with intervals: balanced accuracy, macro AUC.

    MOVER of Zou and Donner (2008): distances to the limits add up like standard deviations. Near 1 the
    upper limits of the parts are close, although the mean may vary in both directions alike; so neither
    side is shorter than `least`.

    Args:
        values: (parts,) the numbers.
        intervals: of each number.
        errors: (patients, parts) what a patient adds to the error of each number.
        least: the shortest distance from the mean to a limit.
    """
    correlation = correlation_of(errors)
    below = (values - [interval.low for interval in intervals]) / len(values)
    above = ([interval.high for interval in intervals] - values) / len(values)
    down, up = (max(np.sqrt(max(part @ correlation @ part, 0)), least) for part in (below, above))
    mean = values.mean()
    methods = "/".join(dict.fromkeys(interval.method for interval in intervals))
    return Interval(max(mean - down, 0), min(mean + up, 1), f"MOVER of {methods}")


def error_of_mean(errors: np.ndarray) -> float:
    """The standard error of a mean of parts, from (patients, parts) errors of patients; 0 for one."""
    patients = (errors != 0).sum(axis=0)  # of each part
    scale = np.sqrt(patients / np.maximum(patients - 1, 1))
    return float(np.sqrt(((errors * scale).mean(axis=1) ** 2).sum()))


def correlation_of(errors: np.ndarray) -> np.ndarray:
    """(parts, parts) correlations of (patients, parts) errors around 0; 0 where a part has none."""
    products = errors.T @ errors
    size = np.sqrt(np.diag(products))
    size = np.where(size > 0, size, np.inf)
    correlation = products / size / size[:, None]
    np.fill_diagonal(correlation, 1)
    return correlation


def bounded_interval(value: float, without: np.ndarray, wrong: int, counts: np.ndarray) -> Interval:
    """The interval of a number from 0 to 1, by leaving out each patient in turn: macro F1, Dice.

    The jackknife's variance (Tukey 1958) gives an effective number for Wilson's interval.

    Args:
        value: of all patients.
        without: (patients,) the number without each patient.
        wrong: patients with an error.
        counts: (patients,) records or volumes, above 0.
    """
    effective = effective_number(value, jackknife_variance(without), counts, wrong)
    return Interval(*wilson(value, effective, _quantile(counts)), "jackknife, Wilson")


def kappa_interval(
    value: float, without: np.ndarray, wrong: int, counts: np.ndarray, by_chance: float
) -> Interval:
    """The interval of Cohen's kappa, weighted or not: `bounded_interval` of the agreement.

    Kappa is 1 - (1 - agreement) / cost by chance; the cost by chance is held at its value. Where that is
    small the limits may leave what kappa can be, which is -1 to 1.

    Args:
        value: of all patients.
        without: (patients,) kappa without each patient; NaN counts as `value`.
        wrong: patients with an error.
        counts: (patients,) records, above 0.
        by_chance: the mean cost that chance would have, as a share of the largest cost.
    """
    without = np.where(np.isfinite(without), without, value)
    agreement = 1 - (1 - value) * by_chance
    low, high, method = bounded_interval(agreement, without * by_chance, wrong, counts)
    low, high = np.clip([1 - (1 - low) / by_chance, 1 - (1 - high) / by_chance], -1, 1).tolist()
    return Interval(low, high, method)


def loss_interval(
    sums: np.ndarray, counts: np.ndarray, expected: float = 0.0, predicted_variance: float = 0.0
) -> Interval:
    """The interval of a mean that is above 0 and has no upper end: Brier score, log loss.

    A few patients may show no large loss by luck. So the variance is the larger of the one between
    patients and the one that the probabilities themselves predict. As of counts, it is taken to grow
    with the mean; so the interval reaches further up than down.

    Args:
        sums: (patients,) sum of the losses of each patient's records.
        counts: (patients,) records, above 0.
        expected: mean loss if the probabilities are right.
        predicted_variance: of the mean loss, if they are right.
    """
    mean, between = sums.sum() / counts.sum(), variance_of_mean(sums, counts)
    variance = max(between, predicted_variance)
    level = mean if variance == between else max(mean, expected)
    return Interval(*_growing(mean, variance, level, _quantile(counts)), GROWING)


def positive_interval(value: float, without: np.ndarray, counts: np.ndarray) -> Interval:
    """The interval of a mean above 0 without an upper end, by leaving out each patient: distances.

    As of `loss_interval`, the variance is taken to grow with the mean.

    Args:
        value: of all patients.
        without: (patients,) the number without each patient.
        counts: (patients,) volumes, above 0.
    """
    variance = jackknife_variance(without)
    return Interval(*_growing(value, variance, value, _quantile(counts)), GROWING)


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


def wilson(value: float, n: float, quantile: float) -> tuple[float, float]:
    """Limits of a share of n records (Wilson 1927)."""
    square = quantile**2
    middle = (value + square / (2 * n)) / (1 + square / n)
    half = quantile / (1 + square / n) * np.sqrt(value * (1 - value) / n + square / (4 * n * n))
    return max(float(middle - half), 0.0), min(float(middle + half), 1.0)


def _growing(value: float, variance: float, level: float, quantile: float) -> tuple[float, float]:
    """Limits of a number whose variance grows with it, and is `variance` where it is `level`."""
    spread = quantile**2 * variance / level if level > 0 else 0.0
    middle, half = value + spread / 2, np.sqrt(spread * value + spread**2 / 4)
    return float(middle - half), float(middle + half)


def _quantile(counts: np.ndarray) -> float:
    return student_quantile(max(equal_patients(counts) - 1, 1))


def student_quantile(freedom: float) -> float:
    """The quantile of Student's t for COVERAGE."""
    return float(stdtrit(freedom, 1 - TAIL))
