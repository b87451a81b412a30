"""Net benefit of decisions by a probability, at one threshold or many: decision curves."""

from dataclasses import dataclass

import numpy as np

from mri_tf.core.errors import InputError
from mri_tf.metrics.intervals import student_quantile


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
    """True positives minus false positives x odds of the threshold, per record.

    Args:
        treated: (records,) bool, whom the decision treats.
        truth: (records,) bool, who has the disease.
        threshold: probability in 0 <= t < 1.
        weights: (records,) how much each record counts, 1 on average (default: all 1).

    Source: Vickers and Elkin 2006.
    """
    weights = np.ones(len(truth)) if weights is None else weights
    hits, false_alarms = weights @ (treated & truth), weights @ (treated & ~truth)
    return float((hits - false_alarms * threshold / (1 - threshold)) / len(truth))


def decision_curve(
    probabilities: np.ndarray, truth: np.ndarray, thresholds: np.ndarray | None = None,
    prevalence: float | None = None,
) -> DecisionCurve:  # fmt: skip
    """Net benefit of treating by the probability of the last of two classes, of treating all and none.

    Args:
        probabilities: (records, 2), calibrated for the prevalence of use.
        truth: (records,) class numbers.
        thresholds: in 0 <= t < 1 (default: 0.01, 0.02 ... 0.99).
        prevalence: of the last class in use, if it differs from the records': weights the records, so
            both classes must occur.

    Raises:
        InputError: there are not two classes.
    """
    if probabilities.shape[-1] != 2:
        raise InputError(
            "A decision curve needs exactly two classes.", f"{probabilities.shape[-1]} classes",
            "Leave out the decision curve.",
        )  # fmt: skip
    thresholds = np.arange(1, 100) / 100 if thresholds is None else np.asarray(thresholds, float)
    sick, score = np.asarray(truth) == 1, probabilities[:, 1]
    weights = None
    if prevalence is not None:
        share = sick.mean()
        weights = np.where(sick, prevalence / share, (1 - prevalence) / (1 - share))
    everyone = np.ones_like(sick)
    model = [net_benefit(score >= threshold, sick, threshold, weights) for threshold in thresholds]
    treat_all = [net_benefit(everyone, sick, threshold, weights) for threshold in thresholds]
    none = np.zeros(len(thresholds))
    return DecisionCurve(thresholds, np.array(model), np.array(treat_all), treat_none=none)


def decision_band(
    probabilities: np.ndarray, truth: np.ndarray, patients: np.ndarray, thresholds: np.ndarray
) -> tuple[np.ndarray, np.ndarray] | None:
    """The 95 % interval of the model's net benefit at each threshold, over patients.

    Net benefit is a mean over records, so its variance is that of the sums of patients, as of any ratio
    (Cochran 1977, section 2.11), with a t quantile. Each limit holds for its own threshold. Where nobody
    is treated net benefit is 0 without a variance.

    Args:
        probabilities: (records, 2).
        truth: (records,) class numbers.
        patients: (records,) ids.
        thresholds: (thresholds,).

    Returns:
        (low, high), (thresholds,) each; None of a single patient.
    """
    owner = np.unique(np.asarray(patients).astype(str), return_inverse=True)[1]
    count = int(owner.max()) + 1
    if count < 2:
        return None
    sick, records = np.asarray(truth) == 1, np.bincount(owner)
    odds = thresholds / (1 - thresholds)
    treated = probabilities[:, 1][:, None] >= thresholds  # (records, thresholds)
    gains = treated * (sick[:, None] - ~sick[:, None] * odds)
    mean = gains.mean(axis=0)
    sums = np.zeros((count, len(thresholds)))
    np.add.at(sums, owner, gains)
    apart = sums - records[:, None] * mean
    error = np.sqrt(count / (count - 1) * (apart**2).sum(axis=0)) / len(owner)
    width = student_quantile(count - 1) * error
    return mean - width, mean + width
