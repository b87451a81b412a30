"""Differences between two variants that predicted the same records, with intervals."""

import numpy as np

from mri_tf.metrics.classifier import LOWER_IS_BETTER, Predictions, checked, classifier_numbers
from mri_tf.metrics.number import joined
from mri_tf.metrics.resamples import multiplicities, percentile_interval


def paired_differences(
    first: list[Predictions], second: list[Predictions], *, ordered: bool = False, seed: int = 0
) -> dict[str, dict]:
    """Returns, for each metric, the first variant's number minus the second's, and its interval.

    A cell is one test side (a fold of a repeat). The difference is taken in each cell and averaged over
    cells. The interval resamples the patients of all cells together: a patient in several cells is
    drawn in all of them, and both variants get the same draws. Cells where a number is undefined, in
    the data or in a resample, are left out of the mean and counted.

    Args:
        first: one `Predictions` per cell.
        second: the same cells with the same records in the same order.
        ordered: adds quadratic_kappa.
        seed: of the resamples.

    Returns:
        `{metric: {"difference", "low", "high", "n", "unit", "method", "better", "wins", "cells"}}`:
        `better` is "higher" or "lower", `wins` counts the cells in which the first is better.

    Raises:
        ValueError: the cells differ between the variants.
    """
    pairs = _pairs(first, second)
    patients = np.unique(np.concatenate([pair[0].patients for pair in pairs]))
    times = multiplicities(len(patients), seed)  # (1 + resamples, patients)
    differences: dict[str, list[np.ndarray]] = {}
    for pair in pairs:
        of_cell = times[:, np.searchsorted(patients, np.unique(pair[0].patients))]
        numbers = [classifier_numbers(variant, of_cell, ordered) for variant in pair]
        for name, values in numbers[0].items():
            if values.ndim == 1:
                differences.setdefault(name, []).append(values - numbers[1][name])
    return {name: _difference(name, np.stack(cells), len(patients))
            for name, cells in differences.items()}  # fmt: skip


def _pairs(first, second) -> list[tuple[Predictions, Predictions]]:
    if len(first) != len(second) or not len(first):
        raise ValueError(
            f"Both variants need the same number of cells. Received: {len(first)} and {len(second)}."
        )
    pairs = [(checked(*a), checked(*b)) for a, b in zip(first, second, strict=True)]
    for cell, (a, b) in enumerate(pairs):
        if not np.array_equal(a.truth, b.truth):
            raise ValueError(f"The true classes of cell {cell} differ between the variants.")
        if not np.array_equal(a.patients, b.patients):
            raise ValueError(f"The patients of cell {cell} differ between the variants.")
    class_counts = {variant.probabilities.shape[1] for pair in pairs for variant in pair}
    if len(class_counts) > 1:
        raise ValueError(f"The cells differ in their number of classes: {sorted(class_counts)}.")
    return pairs


def _difference(name: str, cells: np.ndarray, patients: int) -> dict:
    """One entry from (cells, 1 + resamples) differences, the data's own in column 0."""
    in_data = np.isfinite(cells[:, 0])
    kept, lost = cells[in_data], int((~in_data).sum())
    defined = np.isfinite(kept)
    sums, counts = np.where(defined, kept, 0).sum(axis=0), defined.sum(axis=0)
    drawn = np.divide(sums, counts, out=np.full(sums.shape, np.nan), where=counts > 0)
    incomplete = int(((counts > 0) & (counts < len(kept))).sum())
    also = joined(
        f"undefined in {lost} of {len(cells)} cells: left out" if lost and len(kept) else "",
        f"a cell was undefined in {incomplete} of {len(drawn) - 1} resamples: left out of their mean"
        if incomplete else "",
    )  # fmt: skip
    result = percentile_interval(drawn, patients, "undefined in every cell", also)
    lower = name in LOWER_IS_BETTER
    wins = (kept[:, 0] < 0) if lower else (kept[:, 0] > 0)
    return {"difference": result.pop("value")} | result | {
        "better": "lower" if lower else "higher",
        "wins": int(wins.sum()),
        "cells": len(kept),
    }  # fmt: skip
