"""Thresholds of two classes that few patients can carry.

The threshold with the best value on a few patients is mostly chance. How much each rule loses to the
best threshold was simulated: benchmarks/operating_points.py.
"""

import numpy as np
from scipy.special import expit, logit

FEWEST = 4  # patients of each class; with fewer Bayes' rule decides
MANY = 50  # patients of the rarer class, from which on the maximum itself is taken
NEAREST = 1e-12  # of a score to 0 and 1, for its logit


def patients_of_classes(truth: np.ndarray, patients: np.ndarray, classes: int) -> np.ndarray:
    """(classes,) how many patients have a record of each class."""
    pairs = np.unique(np.stack([truth.astype(str), np.asarray(patients).astype(str)]), axis=1)
    return np.array([(pairs[0] == str(label)).sum() for label in range(classes)])


def balanced_threshold(
    scores: np.ndarray, truth: np.ndarray, patients: np.ndarray, bayes: float
) -> float:
    """The threshold for balanced accuracy that few patients can carry.

    It is `midpoint_of_medians`, drawn towards Bayes' threshold as far as chance can explain the distance
    between them (the positive part of James and Stein 1961): where the scores are on scale Bayes'
    threshold is better than anything that few patients say, and where they are off scale it is wrong.

    Args:
        scores: (records,) probability of the second class.
        truth: (records,) 0 or 1; two patients of each at least.
        patients: (records,) ids.
        bayes: the share of the second class.
    """
    middle, start = logit(midpoint_of_medians(scores, truth, patients)), logit(bayes)
    logits = logit(np.clip(scores, NEAREST, 1 - NEAREST))
    variance = 0.0
    for label in (0, 1):
        owner = _owners(patients, truth == label)
        means = np.bincount(owner, weights=logits[truth == label]) / np.bincount(owner)
        variance += np.pi / 2 * means.var(ddof=1) / len(means) / 4  # of half a median
    far = (middle - start) ** 2
    kept = max(0.0, 1 - variance / far) if far > 0 else 0.0
    return float(expit(start + kept * (middle - start)))


def midpoint_of_medians(scores: np.ndarray, truth: np.ndarray, patients: np.ndarray) -> float:
    """The threshold midway, on the logit, between the medians of the two classes.

    In each class every patient weighs the same, however many records they have.

    >>> round(midpoint_of_medians(np.array([0.1, 0.2, 0.6, 0.8]), np.array([0, 0, 1, 1]),
    ...                           np.arange(4)), 2)
    0.39
    """
    logits = logit(np.clip(scores, NEAREST, 1 - NEAREST))
    medians = []
    for label in (0, 1):
        owner = _owners(patients, truth == label)
        medians.append(_median(logits[truth == label], 1 / np.bincount(owner)[owner]))
    return float(expit(np.mean(medians)))


def shrunken_to_half(best: float, patients: int) -> float:
    """The threshold of the best accuracy on so many patients, drawn towards 0.5."""
    return 0.5 + (best - 0.5) * patients / (patients + MANY)


def _owners(patients: np.ndarray, chosen: np.ndarray) -> np.ndarray:
    """Patient numbers of the chosen records."""
    return np.unique(np.asarray(patients)[chosen].astype(str), return_inverse=True)[1]


def _median(values: np.ndarray, weights: np.ndarray) -> float:
    """The weighted median; midway between two values where half of the weight lies on each side."""
    order = np.argsort(values)
    values, share = values[order], np.cumsum(weights[order]) / weights.sum()
    first = int(np.searchsorted(share, 0.5 - 1e-9))
    if abs(share[first] - 0.5) < 1e-9 and first + 1 < len(values):
        return float((values[first] + values[first + 1]) / 2)
    return float(values[first])
