"""Differences between two variants that predicted the same records, with intervals and tests.

Two questions are answered apart. Whether these trained networks differ: patients are resampled. Whether
the variants differ, trained anew on other patients: the spread between folds, corrected for training
sides that share patients. The wider interval and the larger p-value count. Of too few patients there is
neither (mri_tf/metrics/too_few.py).
"""

from typing import NamedTuple

import numpy as np
from scipy.special import stdtr, stdtrit

from mri_tf.metrics.classifier import (
    LOWER_IS_BETTER,
    Predictions,
    checked,
    classifier_numbers,
    largest_difference,
)
from mri_tf.metrics.intervals import TAIL
from mri_tf.metrics.number import joined, number
from mri_tf.metrics.ranking import pairs_of_classes
from mri_tf.metrics.resamples import multiplicities
from mri_tf.metrics.too_few import too_few_to_compare

MEANS_OF_CLASSES = ("auc", "balanced_accuracy", "f1_macro")  # in which a rare class counts as any
THESE_NETWORKS = "whether these trained networks differ"
THE_VARIANTS = "whether the variants differ, each trained anew on other data"
BOOTSTRAP, CORRECTED_T = "bootstrap", "corrected resampled t"


class _Cells(NamedTuple):
    """Differences of one number in the cells where the data define it."""

    differences: np.ndarray  # (cells, 1 + resamples), the data's own in column 0
    weights: np.ndarray  # (cells,), with a sum of 1


def paired_differences(
    first: list[Predictions], second: list[Predictions], *, ordered: bool = False, seed: int = 0,
    test_share: float | None = None, comparisons: int = 1,
) -> dict[str, dict]:  # fmt: skip
    """Returns, for each metric, the first variant's number minus the second's, and its interval.

    A cell is one test side (a fold of a repeat). The difference is taken in each cell and averaged over
    cells; that of the AUC is weighted by the pairs of a positive and a negative record. Cells where a
    number is undefined count nothing and are said.

    The bootstrap resamples the patients of all cells together: a patient in several cells is drawn in
    all of them, and both variants get the same draws. Of several cells the interval of the corrected
    resampled t (Nadeau and Bengio 2003; Bouckaert and Frank 2004) is computed too, and the wider one is
    returned.

    Args:
        first: one `Predictions` per cell.
        second: the same cells with the same records in the same order.
        ordered: adds quadratic_kappa.
        seed: of the resamples.
        test_share: records of a test side over those of its training side; None: one network each. It
            counts where the cells' test sides differ: cells of one test side say nothing of others.
        comparisons: how many pairs of variants are compared, for the adjusted interval.

    Returns:
        `{metric: {"difference", "low", "high", "p", "low_adjusted", "high_adjusted", "n", "unit",
        "method", "question", "better", "wins", "cells"}}`: `better` is "higher" or "lower", `wins`
        counts the cells in which the first is better. The adjusted interval is wider, so that all of
        the comparisons hold at once (Bonferroni). Of too few patients limits and p are None, and
        `reason` says so.

    Raises:
        ValueError: the cells differ between the variants.
    """
    pairs = _pairs(first, second)
    patients, place = np.unique(np.concatenate([pair[0].patients for pair in pairs]),
                                return_inverse=True)  # fmt: skip
    has_class = np.zeros((len(patients), pairs[0][0].probabilities.shape[1]), bool)
    has_class[place, np.concatenate([pair[0].truth for pair in pairs])] = True
    if all(np.isin(patients, pair[0].patients).all() for pair in pairs):
        test_share = None  # one test side: other seeds of a training are no other data
    times = multiplicities(len(patients), seed)  # (1 + resamples, patients)
    differences: dict[str, list[np.ndarray]] = {}
    for pair in pairs:
        of_cell = times[:, np.searchsorted(patients, np.unique(pair[0].patients))]
        numbers = [classifier_numbers(variant, of_cell, ordered) for variant in pair]
        for name, values in numbers[0].items():
            if values.ndim == 1:
                differences.setdefault(name, []).append(values - numbers[1][name])
    pairs_of_records = np.array([pairs_of_classes(pair[0].truth) for pair in pairs], float)
    return {
        name: _difference(
            name, np.stack(cells), pairs_of_records if name == "auc" else np.ones(len(cells)),
            has_class, test_share, comparisons,
        )
        for name, cells in differences.items()
    }  # fmt: skip


def holm(p_values: list[float]) -> list[float]:
    """The p-values of several comparisons, adjusted so that all hold at once (Holm 1979).

    >>> holm([0.01, 0.04, 0.03])
    [0.03, 0.06, 0.06]
    """
    order = np.argsort(p_values)
    adjusted, largest = [0.0] * len(p_values), 0.0
    for place, index in enumerate(order):
        largest = max(largest, min(1.0, (len(p_values) - place) * p_values[index]))
        adjusted[index] = round(largest, 12)
    return adjusted


def _pairs(first, second) -> list[tuple[Predictions, Predictions]]:
    if len(first) != len(second) or not len(first):
        raise ValueError(
            f"Both variants need the same number of cells. Received: {len(first)} and {len(second)}."
        )
    pairs = [(checked(*a), checked(*b)) for a, b in zip(first, second, strict=True)]
    for cell, (a, b) in enumerate(pairs):
        if not np.array_equal(a.truth, b.truth):
            raise ValueError(
                f"The true classes of cell {cell} differ between the variants. "
                f"Received: {_different(a.truth, b.truth)}."
            )
        if not np.array_equal(a.patients, b.patients):
            raise ValueError(
                f"The patients of cell {cell} differ between the variants. "
                f"Received: {_different(a.patients, b.patients)}."
            )
    class_counts = {variant.probabilities.shape[1] for pair in pairs for variant in pair}
    if len(class_counts) > 1:
        raise ValueError(f"The cells differ in their number of classes: {sorted(class_counts)}.")
    return pairs


def _difference(
    name: str, cells: np.ndarray, weights: np.ndarray, has_class: np.ndarray,
    test_share: float | None, comparisons: int,
) -> dict:  # fmt: skip
    """One entry from (cells, 1 + resamples) differences, the data's own in column 0, of patients with
    records of these classes, (patients, classes) bool."""
    patients = len(has_class)
    in_data = np.isfinite(cells[:, 0])
    lost, of_cells = int((~in_data).sum()), cells[in_data]
    share = test_share if len(of_cells) > 1 else None  # one cell has no spread between folds
    lower = name in LOWER_IS_BETTER
    wins = (of_cells[:, 0] < 0) if lower else (of_cells[:, 0] > 0)
    about = {
        "question": THESE_NETWORKS if share is None else THE_VARIANTS,
        "better": "lower" if lower else "higher", "wins": int(wins.sum()), "cells": len(of_cells),
    }  # fmt: skip
    if not len(of_cells):
        found = number(np.nan, patients, reason="undefined in every cell")
        return {"difference": found.pop("value"), "p": None} | found | about
    kept = _Cells(of_cells, weights[in_data] / weights[in_data].sum())
    drawn, incomplete = _resampled_means(kept)
    without = int(np.isnan(drawn).sum())
    also = joined(
        f"undefined in {lost} of {len(cells)} cells: left out" if lost else "",
        f"a cell was undefined in {incomplete} of {len(drawn) - 1} resamples: left out of their mean"
        if incomplete else "",
        f"undefined in {without} of {len(drawn) - 1} resamples: left out" if without else "",
    )  # fmt: skip
    if few := too_few_to_compare(has_class, name in MEANS_OF_CLASSES):
        found = number(drawn[0], patients, reason=joined(few, also))
        return {"difference": found.pop("value"), "p": None} | found | about | {
            "low_adjusted": None, "high_adjusted": None,
        }  # fmt: skip
    largest = largest_difference(name, has_class.shape[1])
    error, freedom = np.nan, 1
    if share is not None:
        error, freedom = corrected_error(kept.differences[:, 0], kept.weights, share)
    resamples = drawn[1:][np.isfinite(drawn[1:])]
    (low, high, of_t), adjusted = (
        wider_interval(drawn[0], resamples, error, freedom, tail, largest)
        for tail in (TAIL, TAIL / comparisons)
    )
    found = number(drawn[0], patients, (low, high), CORRECTED_T if of_t else BOOTSTRAP, also)
    return {"difference": found.pop("value")} | found | about | {
        "p": _p_value(kept, drawn, share), "low_adjusted": adjusted[0], "high_adjusted": adjusted[1],
    }  # fmt: skip


def _resampled_means(cells: _Cells) -> tuple[np.ndarray, int]:
    """(1 + resamples,) weighted means over cells, and in how many resamples a cell was undefined."""
    defined = np.isfinite(cells.differences)
    weights = np.where(defined, cells.weights[:, None], 0)
    sums = (np.where(defined, cells.differences, 0) * weights).sum(axis=0)
    total = weights.sum(axis=0)
    drawn = np.divide(sums, total, out=np.full(sums.shape, np.nan), where=total > 0)
    return drawn, int((defined.any(axis=0) & ~defined.all(axis=0)).sum())


def wider_interval(
    value: float, resamples: np.ndarray, error: float, freedom: float, tail: float, largest: float
) -> tuple[float, float, bool]:
    """(low, high, whether they are of the t) of the resamples' quantiles or of Student's t, whichever
    is wider.

    Args:
        value: the difference.
        resamples: (resamples,) of it, without NaN.
        error: standard error of the t; NaN where there is none.
        freedom: degrees of freedom of the t.
        tail: probability beyond each limit.
        largest: that a difference can be; the limits stay within it.
    """
    low, high = np.quantile(resamples, (tail, 1 - tail))
    half = float(stdtrit(freedom, 1 - tail)) * error
    of_t = bool(2 * half > high - low)  # False where the error is NaN
    if of_t:
        low, high = value - half, value + half
    return max(float(low), -largest), min(float(high), largest), of_t


def corrected_error(values: np.ndarray, weights: np.ndarray, test_share: float) -> tuple[float, int]:
    """Standard error of the mean over cells, for training sides that share patients, and its degrees
    of freedom (Nadeau and Bengio 2003).

    Args:
        values: (cells,) a number, or a difference, of each; two at least.
        weights: (cells,) with a sum of 1.
        test_share: records of a test side over those of its training side.
    """
    squares = (weights**2).sum()
    variance = weights @ (values - weights @ values) ** 2 / (1 - squares)
    return float(np.sqrt((squares + test_share) * variance)), len(weights) - 1


def _p_value(cells: _Cells, drawn: np.ndarray, test_share: float | None) -> float:
    """The larger two-sided p-value of no difference, of the bootstrap and of the corrected t."""
    resamples = drawn[1:][np.isfinite(drawn[1:])]
    beyond = min((resamples <= 0).sum(), (resamples >= 0).sum())
    p = min(1.0, 2 * (1 + beyond) / (1 + len(resamples)))
    if test_share is None:
        return float(p)
    error, freedom = corrected_error(cells.differences[:, 0], cells.weights, test_share)
    if error == 0:
        return float(p)
    return float(max(p, 2 * stdtr(freedom, -abs(drawn[0]) / error)))


def _different(first: np.ndarray, second: np.ndarray) -> str:
    """In how many records two variants differ, or how many each has."""
    if len(first) != len(second):
        return f"{len(first)} and {len(second)} records"
    return f"{np.sum(first != second)} of {len(first)} records"
