"""How often classes occur, and the weights and shares that follow from it."""

import numpy as np


def class_counts(labels_or_masks: np.ndarray, class_count: int) -> np.ndarray:
    """How often each class occurs in labels or in the pixels of masks: (classes,) whole numbers."""
    return np.bincount(np.ravel(labels_or_masks), minlength=class_count)[:class_count]


def class_shares(amounts: np.ndarray) -> np.ndarray:
    """Amounts divided by their sum.

    >>> class_shares(np.array([3, 1])).tolist()
    [0.75, 0.25]
    """
    return np.asarray(amounts, float) / np.sum(amounts)


def class_weights(counts: np.ndarray, scheme: str) -> np.ndarray:
    """Weights of the classes in the loss, from how often they occur (images, or pixels of masks).

    Args:
        counts: (classes,) of the training side.
        scheme: `none` (1 for each), `inverse_frequency` (sum_k f_k / f_l for class l) or
            `sqrt_inverse_frequency` (its square root, equation (2) of recipe A).

    Returns:
        (classes,) float32; 0 for a class that does not occur. They are scaled so that their mean over
        the training side is 1: a loss of 44 classes would else be six times larger with weights than
        without, and a learning rate of plain gradient descent as much too high.
    """
    counts = np.asarray(counts, dtype=np.float64)
    if scheme == "none":
        return np.ones_like(counts, dtype=np.float32)
    ratio = np.divide(counts.sum(), counts, out=np.zeros_like(counts), where=counts > 0)
    weights = np.sqrt(ratio) if scheme == "sqrt_inverse_frequency" else ratio
    return (weights * counts.sum() / max(counts @ weights, 1.0)).astype(np.float32)


def trained_shares(counts: np.ndarray, oversample: bool, weights: np.ndarray) -> np.ndarray:
    """Shares of the classes that the loss saw: how often each was drawn times its weight.

    Args:
        counts: (classes,) records on the training side.
        oversample: whether every class that occurs was drawn as often as the largest.
        weights: (classes,) of the loss.

    Returns:
        (classes,) with sum 1.
    """
    counts = np.asarray(counts, float)
    drawn = np.where(counts > 0, counts.max(), 0) if oversample else counts
    return class_shares(drawn * weights)


def validation_weights(
    truth: np.ndarray, expected: np.ndarray, patients: np.ndarray | None = None
) -> np.ndarray:
    """Weights that give the validation records the class shares of records to come.

    Args:
        truth: (records,) labels.
        expected: (classes,) shares of records to come.
        patients: (records,) patient ids; records of one patient are alike.

    Returns:
        (records,) expected share / share of the record's class. They sum to the number of patients or,
        without `patients`, of records.
    """
    counts = np.bincount(truth, minlength=len(expected))
    of_class = np.divide(
        np.asarray(expected, float), counts, out=np.zeros(len(expected)), where=counts > 0
    )
    weights = of_class[truth]
    evidence = len(truth) if patients is None else len(np.unique(np.asarray(patients, str)))
    return weights * (evidence / weights.sum()) if weights.any() else weights
