"""A study's spread in two parts: the test patients (folds) and chance in training (seeds)."""

import math
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from mri_tf.metrics.number import number

CLOSED_FORM = "a closed form without an interval"


class Row(NamedTuple):
    """A number of one cell of a study."""

    fold: int
    repeat: int
    seed: int
    value: float


def spread(rows: Iterable[Row], *, same_folds: bool) -> dict[str, dict]:
    """`{"mean", "folds", "seeds", "total"}`, each a number; the last three are standard deviations.

    A one-way random-effects analysis of variance (Searle, Casella, McCulloch 1992): a cell is mean +
    fold + the rest, where the rest is what repeats and seeds do within a fold. `same_folds` says
    whether fold 0 holds the same patients in each repeat; if not, a repeat's folds are folds of
    their own. Folds may have unlike numbers of cells. A negative estimate of the folds' variance
    is 0, and said. `total` is the root of both variances' sum. Undefined with a reason: `folds`
    where there is one fold, `seeds` where each fold has one cell, and then what builds on it.
    Undefined values are left out and counted.
    """
    rows = [Row(*row) for row in rows]
    kept = [row for row in rows if row.value is not None and math.isfinite(row.value)]
    lost = f"undefined in {len(rows) - len(kept)} of {len(rows)} cells: left out; "
    lost = lost if len(kept) < len(rows) else ""
    folds: dict = {}
    for row in kept:
        folds.setdefault(row.fold if same_folds else (row.repeat, row.fold), []).append(row.value)
    values = [np.array(cells, float) for cells in folds.values()]
    mean = np.concatenate(values).mean() if values else math.nan
    between, within, total, why = _deviations(values)
    return {
        "mean": number(mean, len(kept), reason=lost + CLOSED_FORM, unit="cells"),
        "folds": number(between, len(values), reason=lost + why["folds"], unit="folds"),
        "seeds": number(within, len(kept), reason=lost + why["seeds"], unit="cells"),
        "total": number(total, len(kept), reason=lost + why["total"], unit="cells"),
    }


def _deviations(folds: list[np.ndarray]) -> tuple[float, float, float, dict[str, str]]:
    """Standard deviations between folds, within folds, of both, and what there is to say."""
    why = dict.fromkeys(("folds", "seeds", "total"), CLOSED_FORM)
    sizes = np.array([len(cells) for cells in folds])
    count, cells = len(sizes), int(sizes.sum())
    if not cells:
        return math.nan, math.nan, math.nan, dict.fromkeys(why, "no cell has a value")
    within = math.nan
    if cells > count:
        squares = sum(float(((one - one.mean()) ** 2).sum()) for one in folds)
        within = squares / (cells - count)
    if count == 1:
        why["folds"] = why["total"] = "one fold: nothing to compare it with"
        why["seeds"] = CLOSED_FORM if cells > 1 else "one cell: nothing to compare it with"
        return math.nan, math.sqrt(within), math.nan, why
    grand = np.concatenate(folds).mean()
    means = np.array([one.mean() for one in folds])
    between_square = float((sizes * (means - grand) ** 2).sum()) / (count - 1)
    if cells == count:
        why["seeds"] = "one seed a fold: nothing to compare it with"
        why["folds"] = "one seed a fold: folds and seeds cannot be told apart, see the total"
        return math.nan, math.nan, math.sqrt(between_square), why
    # Cells a fold, as the expected mean square weighs them; all sizes alike: that size.
    usual = (cells - float((sizes**2).sum()) / cells) / (count - 1)
    between = (between_square - within) / usual
    if between < 0:
        why["folds"] = f"{CLOSED_FORM}; the estimate is negative: folds differ less than seeds do"
        between = 0.0
    return math.sqrt(between), math.sqrt(within), math.sqrt(between + within), why
