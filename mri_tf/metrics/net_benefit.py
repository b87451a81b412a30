"""What decisions by a probability are worth, threshold by threshold (Vickers and Elkin 2006)."""

from dataclasses import dataclass

import numpy as np

from mri_tf.core.errors import InputError


@dataclass(frozen=True)
class DecisionCurve:
    """Net benefit at each threshold probability; all arrays (thresholds,)."""

    thresholds: np.ndarray
    model: np.ndarray
    treat_all: np.ndarray
    treat_none: np.ndarray


def net_benefit(
    treated: np.ndarray, truth: np.ndarray, threshold: float, weights: np.ndarray | None = None
) -> float:
    """True positives less false ones at the odds of the threshold, a record (Vickers and Elkin 2006).

    `treated` and `truth` are (records,) bool; `weights` say how much a record counts, 1 on average.
    """
    weights = np.ones(len(truth)) if weights is None else weights
    hits, false_alarms = weights @ (treated & truth), weights @ (treated & ~truth)
    return float((hits - false_alarms * threshold / (1 - threshold)) / len(truth))


def decision_curve(
    probabilities: np.ndarray,
    truth: np.ndarray,
    thresholds: np.ndarray | None = None,
    prevalence: float | None = None,
) -> DecisionCurve:
    """Net benefit of treating where p(last class) reaches the threshold, of everybody, of nobody.

    Two classes, (records, 2) calibrated probabilities at the prevalence of use; thresholds in
    0 <= t < 1, by default 0.01, 0.02 ... 0.99. Where `prevalence` is not the records' own, each
    class counts as often as it then would; both have to be there.
    """
    if probabilities.shape[-1] != 2:
        raise InputError(
            "A decision curve is for two classes.", probabilities.shape[-1], "Leave it away."
        )
    thresholds = np.arange(1, 100) / 100 if thresholds is None else np.asarray(thresholds, float)
    sick, score = np.asarray(truth) == 1, probabilities[:, 1]
    weights = None
    if prevalence is not None:
        share = sick.mean()
        weights = np.where(sick, prevalence / share, (1 - prevalence) / (1 - share))
    everybody = np.ones_like(sick)
    return DecisionCurve(
        thresholds=thresholds,
        model=np.array([net_benefit(score >= each, sick, each, weights) for each in thresholds]),
        treat_all=np.array([net_benefit(everybody, sick, each, weights) for each in thresholds]),
        treat_none=np.zeros(len(thresholds)),
    )
