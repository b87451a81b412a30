"""95 % intervals of numbers that rank records: AUC, average precision, sensitivity at a specificity.

As everywhere they rest on the variance between patients; see `intervals`.
"""

from typing import NamedTuple

import numpy as np
from scipy.optimize import brentq

from mri_tf.metrics.effective_number import equal_patients, jackknife_variance
from mri_tf.metrics.intervals import (
    NORMAL,
    Interval,
    mean_interval_of_parts,
    share_interval,
    student_quantile,
    wilson,
)
from mri_tf.metrics.ranking import Placements, threshold_curve


def auc_interval(
    placements: Placements, patient_of: np.ndarray, stratum_of: np.ndarray | None = None
) -> Interval:
    """The interval of an area under the ROC curve: method 5 of Newcombe (2006), effective numbers.

    The effective numbers of positive and negative records follow from the variances between patients
    (Obuchowski 1997) and between records (DeLong 1988); they are not below the numbers of patients
    (`equal_patients`), and 1 where a class has one patient. An area of 1 has an interval too. Of a mean
    over strata Newcombe's variances of the strata add up, each times the square of its weight.

    Args:
        placements: of the records; of `within_strata` for a mean over strata.
        patient_of: (records,) patient numbers, of two patients at least.
        stratum_of: (records,) what a record is compared within, weighted by its pairs; None: all.
    """
    sides = [_Side.of(placements, patient_of, positive) for positive in (True, False)]
    if sides[0].members & sides[1].members:
        errors = placements.errors_by_patient(patient_of).sum(axis=1)
        equal = equal_patients(_weights(placements, patient_of))
        between = (errors**2).sum() * equal / (equal - 1)
        ratio = _ratio(between, sum(side.alone for side in sides))
        ratios = [None if len(side.members) == 1 else ratio for side in sides]
        freedom = max(equal - 1, 1)
    else:
        ratios = [side.ratio for side in sides]
        parts = np.array([side.between for side in sides])
        least = np.array([max(side.equal - 1, 1) for side in sides])
        freedom = parts.sum() ** 2 / (parts**2 / least).sum() if parts.any() else least.min()
    strata = np.zeros(len(patient_of), int)
    if stratum_of is not None:
        strata = np.unique(stratum_of, return_inverse=True)[1]
    sizes, effective = zip(*(
        _sizes(chosen, patient_of, strata, ratio)
        for chosen, ratio in zip((placements.positive, ~placements.positive), ratios, strict=True)
    ), strict=True)  # fmt: skip
    pairs = sizes[0] * sizes[1]
    single = all(side.records == len(side.members) for side in sides)
    quantile = NORMAL if np.array_equal(sizes, effective) else student_quantile(freedom)
    low, high = _newcombe(placements.area, effective, pairs / pairs.sum(), quantile)
    method = "Newcombe 5" if single else "Newcombe 5, effective n"
    return Interval(low, high, method if stratum_of is None else f"{method}, summed over strata")


def _weights(placements: Placements, patient_of: np.ndarray) -> np.ndarray:
    """(patients,) what each patient weighs in the area: its shares of the records of both classes."""
    shares = [np.bincount(patient_of[side], minlength=patient_of.max() + 1) / side.sum()
              for side in (placements.positive, ~placements.positive)]  # fmt: skip
    weights = shares[0] + shares[1]
    return weights[weights > 0]


def _sizes(
    chosen: np.ndarray, patient_of: np.ndarray, strata: np.ndarray, ratio: float | None
) -> tuple[np.ndarray, np.ndarray]:
    """(strata,) the chosen records, and of how many independent ones they are worth."""
    count = int(strata.max()) + 1
    records = np.bincount(strata[chosen], minlength=count)
    (of, _), each = np.unique(
        np.stack([strata[chosen], patient_of[chosen]]), axis=1, return_counts=True
    )
    equal = records**2 / np.bincount(of, weights=each**2, minlength=count)
    return records, _effective(records, equal, ratio)


def average_precision_interval(value: float, placements: Placements, patient_of: np.ndarray) -> Interval:
    """The interval of an average precision: Wilson's, with the number of positive records.

    That is what Boyd, Eng and Page (2013) found to cover; of several records a patient the effective
    number of `auc_interval`. Where the numbers of records are unequal, the quantile is as much longer
    as Student's t of `equal_patients` is than that of the patients.
    """
    side = _Side.of(placements, patient_of, True)
    effective = float(_effective(side.records, side.equal, side.ratio))
    few, many = (student_quantile(max(n - 1, 1)) for n in (side.equal, len(side.members)))
    return Interval(*wilson(value, effective, NORMAL * few / many), "Wilson, positive records")


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
    equal: float  # patients, as `equal_patients`
    between: float  # variance of the area that these patients cause
    alone: float  # the same, were each record a patient

    @classmethod
    def of(cls, placements: Placements, patient_of: np.ndarray, positive: bool) -> "_Side":
        chosen = placements.positive == positive
        errors = (placements.values - placements.area)[chosen]
        members, owner = np.unique(patient_of[chosen], return_inverse=True)
        sums = np.bincount(owner, weights=errors)
        records, equal = len(errors), equal_patients(np.bincount(owner))
        return cls(
            set(members.tolist()), records, equal,
            (sums**2).sum() / records**2 * (equal / (equal - 1) if len(members) > 1 else 1),
            (errors**2).sum() / records / max(records - 1, 1),
        )  # fmt: skip

    @property
    def ratio(self) -> float | None:
        """How much larger the variance is for records of the same patients; None if not known.

        Around the area of its only patient the errors of a patient add up to 0, which tells nothing.
        """
        return None if len(self.members) == 1 else _ratio(self.between, self.alone)


def _ratio(between: float, alone: float) -> float | None:
    """How much larger the variance is for records of the same patients; None if nothing varies."""
    if alone <= 0:
        return None
    return max(between / alone, 1e-9)


def _effective(records, equal, ratio: float | None):
    """Independent records that so many records are worth, `equal` patients at least and if not known."""
    return equal if ratio is None else np.clip(records / ratio, equal, records)


def _newcombe(
    area: float, effective: tuple[np.ndarray, np.ndarray], weights: np.ndarray, quantile: float
) -> tuple[float, float]:
    """Limits of a mean of AUCs: those areas whose distance from it is `quantile` standard errors.

    Args:
        area: the mean.
        effective: (strata,) independent positive records, and negative ones.
        weights: (strata,) of the mean, with a sum of 1.
        quantile: of the normal distribution or of Student's t.
    """
    positive, negative = effective
    half = (positive + negative) / 2

    def outside(supposed: float) -> float:
        spread = 2 * half - 1 - (3 * half - 3) / ((2 - supposed) * (1 + supposed))
        variances = supposed * (1 - supposed) * spread / (positive * negative)
        return (supposed - area) ** 2 - quantile**2 * float(weights**2 @ variances)

    near = 1e-9
    low = brentq(outside, 0, area - near) if area > near and outside(area - near) < 0 else area
    high = brentq(outside, area + near, 1) if area < 1 - near and outside(area + near) < 0 else area
    return float(low), float(high)
