"""The figures of a study: learning curves, differences, and ROC and confusion at the largest size."""

import numpy as np
import pandas as pd

from mri_tf import figures, metrics
from mri_tf.folds.design import file_name
from mri_tf.metrics.roc import roc_curves
from mri_tf.study.method import KEYS
from mri_tf.task import Task

POOLED = "Test predictions of all folds together."


def draw_study(
    results: pd.DataFrame, predictions: pd.DataFrame, differences: pd.DataFrame, task: Task,
    numbers: dict[tuple[str, float | None], dict],
) -> dict:  # fmt: skip
    """Returns the figures of a study of a classifier by the names of their files.

    Args:
        results: one row per cell.
        predictions: the test predictions of the finished cells, with variant, repeat, fold, train_size.
        differences: of every pair of variants; may be empty.
        task: of the study.
        numbers: the metrics of all test predictions together, by `key_of` variant and size.
    """
    drawn = {}
    if results["train_size"].nunique() > 1:
        drawn["curves"] = figures.draw_curves(results)
        drawn["class_curves"] = figures.draw_class_curves(results, task.class_names)
    if len(differences):
        shown = differences[differences["metric"].isin(("accuracy", "kappa", "auc"))]
        drawn["paired"] = figures.draw_paired(shown)
    size = predictions["train_size"].max()  # NaN where every cell trains on all records
    largest = predictions if np.isnan(size) else predictions[predictions["train_size"] == size]
    curves, confusions = {}, {}
    for key, table in largest.groupby(KEYS, dropna=False, sort=False):
        per_class = numbers[key_of(*key)]["per_class"]
        of_classes = roc_curves(
            metrics.predictions_of(table, task.class_names), task.class_names, per_class
        )
        curves |= {(key[0], name): curve for name, curve in of_classes.items()}
        of_cells = figures.draw_confusion_spread(confusions_of(table, task), task.class_names)
        confusions[f"confusion-{file_name(key[0])}"] = of_cells
    repeats = largest["repeat"].nunique()
    note = f"Test predictions of all folds and of {repeats} repeats together." if repeats > 1 else POOLED
    return drawn | {"roc": figures.draw_roc(curves, note)} | confusions


def key_of(variant: str, size: float) -> tuple[str, float | None]:
    """A variant and a training size as a key: NaN, of all records, is not equal to itself."""
    return variant, None if np.isnan(size) else float(size)


def confusions_of(table: pd.DataFrame, task: Task) -> np.ndarray:
    """(cells, true class, predicted class) counts of the predictions of one variant and size."""
    classes = len(task.class_names)
    confusions = []
    for _, cell in table.groupby(["repeat", "fold"]):
        arrays = metrics.predictions_of(cell, task.class_names)
        counts = np.zeros((classes, classes))
        np.add.at(counts, (arrays.truth, arrays.predicted), 1)
        confusions.append(counts)
    return np.stack(confusions)
