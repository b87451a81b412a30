"""Metrics of confusion matrices: counts (..., true class, predicted class), vectorised over "...".

A class without a denominator is NaN. A mean over classes uses the same classes for all matrices given
together: those for which any of them defines the number. So the resamples of one set of patients are
means of the same classes, and a resample that lacks one of them is NaN.
"""

import numpy as np


def confusion_by_patient(
    truth: np.ndarray, predicted: np.ndarray, patients: np.ndarray, class_count: int
) -> np.ndarray:
    """Returns (patients, true class, predicted class) counts; patients in sorted order.

    `truth` and `predicted` are (records,) class numbers, `patients` (records,) ids.
    """
    names, patient_of = np.unique(patients.astype(str), return_inverse=True)
    counts = np.zeros((len(names), class_count, class_count))
    np.add.at(counts, (patient_of, truth, predicted), 1)
    return counts


def accuracy(confusion: np.ndarray) -> np.ndarray:
    """Share of correct records."""
    return ratio(np.trace(confusion, axis1=-2, axis2=-1), confusion.sum(axis=(-2, -1)))


def recall_per_class(confusion: np.ndarray) -> np.ndarray:
    """(..., classes); also called sensitivity. NaN for a class that does not occur."""
    return ratio(_hits(confusion), confusion.sum(axis=-1))


def precision_per_class(confusion: np.ndarray) -> np.ndarray:
    """(..., classes); also called positive predictive value. NaN for a class never predicted."""
    return ratio(_hits(confusion), confusion.sum(axis=-2))


def f1_per_class(confusion: np.ndarray) -> np.ndarray:
    """(..., classes); NaN for a class that neither occurs nor is predicted. Also called Dice."""
    return ratio(2 * _hits(confusion), confusion.sum(axis=-1) + confusion.sum(axis=-2))


def balanced_accuracy(confusion: np.ndarray) -> np.ndarray:
    """Mean recall of the classes that occur."""
    return mean_over_classes(recall_per_class(confusion))


def f1_macro(confusion: np.ndarray) -> np.ndarray:
    """Mean F1 of the classes that occur or are predicted."""
    return mean_over_classes(_f1_zero_if_only_predicted(confusion))


def foreground_dice(confusion: np.ndarray) -> np.ndarray:
    """Mean Dice of all labels except background (class 0), over the pixels of all images together."""
    return mean_over_classes(_f1_zero_if_only_predicted(confusion)[..., 1:])


def kappa(confusion: np.ndarray) -> np.ndarray:
    """Cohen's kappa, unweighted; NaN where one class alone occurs and is predicted."""
    return _kappa(confusion, 1 - np.eye(confusion.shape[-1]))


def quadratic_kappa(confusion: np.ndarray) -> np.ndarray:
    """Cohen's kappa for ordered classes: an error by k classes costs k squared (Cohen 1968)."""
    rank = np.arange(confusion.shape[-1])
    return _kappa(confusion, (rank[:, None] - rank) ** 2)


def mean_absolute_grade_error(confusion: np.ndarray) -> np.ndarray:
    """Mean over records of |predicted - true class number|, in grades; for ordered classes."""
    rank = np.arange(confusion.shape[-1])
    grades = (confusion * np.abs(rank[:, None] - rank)).sum(axis=(-2, -1))
    return ratio(grades, confusion.sum(axis=(-2, -1)))


def mean_over_classes(values: np.ndarray) -> np.ndarray:
    """Mean of (..., classes) over the classes that are finite in any row; NaN in rows that lack one."""
    kept = np.isfinite(values).reshape(-1, values.shape[-1]).any(axis=0)
    return ratio(values[..., kept].sum(axis=-1), kept.sum())


def ratio(above: np.ndarray, below: np.ndarray) -> np.ndarray:
    """above / below; NaN where below is 0."""
    above, below = np.broadcast_arrays(np.asarray(above, float), np.asarray(below, float))
    return np.divide(above, below, out=np.full(above.shape, np.nan), where=below != 0)


def _hits(confusion: np.ndarray) -> np.ndarray:
    return np.diagonal(confusion, axis1=-2, axis2=-1)


def _kappa(confusion: np.ndarray, costs: np.ndarray) -> np.ndarray:
    """1 - observed cost / cost by chance; costs (classes, classes)."""
    total = confusion.sum(axis=(-2, -1))
    true, predicted = confusion.sum(axis=-1), confusion.sum(axis=-2)
    observed = (confusion * costs).sum(axis=(-2, -1))
    by_chance = ((true @ costs) * predicted).sum(axis=-1)
    return 1 - ratio(observed * total, by_chance)


def _f1_zero_if_only_predicted(confusion: np.ndarray) -> np.ndarray:
    """F1, where a class that no matrix contains but some predict is 0 in all of them.

    Otherwise a resample without that false alarm would be undefined.
    """
    total = confusion.reshape(-1, *confusion.shape[-2:]).sum(axis=0)
    only_predicted = (total.sum(axis=1) == 0) & (total.sum(axis=0) > 0)
    return np.where(only_predicted, 0.0, f1_per_class(confusion))
