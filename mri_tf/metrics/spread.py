"""The spread of a study in two parts: test patients (folds) and chance in training (seeds)."""

import math
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from mri_tf.metrics.number import number

NO_INTERVAL = "computed without an interval"


class Row(NamedTuple):
    """The value of a metric in one cell of a study."""

    fold: int
    repeat: int
    seed: int
    value: float


def spread(rows: Iterable[Row], *, same_folds: bool) -> dict[str, dict]:
    """Returns `{"mean", "folds", "seeds", "total"}`, each a number; the last three are SDs.

    One-way random-effects analysis of variance: a cell is mean + fold + rest, where the rest is what
    repeats and seeds do within a fold. Folds may have different numbers of cells. If the estimated
    variance of the folds is negative it is 0, with a reason. `total` is the root of the sum of both
    variances. `folds` is undefined with one fold, `seeds` with one cell in each fold. Undefined values
    are left out and counted.

    Args:
        rows: one per cell.
        same_folds: fold 0 tests the same patients in every repeat; if False, folds of different
            repeats are different folds.

    Source: Searle, Casella, McCulloch 1992.
    """
    rows = [Row(*row) for row in rows]
    kept = [row for row in rows if row.value is not None and math.isfinite(row.value)]
    lost = len(rows) - len(kept)
    left_out = f"undefined in {lost} of {len(rows)} cells: left out; " if lost else ""
    cells_of: dict = {}
    for row in kept:
        fold = row.fold if same_folds else (row.repeat, row.fold)
        cells_of.setdefault(fold, []).append(row.value)
    folds = [np.array(cells, float) for cells in cells_of.values()]
    mean = np.concatenate(folds).mean() if folds else math.nan
    between, within, total, why = _deviations(folds)
    return {
        "mean": number(mean, len(kept), reason=left_out + NO_INTERVAL, unit="cells"),
        "folds": number(between, len(folds), reason=left_out + why["folds"], unit="folds"),
        "seeds": number(within, len(kept), reason=left_out + why["seeds"], unit="cells"),
        "total": number(total, len(kept), reason=left_out + why["total"], unit="cells"),
    }


def _deviations(folds: list[np.ndarray]) -> tuple[float, float, float, dict[str, str]]:
    """Standard deviations between folds, within folds and of both, and a reason for each."""
    why = dict.fromkeys(("folds", "seeds", "total"), NO_INTERVAL)
    sizes = np.array([len(cells) for cells in folds])
    count, cells = len(sizes), int(sizes.sum())
    if not cells:
        return math.nan, math.nan, math.nan, dict.fromkeys(why, "no cell has a value")
    within = math.nan
    if cells > count:
        squares = sum(float(((fold - fold.mean()) ** 2).sum()) for fold in folds)
        within = squares / (cells - count)
    if count == 1:
        why["folds"] = why["total"] = "one fold: nothing to compare it with"
        why["seeds"] = NO_INTERVAL if cells > 1 else "one cell: nothing to compare it with"
        return math.nan, math.sqrt(within), math.nan, why
    grand = np.concatenate(folds).mean()
    means = np.array([fold.mean() for fold in folds])
    between_square = float((sizes * (means - grand) ** 2).sum()) / (count - 1)
    if cells == count:
        why["seeds"] = "one seed per fold: nothing to compare it with"
        why["folds"] = "one seed per fold: folds and seeds cannot be told apart, see the total"
        return math.nan, math.nan, math.sqrt(between_square), why
    # Cells per fold as the expected mean square weighs them; the size of a fold if all are equal.
    usual = (cells - float((sizes**2).sum()) / cells) / (count - 1)
    between = (between_square - within) / usual
    if between < 0:
        why["folds"] = f"{NO_INTERVAL}; the estimate is negative, as folds differ less than seeds"
        between = 0.0
    return math.sqrt(between), math.sqrt(within), math.sqrt(between + within), why
