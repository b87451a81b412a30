"""Chance in training: sections of the report of a study that trains every cell several times."""

import numpy as np
import pandas as pd

from mri_tf import metrics, tables
from mri_tf.folds.cell import restarts_of
from mri_tf.metrics.spread import Row
from mri_tf.study.method import KEYS


def restart_parts(done: pd.DataFrame, jobs: list[dict], scores: tuple) -> dict[str, str]:
    """What choosing the restart by its test results would have claimed, and the spread over folds and
    seeds, by title.

    Args:
        done: rows of the finished cells.
        jobs: of these cells.
        scores: names of the numbers that are shown.
    """
    rows, spreads = [], []
    for (variant, size), cells in done.groupby(KEYS, dropna=False, sort=False):
        for name in ("accuracy", "balanced_accuracy", "auc"):
            numbers = [_mean_text(cells, column) for column in (name, f"optimistic_{name}")]
            rows.append([tables.size_text(size), variant, tables.name_of(name), *numbers])
        names = set(cells["cell"])
        restarts = [(job["row"], restart) for job in jobs if job["name"] in names
                    for restart in restarts_of(job)]  # fmt: skip
        for name in scores:
            values = [Row(row["fold"], row["repeat"], restart["seed"], restart[name])
                      for row, restart in restarts]  # fmt: skip
            key = {"variant": variant, "train_size": size, "metric": name}
            spread = metrics.spread(values, same_folds=False)
            spreads += [key | {"part": part} | number for part, number in spread.items()]
    columns = ["samples per class", "variant", "metric", "chosen on the validation side",
               "chosen on the test side (optimistic)"]  # fmt: skip
    return {
        "Restarts": tables.markdown(rows, columns),
        "Spread": tables.spread_table(pd.DataFrame(spreads)),
    }


def _mean_text(cells: pd.DataFrame, column: str) -> str:
    """Of the cells where it is defined; a column is missing where no cell has a value."""
    mean = cells[column].astype(float).mean() if column in cells else np.nan
    return "undefined" if np.isnan(mean) else f"{mean:.3f}"
