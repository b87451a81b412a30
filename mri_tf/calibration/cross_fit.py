"""Answers for patients that had no part in fitting them: each fold by the answers of the other folds."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mri_tf.calibration.operating_point import decide
from mri_tf.calibration.pooled import Unseen, fit_evidence
from mri_tf.calibration.prediction_sets import ALL_CLASSES, fit_conformal, prediction_sets


@dataclass(frozen=True)
class CrossFitted:
    """Answers of single members; the rows are those of the evidence.

    Attributes:
        probabilities: (rows, classes) calibrated.
        decisions: (rows,) labels at the operating point.
        sets: (rows, classes) bool; None where a fold has too few patients beside it to fit them.
        points: (rows,) the operating point by which a row is decided.
    """

    probabilities: np.ndarray
    decisions: np.ndarray
    sets: np.ndarray | None
    points: np.ndarray

    def decide_for(self, rows: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
        """(n,) decisions for probabilities (n, classes), at the operating points of rows (n,)."""
        pairs = zip(self.points[rows], probabilities, strict=True)
        return np.array([decide(one[None], point)[0] for point, one in pairs], int)


def cross_fitted(tested: Unseen, folds: Sequence, criterion: str | dict, level: float) -> CrossFitted:
    """Slope, intercepts, class shares, operating point and sets of each fold come from the other folds.

    Rows of a fold's patients, of any repeat, have no part in them. The scale of one other member was
    fitted to some of these patients, as they are the ones that it was validated on; what that does is
    within the difference that benchmarks/ensemble_answers.py measures.

    Args:
        tested: rows of the sides that the members were tested on.
        folds: (rows,) the fold of each, of one repeat.
        criterion: of the operating point.
        level: of the prediction sets.
    """
    folds, patients = np.asarray(folds), tested.patients.astype(str)
    probabilities = np.empty(tested.evidence.shape)
    decisions = np.empty(len(folds), int)
    points = np.empty(len(folds), dtype=object)
    sets: np.ndarray | None = np.empty(tested.evidence.shape, bool)
    for fold in np.unique(folds):
        own = folds == fold
        others = tested.of(~np.isin(patients, patients[own]))
        fitted = fit_evidence(others, criterion)
        probabilities[own] = fitted.probabilities(tested.evidence[own])
        decisions[own], points[own] = decide(probabilities[own], fitted.point), fitted.point
        scored = fitted.probabilities(others.evidence)
        threshold = fit_conformal(scored, others.truth, others.patients, level)
        if threshold >= ALL_CLASSES:
            sets = None
        if sets is not None:
            sets[own] = prediction_sets(probabilities[own], threshold)
    return CrossFitted(probabilities, decisions, sets, points)
