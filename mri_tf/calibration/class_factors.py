"""Factors of the classes: which are tried, and how much of each class they decide rightly.

A decision is the argmax of probability x factor of the class.
"""

import numpy as np

EXPONENTS = np.arange(11) / 10  # of 1 / prior: from the argmax to Bayes' rule
# Products whose relative difference is smaller are equal. A network that has collapsed to one answer
# gives products that differ by rounding only, and the exported graph rounds differently.
TIE_TOLERANCE = 1e-6


def candidate_factors(probabilities: np.ndarray, prior: np.ndarray) -> np.ndarray:
    """(candidates, classes) factors, the nearest to Bayes' rule first."""
    if len(prior) != 2:
        return np.stack([powers_of(prior, exponent) for exponent in EXPONENTS[::-1]])
    edges = np.concatenate([[0], np.unique(scores_of(probabilities)), [1]])
    thresholds = np.append((edges[1:] + edges[:-1]) / 2, prior[1])
    thresholds = thresholds[np.argsort(np.abs(thresholds - prior[1]), kind="stable")]
    return np.stack([thresholds, 1 - thresholds], axis=-1)  # p1 > t is p1 x (1 - t) > p0 x t


def powers_of(prior: np.ndarray, exponent: float) -> np.ndarray:
    """prior^-exponent, sum 1; 0 for a class of prior 0, whose probability is 0 anyway."""
    factors = np.where(prior > 0, np.where(prior > 0, prior, 1) ** -exponent, 0)
    return factors / factors.sum()


def recalls_of_candidates(candidates: np.ndarray, probabilities, truth, weights) -> np.ndarray:
    """(candidates, classes) of `recalls_of`; for two classes by one sort instead of one pass each."""
    if candidates.shape[-1] != 2:
        return np.stack([recalls_of(probabilities * factors, truth, weights) for factors in candidates])
    scores, columns = scores_of(probabilities), []
    for label in (0, 1):
        of_label = truth == label
        order = np.argsort(scores[of_label])
        mass = np.append(0, np.cumsum(weights[of_label][order]))
        at_most = np.searchsorted(scores[of_label][order], candidates[:, 0], side="right")
        called_0 = mass[at_most] / mass[-1]
        columns.append(1 - called_0 if label else called_0)
    return np.stack(columns, axis=-1)


def scores_of(probabilities: np.ndarray) -> np.ndarray:
    """(records,) probability of the last of two classes, whose sum need not be exactly 1."""
    wide = np.asarray(probabilities, float)
    return wide[:, 1] / wide.sum(axis=-1)


def first_of_largest(scored: np.ndarray) -> np.ndarray:
    """(records,) the lowest label among those whose product is the largest, or equal to it."""
    return np.argmax(scored >= scored.max(axis=-1, keepdims=True) * (1 - TIE_TOLERANCE), axis=-1)


def recalls_of(scored: np.ndarray, truth: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """(classes,) weighted share that is decided correctly; NaN for a class without records."""
    classes = scored.shape[-1]
    right = first_of_largest(scored) == truth
    total = np.bincount(truth, weights=weights, minlength=classes)
    hits = np.bincount(truth, weights=weights * right, minlength=classes)
    return np.divide(hits, total, out=np.full(classes, np.nan), where=total > 0)
