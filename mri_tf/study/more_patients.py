"""What more patients would be worth, from a study of several training sizes: a section of its report."""

import numpy as np
import pandas as pd

from mri_tf.metrics.classifier import LEAST, LOWER_IS_BETTER, classifier_numbers, predictions_of
from mri_tf.metrics.learning_curve import (
    drawn_curves,
    fit_curve,
    interval_at,
    patients_for_half_the_width,
    too_few_cells,
)
from mri_tf.metrics.resamples import multiplicities
from mri_tf.tables import markdown, name_of
from mri_tf.task import Task

OF_RECORDS = ("accuracy", "balanced_accuracy")  # whose spread follows from their value
TIMES = (2, 4)  # as many patients as the largest size has
PATIENTS = "n_train_patients"
CELL = ["train_size", "repeat", "fold"]


def more_patients(
    done: pd.DataFrame, predictions: pd.DataFrame, task: Task, unit: str
) -> dict[str, str]:
    """The section by its title; empty for a study of one size or of an error.

    Args:
        done: rows of the finished cells, with their `n_train_patients`.
        predictions: rows of their test sides, with variant, train_size, repeat and fold.
        task: whose primary metric is expected.
        unit: what is counted: patients, or groups of images.
    """
    metric = task.primary_metric
    if done["train_size"].nunique(dropna=False) < 2 or metric in LOWER_IS_BETTER or PATIENTS not in done:
        return {}
    rows = []
    for variant, cells in done.groupby("variant", sort=False):
        known = cells[cells[metric].notna() & cells[PATIENTS].notna()]
        tests = predictions[predictions["variant"] == variant]
        rows.append([variant, *_expected(known, tests, task)])
    columns = ["variant", f"{unit} at most", name_of(metric),
               *(f"{times} times as many" for times in TIMES), "interval of half the width"]  # fmt: skip
    text = (
        f"Expected {name_of(metric)} (95 % interval) if there were more training {unit}, from a curve "
        f"through all sizes: score = best - gap x {unit} ^ -rate. The last column says how many {unit}, "
        "each tested once, would halve the width of the interval. It is a guess beyond what was "
        "measured, for more of the same scanners and kinds of cases."
    )
    return {f"More {unit}": f"{markdown(rows, columns)}\n\n{text}"}


def _expected(known: pd.DataFrame, tests: pd.DataFrame, task: Task) -> list[str]:
    """The cells of a variant's row: the most patients, the score with so many and with more of them,
    and how many would halve the interval."""
    metric = task.primary_metric
    # Folds and repeats give slightly different numbers of patients at one size: a size is their mean.
    sizes = known.groupby("train_size", dropna=False)[PATIENTS].transform("mean").to_numpy(float)
    scores, repeats = (known[name].to_numpy(float) for name in (metric, "repeat"))
    if reason := too_few_cells(sizes, repeats):
        return ["", f"cannot tell ({reason})", *[""] * len(TIMES), ""]
    curve, most = fit_curve(sizes, scores), round(float(sizes.max()))
    curves = drawn_curves(sizes, _drawn_scores(known, tests, task))
    expected = []
    for times in (1, *TIMES):
        low, high = interval_at(curve, curves, most * times)
        low, high = max(low, LEAST.get(metric, 0.0)), min(high, 1.0)
        expected.append(f"{curve.at(most * times):.3f} ({low:.3f} to {high:.3f})")
    tested = int(tests.groupby("repeat")["patient"].nunique().max())
    needed = 4 * tested
    if metric in OF_RECORDS:
        needed = patients_for_half_the_width(curve, most, tested)
    return [f"{most}", *expected, "more than can be said" if needed is None else f"{needed}"]


def _drawn_scores(known: pd.DataFrame, tests: pd.DataFrame, task: Task) -> np.ndarray:
    """(draws, cells) the score of each cell where the patients are drawn again, alike in all cells."""
    patients = np.unique(tests["patient"].astype(str))
    times = multiplicities(len(patients), seed=0)[1:]  # (draws, patients)
    of_cell = {_named(key): table for key, table in tests.groupby(CELL, dropna=False)}
    columns = []
    for key in known[CELL].itertuples(index=False, name=None):
        made = predictions_of(of_cell[_named(key)], task.class_names)
        here = times[:, np.searchsorted(patients, np.unique(made.patients))]
        columns.append(classifier_numbers(made, here, task.ordered)[task.primary_metric])
    return np.stack(columns, axis=1)


def _named(key: tuple) -> tuple:
    """A cell's key, with None for the size of all records: NaN is not equal to itself."""
    size, repeat, fold = key
    return (None if np.isnan(size) else float(size), int(repeat), fold)
