"""How often classes occur, and the weights and shares that follow from it."""


import numpy as np


def trained_shares(counts: np.ndarray, oversample: bool, weights: np.ndarray) -> np.ndarray:
    """Shares of the classes that the loss saw: how often one was drawn times its weight, sum 1.

    `counts` are records a class on the training side. Oversampling draws every class that
    occurs as often as the largest.
    """
    counts = np.asarray(counts, float)
    drawn = np.where(counts > 0, counts.max(), 0) if oversample else counts
    return class_shares(drawn * weights)


def validation_weights(
    truth: np.ndarray, wanted: np.ndarray, patients: np.ndarray | None = None
) -> np.ndarray:
    """A weight a record: classes as `wanted` has them, not as the validation side happens to.

    (records,), wanted / share of the record's class. They sum to the number of records or,
    with `patients` given, of patients: the records of one patient are alike.
    """
    counts = np.bincount(truth, minlength=len(wanted))
    of_class = np.divide(
        np.asarray(wanted, float), counts, out=np.zeros(len(wanted)), where=counts > 0
    )
    weights = of_class[truth]
    evidence = len(truth) if patients is None else len(np.unique(np.asarray(patients, str)))
    return weights * (evidence / weights.sum()) if weights.any() else weights


def class_shares(amounts: np.ndarray) -> np.ndarray:
    return np.asarray(amounts, float) / np.sum(amounts)


def class_weights(counts: np.ndarray, scheme: str) -> np.ndarray:
    """A weight a class from how often it occurs (images, or pixels of a segmentation).

    `sqrt_inverse_frequency` is equation (2) of recipe A, w_l = sqrt(sum_k f_k / f_l);
    `inverse_frequency` leaves the root away; `none` is 1. A class that never occurs gets 0:
    it is in no loss anyway.
    """
    counts = np.asarray(counts, dtype=np.float64)
    if scheme == "none":
        return np.ones_like(counts, dtype=np.float32)
    ratio = np.divide(counts.sum(), counts, out=np.zeros_like(counts), where=counts > 0)
    return (np.sqrt(ratio) if scheme == "sqrt_inverse_frequency" else ratio).astype(np.float32)


def class_counts(labels_or_masks: np.ndarray, class_count: int) -> np.ndarray:
    """How often each class occurs in labels or in the pixels of masks."""
    return np.bincount(np.ravel(labels_or_masks), minlength=class_count)[:class_count]
