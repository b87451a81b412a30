"""ROC curves with a band over patients."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mri_tf.metrics.classifier import Predictions
from mri_tf.metrics.ranking_intervals import interval_at_specificity

FALSE_RATES = np.linspace(0, 1, 41)  # where a band has its limits


@dataclass(frozen=True)
class RocCurve:
    """The ROC curve of a class against the rest.

    Attributes:
        false_rate: (points,) 1 - specificity, from 0 to 1; one of the rates is NaN where records of the
            class, or of the rest, do not occur.
        true_rate: (points,) sensitivity.
        auc: the area under it, a number of metrics.json.
        at: (limits,) false positive rates at which the band has its limits; empty without a band.
        low: (limits,) lower limits of the sensitivity.
        high: (limits,) upper limits.
        why_no_band: "" where there is one.
    """

    false_rate: np.ndarray
    true_rate: np.ndarray
    auc: dict
    at: np.ndarray
    low: np.ndarray
    high: np.ndarray
    why_no_band: str = ""


def roc_curves(
    predictions: Predictions, class_names: Sequence[str], per_class: dict[str, dict]
) -> dict[str, RocCurve]:
    """Returns the curve of each class against the rest by name, of two classes that of the last one.

    A band has the 95 % interval of the sensitivity at each specificity, by the method that
    `sensitivity_at_specificity` has: from the variance between patients, by MOVER of the interval of the
    sensitivity and of the threshold. Each limit holds for its own specificity, not for the whole curve.
    Resampling patients instead gives no band at all where the ranking has no error.

    Args:
        predictions: from `checked` or `predictions_of`.
        class_names: in the order of the class numbers.
        per_class: the numbers of each class with their intervals, of `classification_metrics`. Where the
            area has no interval, the curve has no band, for the same reason.
    """
    patient_of = np.unique(predictions.patients, return_inverse=True)[1]
    first = 1 if len(class_names) == 2 else 0
    found = {}
    for label, name in list(enumerate(class_names))[first:]:
        scores, positive = predictions.probabilities[:, label], predictions.truth == label
        auc = per_class[name]["auc"]
        band = np.empty((3, 0)) if auc["low"] is None else _band(scores, positive, patient_of)
        reason = auc.get("reason", "") if auc["low"] is None else ""
        found[name] = RocCurve(*roc_points(scores, positive), auc, *band, reason)
    return found


def roc_points(scores: np.ndarray, positive: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns false and true positive rates at every distinct score, from (0, 0) to (1, 1).

    Args:
        scores: (records,).
        positive: (records,) bool. If all are equal, one of the two rates is NaN.
    """
    scores, positive = np.asarray(scores, float), np.asarray(positive, bool)
    order = np.argsort(-scores, kind="stable")
    last_of_tie = np.flatnonzero(np.diff(scores[order], append=np.nan) != 0)
    hits = np.cumsum(positive[order])[last_of_tie]
    alarms = last_of_tie + 1 - hits
    with np.errstate(invalid="ignore"):
        false_rate = np.concatenate([[0], alarms / np.float64((~positive).sum())])
        true_rate = np.concatenate([[0], hits / np.float64(positive.sum())])
    return false_rate, true_rate


def _band(scores: np.ndarray, positive: np.ndarray, patient_of: np.ndarray) -> np.ndarray:
    """(3, limits): false positive rates, lower and upper limits, which never fall to the right."""
    limits = [
        interval_at_specificity(scores, positive, patient_of, 1 - rate)[:2] for rate in FALSE_RATES[:-1]
    ]
    low, high = np.array([*limits, (1.0, 1.0)]).T  # who calls all records positive misses none
    value = np.interp(FALSE_RATES, *roc_points(scores, positive))  # on lines through tied scores too
    low = np.minimum(np.maximum.accumulate(low), value)
    return np.stack([FALSE_RATES, low, np.maximum(np.maximum.accumulate(high), value)])
