"""Which labels the probabilities of networks doubt that never saw them: confident learning.

Source: Northcutt, Jiang and Chuang 2021, Confident learning: estimating uncertainty in dataset labels,
J Artif Intell Res 70. The tests compare every function with cleanlab, the authors' implementation.

Common arguments: `labels` (units,) class numbers as given, `probabilities` (units, classes) of networks
that were not trained on the unit.
"""

import numpy as np

SAME = 1e-6  # probabilities that differ by less are equal
NEVER = 2.0  # the threshold of a class that no unit has: no probability reaches it


def self_confidence(labels: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    """(units,) the probability of the given label, 0 to 1: the lower, the more the label is doubted.

    >>> self_confidence(np.array([0, 1]), np.array([[0.9, 0.1], [0.7, 0.3]])).tolist()
    [0.9, 0.3]
    """
    return probabilities[np.arange(len(labels)), labels]


def normalized_margin(labels: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    """(units,) the probability of the given label minus the largest other one, brought to 0 to 1.

    >>> normalized_margin(np.array([0]), np.array([[0.25, 0.75, 0.0]])).tolist()
    [0.25]
    """
    others = probabilities.copy()
    others[np.arange(len(labels)), labels] = -np.inf
    return (self_confidence(labels, probabilities) - others.max(axis=1) + 1) / 2


def class_thresholds(labels: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    """(classes,) from which probability on a unit is confidently of a class: the mean probability of
    the class among the units that have its label; above 1 for a class that none has."""
    classes = range(probabilities.shape[1])
    means = [probabilities[labels == label, label].mean() if (labels == label).any() else NEVER
             for label in classes]  # fmt: skip
    return np.maximum(means, 2 * SAME)


def confident_classes(labels: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    """(units,) the class that each unit is confidently of, the most probable of several; -1 of none."""
    reached = probabilities >= class_thresholds(labels, probabilities) - SAME
    best = np.where(reached, probabilities, -np.inf).argmax(axis=1)
    several = reached.sum(axis=1) > 1
    found = np.where(several, probabilities.argmax(axis=1), best)
    return np.where(reached.any(axis=1), found, -1)


def contradicted(labels: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    """(units,) bool: the unit is confidently of another class than its label, which is not the most
    probable one either."""
    confident = confident_classes(labels, probabilities)
    return (confident >= 0) & (confident != labels) & (probabilities.argmax(axis=1) != labels)


def expected_wrong(labels: np.ndarray, probabilities: np.ndarray) -> float:
    """About how many labels are wrong: what lies off the diagonal of the confident joint, its rows
    brought to the number of units of each given label."""
    confident, classes = confident_classes(labels, probabilities), probabilities.shape[1]
    joint = np.zeros((classes, classes))
    known = confident >= 0
    np.add.at(joint, (labels[known], confident[known]), 1)
    np.fill_diagonal(joint, np.maximum(np.diag(joint), 1))
    counts = np.bincount(labels, minlength=classes)
    calibrated = joint / joint.sum(axis=1, keepdims=True) * counts[:, None]
    return float(calibrated.sum() - np.trace(calibrated))


def order_of_doubt(labels: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    """(units,) positions, the most doubted first: contradicted ones, then the others, each by their
    self-confidence; of equal ones the first in the set comes first."""
    sure = ~contradicted(labels, probabilities)
    return np.lexsort((self_confidence(labels, probabilities), sure))
