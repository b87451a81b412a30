"""95 % intervals of numbers that rank records: AUC, average precision, sensitivity at a specificity.

As everywhere they rest on the variance between patients; see `intervals`.
"""

from typing import NamedTuple

import numpy as np
from scipy.optimize import brentq

from mri_tf.metrics.intervals import (
    NORMAL,
    Interval,
    jackknife_variance,
    mean_interval_of_parts,
    share_interval,
    student_quantile,
    wilson,
)
from mri_tf.metrics.ranking import Placements, threshold_curve


def auc_interval(placements: Placements, patient_of: np.ndarray) -> Interval:
    """The interval of an area under the ROC curve: method 5 of Newcombe (2006), effective numbers.

    The effective numbers of positive and negative records follow from the variances between patients
    (Obuchowski 1997) and between records (DeLong 1988); they are not below the numbers of patients.
    An area of 1 has an interval too.

    Args:
        placements: of the records.
        patient_of: (records,) patient numbers.
    """
    sides = [_Side.of(placements, patient_of, positive) for positive in (True, False)]
    shared = bool(sides[0].members & sides[1].members)
    if shared:
        errors = placements.errors_by_patient(patient_of).sum(axis=1)
        patients = len(set.union(*(side.members for side in sides)))
        ratio = _ratio((errors**2).sum() * patients / (patients - 1), sum(side.alone for side in sides))
        effective = [side.effective(ratio) for side in sides]
        freedom = patients - 1.0
    else:
        effective = [side.effective(_ratio(side.between, side.alone)) for side in sides]
        parts = np.array([side.between for side in sides])
        least = np.array([max(side.patients - 1, 1) for side in sides])
        freedom = parts.sum() ** 2 / (parts**2 / least).sum() if parts.any() else least.min()
    single = all(side.records == side.patients for side in sides)
    independent = all(size == side.records for size, side in zip(effective, sides, strict=True))
    quantile = NORMAL if independent else student_quantile(freedom)
    low, high = _newcombe(placements.area, *effective, quantile)
    return Interval(low, high, "Newcombe 5" if single else "Newcombe 5, effective n")


def average_precision_interval(value: float, placements: Placements, patient_of: np.ndarray) -> Interval:
    """The interval of an average precision: Wilson's, with the number of positive records.

    That is what Boyd, Eng and Page (2013) found to cover; of several records a patient the effective
    number of `auc_interval`.
    """
    side = _Side.of(placements, patient_of, True)
    effective = side.effective(_ratio(side.between, side.alone))
    return Interval(*wilson(value, effective, NORMAL), "Wilson, positive records")


def mean_average_precision_interval(
    values: np.ndarray, intervals: list[Interval], without: np.ndarray | None
) -> Interval:
    """The interval of a mean of average precisions over classes.

    MOVER of the classes' intervals. With few positive records an average precision is too high, and in
    a mean over classes this does not cancel: the jackknife's estimate of the bias (Quenouille 1956)
    lowers the lower limit, and its standard error is the shortest distance to a limit.

    Args:
        values: (classes,) average precisions.
        intervals: of each.
        without: (1 + patients,) the mean of all patients, then without each; None: no correction.
    """
    unrelated = np.eye(len(values))  # as if each class had the errors of a patient of its own
    if without is None:
        return mean_interval_of_parts(values, intervals, unrelated)
    patients = len(without) - 1
    least = NORMAL * np.sqrt(jackknife_variance(without[1:]))
    low, high, method = mean_interval_of_parts(values, intervals, unrelated, least)
    bias = (patients - 1) * (without[1:].mean() - without[0])
    return Interval(max(low - max(float(bias), 0), 0), high, f"{method}, bias by the jackknife")


def interval_at_specificity(
    scores: np.ndarray, positive: np.ndarray, patient_of: np.ndarray, specificity: float
) -> Interval:
    """The interval of the highest sensitivity at any threshold with at least this specificity.

    Args:
        scores: (records,); a higher score means more likely positive.
        positive: (records,) bool; both classes have to occur.
        patient_of: (records,) patient numbers.
        specificity: from 0 to 1.
    """
    curve = threshold_curve(scores, positive, patient_of, specificity)
    negatives, positives = (np.bincount(patient_of, weights=side) for side in (~positive, positive))
    others, owners = negatives > 0, positives > 0
    reached = share_interval(curve.rejected[others], negatives[others])
    return sensitivity_interval(curve.points, curve.hits[owners], positives[owners], reached)


def sensitivity_interval(
    curve: np.ndarray, hits: np.ndarray, counts: np.ndarray, specificity: Interval
) -> Interval:
    """The interval of the sensitivity at a threshold that was set by the specificity.

    The sensitivity varies with the positive patients and, through the threshold, with the negative
    ones. Both distances add up like standard deviations (MOVER).

    Args:
        curve: (thresholds, 2) specificity and sensitivity of every threshold.
        hits: (patients,) positive records above the chosen threshold.
        counts: (patients,) positive records, above 0.
        specificity: interval of the specificity at the chosen threshold.
    """
    share = hits.sum() / counts.sum()
    low, high, method = share_interval(hits, counts)
    stricter = curve[curve[:, 0] >= specificity.high - 1e-9, 1].max(initial=0)
    laxer = curve[curve[:, 0] >= specificity.low - 1e-9, 1].max(initial=share)
    down, up = np.hypot(share - low, share - min(stricter, share)), np.hypot(high - share, laxer - share)
    return Interval(max(share - down, 0), min(share + up, 1), f"MOVER of {method} and the threshold")


class _Side(NamedTuple):
    """The positive or the negative records of a ranking."""

    members: set[int]  # patient numbers
    records: int
    between: float  # variance of the area that these patients cause
    alone: float  # the same, were each record a patient

    @classmethod
    def of(cls, placements: Placements, patient_of: np.ndarray, positive: bool) -> "_Side":
        chosen = placements.positive == positive
        errors = (placements.values - placements.area)[chosen]
        members, owner = np.unique(patient_of[chosen], return_inverse=True)
        sums = np.bincount(owner, weights=errors)
        records, patients = len(errors), len(members)
        return cls(
            set(members.tolist()), records,
            (sums**2).sum() / records**2 * patients / max(patients - 1, 1),
            (errors**2).sum() / records / max(records - 1, 1),
        )  # fmt: skip

    @property
    def patients(self) -> int:
        return len(self.members)

    def effective(self, ratio: float | None) -> float:
        """Independent records with this ratio of the variances; None: not known."""
        if ratio is None:
            return self.patients
        return float(np.clip(self.records / ratio, self.patients, self.records))


def _ratio(between: float, alone: float) -> float | None:
    """How much larger the variance is for records of the same patients; None if nothing varies."""
    if alone <= 0:
        return None
    return max(between / alone, 1e-9)


def _newcombe(area: float, positive: float, negative: float, quantile: float) -> tuple[float, float]:
    """Limits of an AUC: those areas whose distance from it is `quantile` standard errors."""

    def outside(supposed: float) -> float:
        half = (positive + negative) / 2
        spread = 2 * half - 1 - (3 * half - 3) / ((2 - supposed) * (1 + supposed))
        variance = supposed * (1 - supposed) * spread / (positive * negative)
        return (supposed - area) ** 2 - quantile**2 * variance

    near = 1e-9
    low = brentq(outside, 0, area - near) if area > near and outside(area - near) < 0 else area
    high = brentq(outside, area + near, 1) if area < 1 - near and outside(area + near) < 0 else area
    return float(low), float(high)
