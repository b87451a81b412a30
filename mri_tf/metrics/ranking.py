"""How well scores rank records: ROC-AUC, average precision, sensitivity at a fixed specificity.

Each is computed under many integer weightings of the patients at once, from one sort of the records
and cumulative sums of weights. Tied scores are one threshold. The definitions are those of
scikit-learn with `sample_weight`: trapezoids under the ROC curve through every threshold, and the sum
of precision x step of recall without interpolation.
"""

from typing import NamedTuple

import numpy as np
from scipy.stats import rankdata

from mri_tf.metrics.counts import ratio

CELLS_AT_ONCE = 2**20  # weightings x records in memory together


class Ranking(NamedTuple):
    """(weightings,) each; NaN where no positive or no negative record has a weight."""

    auc: np.ndarray
    average_precision: np.ndarray
    sensitivity: np.ndarray


class Placements(NamedTuple):
    """How each record is placed among those of the other class (DeLong 1988).

    Attributes:
        area: area under the ROC curve, the mean of the values of either class.
        values: (records,) of a positive one the share of negative ones below it, of a negative one the
            share of positive ones above it; ties count half.
        positive: (records,) bool.
    """

    area: float
    values: np.ndarray
    positive: np.ndarray

    def errors_by_patient(self, patient_of: np.ndarray) -> np.ndarray:
        """(patients, 2): what a patient's positive and negative records add to the error of the area."""
        patients = int(patient_of.max()) + 1
        errors = self.values - self.area
        return np.stack([
            np.bincount(patient_of[side], weights=errors[side], minlength=patients) / side.sum()
            for side in (self.positive, ~self.positive)
        ], axis=1)  # fmt: skip


def placements(scores: np.ndarray, positive: np.ndarray) -> Placements:
    """The placements of records; both classes have to occur.

    Args:
        scores: (records,); a higher score means more likely positive.
        positive: (records,) bool.
    """
    ranks, values = rankdata(scores), np.empty(len(scores))
    for side in (positive, ~positive):
        values[side] = (ranks[side] - rankdata(scores[side])) / (~side).sum()
    values[~positive] = 1 - values[~positive]
    return Placements(float(values[positive].mean()), values, positive)


def pairs_of_classes(labels: np.ndarray) -> int:
    """Pairs of records of different classes: what the AUC of a fold weighs in a mean over folds."""
    counts = np.unique(labels, return_counts=True)[1]
    return int((counts.sum() ** 2 - (counts**2).sum()) // 2)


def within_strata(
    scores: np.ndarray, positive: np.ndarray, stratum_of: np.ndarray
) -> tuple[Placements, np.ndarray] | None:
    """The mean AUC of strata, weighted by their pairs, as placements whose errors are those of the mean.

    Records are placed among those of the other class in their stratum only. The values of a stratum
    are stretched about the mean by its weight, so that intervals of a single area apply to the mean.

    Args:
        scores: (records,); a higher score means more likely positive.
        positive: (records,) bool.
        stratum_of: (records,) numbers of strata.

    Returns:
        The placements and (records,) bool: of strata with both classes, of which the placements are;
        None where there is no such stratum.
    """
    both = np.intersect1d(stratum_of[positive], stratum_of[~positive])
    kept = np.isin(stratum_of, both)
    if not len(both):
        return None
    stratum_of, positive, scores = stratum_of[kept], positive[kept], scores[kept]
    values, pairs, shares = np.empty(len(scores)), [], np.empty(len(scores))
    areas = []
    for stratum in both:
        own = stratum_of == stratum
        found = placements(scores[own], positive[own])
        counts = [int(side.sum()) for side in (found.positive, ~found.positive)]
        values[own], shares[own] = found.values, np.where(found.positive, *np.flip(counts))
        areas.append(found.area)
        pairs.append(counts[0] * counts[1])
    area = float(np.average(areas, weights=pairs))
    # The weight of a positive record in the mean is that of its stratum over its positive records.
    totals = np.where(positive, positive.sum(), (~positive).sum())
    stretched = area + totals * shares / sum(pairs) * (values - area)
    return Placements(area, stretched, positive), kept


class ThresholdCurve(NamedTuple):
    """Every threshold of a ranking, and what the chosen one does.

    Attributes:
        points: (thresholds, 2) specificity and sensitivity.
        hits: (patients,) positive records at or above the chosen threshold.
        rejected: (patients,) negative records below it.
    """

    points: np.ndarray
    hits: np.ndarray
    rejected: np.ndarray


def threshold_curve(
    scores: np.ndarray, positive: np.ndarray, patient_of: np.ndarray, specificity: float
) -> ThresholdCurve:
    """The thresholds of two classes, and the one with the highest sensitivity at a specificity.

    Args:
        scores: (records,); a higher score means more likely positive.
        positive: (records,) bool.
        patient_of: (records,) patient numbers.
        specificity: that the chosen threshold reaches at least.
    """
    thresholds = np.append(np.unique(scores), np.inf)
    above, below = np.sort(scores[positive]), np.sort(scores[~positive])
    specificities = np.searchsorted(below, thresholds) / len(below)
    sensitivities = 1 - np.searchsorted(above, thresholds) / len(above)
    chosen = thresholds[np.flatnonzero(specificities >= specificity - 1e-9)[0]]
    called, patients = scores >= chosen, int(patient_of.max()) + 1
    return ThresholdCurve(
        np.stack([specificities, sensitivities], axis=1),
        np.bincount(patient_of, weights=called & positive, minlength=patients),
        np.bincount(patient_of, weights=~called & ~positive, minlength=patients),
    )  # fmt: skip


class _Order(NamedTuple):
    """Records by falling score, cut at the thresholds that are the score of a positive record."""

    patient_of: np.ndarray  # (records,)
    positive_patient_of: np.ndarray  # (positive records,)
    first: np.ndarray  # (thresholds,) how many records score above the threshold
    last: np.ndarray  # (thresholds,) how many score at or above it
    positive_first: np.ndarray  # the same, among the positive records
    positive_last: np.ndarray


def ranking(
    scores: np.ndarray, positive: np.ndarray, patient_of: np.ndarray, times: np.ndarray,
    specificity: float = 0.9,
) -> Ranking:  # fmt: skip
    """Returns the three numbers under each weighting.

    Args:
        scores: (records,); a higher score means more likely positive.
        positive: (records,) bool.
        patient_of: (records,) patient numbers, the columns of `times`.
        times: (weightings, patients) whole numbers.
        specificity: the sensitivity is the highest at any threshold with at least this specificity.
    """
    order = _sorted(scores, positive, patient_of)
    rows = max(1, CELLS_AT_ONCE // max(len(scores), 1))
    # 32 bits hold any sum unless one patient's records, drawn every time, do not fit.
    heaviest = int(np.bincount(patient_of).max()) * int(times.sum(axis=1).max())
    times = times.astype(np.int32 if heaviest < 2**31 else np.int64)
    parts = [
        _rank_rows(order, times[start : start + rows], specificity)
        for start in range(0, len(times), rows)
    ]
    return Ranking(*(np.concatenate(column) for column in zip(*parts, strict=True)))


def _sorted(scores: np.ndarray, positive: np.ndarray, patient_of: np.ndarray) -> _Order:
    falling = np.argsort(-scores, kind="stable")
    scores, positive, patient_of = scores[falling], positive[falling], patient_of[falling]
    ends = np.append(np.flatnonzero(np.diff(scores)) + 1, len(scores))
    starts = np.insert(ends[:-1], 0, 0)
    hits = np.insert(np.cumsum(positive), 0, 0)
    # A threshold without a positive record changes neither recall nor sensitivity, and its part of
    # the area is counted with the thresholds around it.
    useful = hits[ends] > hits[starts]
    starts, ends = starts[useful], ends[useful]
    return _Order(patient_of, patient_of[positive], starts, ends, hits[starts], hits[ends])


def _rank_rows(order: _Order, times: np.ndarray, specificity: float) -> tuple[np.ndarray, ...]:
    every = _sums(times, order.patient_of)  # (rows, records + 1)
    positives = _sums(times, order.positive_patient_of)  # (rows, positive records + 1)
    hits_before = positives[:, order.positive_first]  # (rows, thresholds)
    hits = positives[:, order.positive_last]
    called = every[:, order.last]
    alarms = called - hits
    positive_total = positives[:, -1].astype(float)
    negative_total = every[:, -1] - positive_total
    gained = (hits - hits_before).astype(float)
    alarms_before = every[:, order.first] - hits_before
    below = negative_total[:, None] - (alarms_before + alarms) / 2
    auc = ratio((gained * below).sum(axis=1), positive_total * negative_total)
    precision = hits / np.maximum(called, 1)
    average_precision = ratio((gained * precision).sum(axis=1), positive_total)
    # 1e-9 against rounding: a specificity of 0.9 allows 3 false alarms in 30 records.
    allowed = (1 - specificity) * negative_total + 1e-9
    reached = np.where(alarms <= allowed[:, None], hits, 0)
    sensitivity = ratio(reached.max(axis=1, initial=0), positive_total)
    undefined = negative_total == 0
    average_precision[undefined], sensitivity[undefined] = np.nan, np.nan
    return auc, average_precision, sensitivity


def _sums(times: np.ndarray, patient_of: np.ndarray) -> np.ndarray:
    """(rows, records + 1): weight of the first k records, from k = 0."""
    sums = np.zeros((len(times), len(patient_of) + 1), times.dtype)
    np.cumsum(np.take(times, patient_of, axis=1), axis=1, out=sums[:, 1:])
    return sums
