"""What more patients would be worth, from a study of several training sizes: a section of its report."""

import numpy as np
import pandas as pd

from mri_tf.metrics.classifier import LOWER_IS_BETTER
from mri_tf.metrics.learning_curve import (
    Cells,
    drawn_curves,
    fit_curve,
    interval_at,
    patients_for_half_the_width,
    too_few_cells,
)
from mri_tf.tables import markdown, name_of

OF_RECORDS = ("accuracy", "balanced_accuracy")  # whose spread follows from their value
TIMES = (2, 4)  # as many patients as the largest size has
PATIENTS = "n_train_patients"


def more_patients(done: pd.DataFrame, metric: str, unit: str) -> dict[str, str]:
    """The section by its title; empty for a study of one size or of an error.

    Args:
        done: rows of the finished cells, with their `n_train_patients`.
        metric: the task's primary metric.
        unit: what is counted: patients, or groups of images.
    """
    if done["train_size"].nunique(dropna=False) < 2 or metric in LOWER_IS_BETTER or PATIENTS not in done:
        return {}
    rows = [_row(variant, cells, metric) for variant, cells in done.groupby("variant", sort=False)]
    columns = ["variant", f"{unit} at most", name_of(metric),
               *(f"{times} times as many" for times in TIMES), "interval of half the width"]  # fmt: skip
    text = (
        f"Expected {name_of(metric)} (95 % interval) if there were more training {unit}, from a curve "
        f"through all sizes: score = best - gap x {unit} ^ -rate. The last column says how many {unit}, "
        "each tested once, would halve the width of the interval. It is a guess beyond what was "
        "measured, for more of the same scanners and kinds of cases."
    )
    return {f"More {unit}": f"{markdown(rows, columns)}\n\n{text}"}


def _row(variant: str, cells: pd.DataFrame, metric: str) -> list[str]:
    known = cells[cells[metric].notna() & cells[PATIENTS].notna()]
    given = Cells(*(known[name].to_numpy(float) for name in (PATIENTS, metric, "repeat")))
    # Folds and repeats give slightly different numbers of patients at one size: a size is their mean.
    sizes = known.groupby("train_size", dropna=False)[PATIENTS].transform("mean").to_numpy(float)
    given = given._replace(sizes=sizes)
    if reason := too_few_cells(given):
        return [variant, "", f"cannot tell ({reason})", *[""] * len(TIMES), ""]
    most = round(float(sizes.max()))
    curve, curves = fit_curve(given.sizes, given.scores), drawn_curves(given)
    repeats = len(np.unique(given.repeats))
    expected = []
    for times in (1, *TIMES):
        low, high = interval_at(curves, most * times, repeats)
        expected.append(f"{curve.at(most * times):.3f} ({low:.3f} to {min(high, 1.0):.3f})")
    needed = patients_for_half_the_width(curve, most) if metric in OF_RECORDS else 4 * most
    half = "more than can be said" if needed is None else f"{needed}"
    return [variant, f"{most}", *expected, half]
