"""Which of two variants is better, when both were counted on the same records."""

import numpy as np

from mri_tf.metrics.classifier import (
    LOWER_IS_BETTER,
    Predictions,
    checked,
    classifier_numbers,
    patient_numbers,
)
from mri_tf.metrics.intervals import interval_number, multiplicities
from mri_tf.metrics.number import joined


def paired_differences(
    first: list[Predictions], second: list[Predictions], *, ordered: bool = False, seed: int = 0
) -> dict[str, dict]:
    """`{metric: {"difference", "low", "high", "n", "unit", "method", "better", "wins", "cells"}}`.

    A cell is a test side (a fold of a repeat): (truth, probabilities, predicted, patients), the
    same records in the same order in both lists. The number is taken in each cell, first minus
    second, and averaged over cells. Its interval resamples the patients of all cells together: a
    patient who is in several cells is one cluster and is drawn in all of them, and both variants
    get the same draws. `better` says whether higher or lower is better, `wins` counts the cells
    in which the first is better.

    A cell where a number is undefined (one class) is left out of the mean and counted; so is one
    where a resample leaves it undefined. Raises ValueError if the cells are not the same.
    """
    pairs = _pairs(first, second)
    everybody = np.unique(np.concatenate([one.patients for one, _ in pairs]))
    times = multiplicities(len(everybody), seed)
    differences: dict[str, list[np.ndarray]] = {}
    for one, other in pairs:
        here, _ = patient_numbers(one.patients)
        drawn = times[:, np.searchsorted(everybody, here)]
        mine, theirs = (classifier_numbers(given, drawn, ordered) for given in (one, other))
        for name, values in mine.items():
            if values.ndim == 1:
                differences.setdefault(name, []).append(values - theirs[name])
    return {
        name: _difference(name, np.stack(cells), len(everybody))
        for name, cells in differences.items()
    }


def _pairs(first, second) -> list[tuple[Predictions, Predictions]]:
    if len(first) != len(second) or not len(first):
        raise ValueError(f"as many cells a variant. Received: {len(first)} and {len(second)}.")
    pairs = [(checked(*one), checked(*other)) for one, other in zip(first, second, strict=True)]
    for cell, (one, other) in enumerate(pairs):
        if not np.array_equal(one.truth, other.truth):
            raise ValueError(f"cell {cell} has the same true classes in both variants")
        if not np.array_equal(one.patients, other.patients):
            raise ValueError(f"cell {cell} has the same patients in both variants")
    shapes = {given.probabilities.shape[1] for pair in pairs for given in pair}
    if len(shapes) > 1:
        raise ValueError(f"all cells have the same classes. Received: {sorted(shapes)} classes.")
    return pairs


def _difference(name: str, cells: np.ndarray, patients: int) -> dict:
    """One entry from (cells, 1 + resamples) differences, the data's own in column 0."""
    known = np.isfinite(cells[:, 0])
    kept, lost = cells[known], int((~known).sum())
    defined = np.isfinite(kept)
    sums, counts = np.where(defined, kept, 0).sum(axis=0), defined.sum(axis=0)
    drawn = np.divide(sums, counts, out=np.full(sums.shape, np.nan), where=counts > 0)
    thinner = int(((counts > 0) & (counts < len(kept))).sum())
    also = joined(
        f"undefined in {lost} of {len(cells)} cells: left out" if lost and len(kept) else "",
        f"in {thinner} of {len(drawn) - 1} resamples a cell was undefined: left out of their mean"
        if thinner else "",
    )  # fmt: skip
    result = interval_number(drawn, patients, "undefined in every cell", also)
    lower = name in LOWER_IS_BETTER
    wins = (kept[:, 0] < 0) if lower else (kept[:, 0] > 0)
    return {"difference": result.pop("value")} | result | {
        "better": "lower" if lower else "higher",
        "wins": int(wins.sum()),
        "cells": len(kept),
    }  # fmt: skip
