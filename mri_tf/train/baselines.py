"""Adds baselines and what the image adds to the numbers of a finished training; see mri_tf/audit."""

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd

from mri_tf.audit.baselines import SplitAnswers, split_answers
from mri_tf.audit.compared import Cell, compared_values, not_known
from mri_tf.audit.set_features import SetFeatures, features_of_set
from mri_tf.core.files import write_atomic
from mri_tf.evaluate.evaluation import ADDED_VALUE, BASELINES
from mri_tf.splits.leakage import PATIENTS_UNKNOWN
from mri_tf.store.prepared import Prepared
from mri_tf.store.run import METRICS, PREDICTIONS, REPORT, Run, sides_in
from mri_tf.tables import run_page
from mri_tf.tables.baselines import baseline_line
from mri_tf.task import Task


@dataclass(frozen=True)
class MeasuredSet:
    """What baselines see of a prepared set; its records are read when it is first asked for."""

    prepared: Prepared
    task: Task

    @cached_property
    def features(self) -> SetFeatures:
        return features_of_set(self.prepared, self.task)

    def answers(self, sides: Sequence[np.ndarray]) -> SplitAnswers:
        """What baselines say of the test side of a split; `sides` are positions."""
        return split_answers(self.features, self.prepared, self.task, sides)

    def cell(self, sides: Sequence[np.ndarray], table: pd.DataFrame, repeat: int = 0) -> Cell:
        """A split with the network's predictions of its test side."""
        return Cell(self.answers(sides), table, repeat)

    def values(self, cells: Sequence[Cell]) -> dict:
        """`baselines` and `added_value` of a network on these splits."""
        return compared_values(cells, self.features.missing, self.task)


def baselines_of_run(run: Run, prepared: Prepared, folder: Path) -> str:
    """Adds them to a run's numbers on its test side; returns the line for the terminal.

    A baseline of a model of several members learns from all patients of the folds.

    Args:
        run: evaluated on its test side.
        prepared: its set.
        folder: of metrics.json and predictions.parquet.
    """

    def cells(measured: MeasuredSet) -> list[Cell]:
        sides = sides_in(run, prepared)
        return [measured.cell(sides, pd.read_parquet(folder / PREDICTIONS))]

    return _added(folder, MeasuredSet(prepared, run.task), cells)


def baselines_of_folds(members: Sequence[tuple[int, int, Run]], prepared: Prepared, folder: Path) -> str:
    """Adds them to the numbers of a cross-validation; returns the line for the terminal.

    Args:
        members: repeat, fold and run of each network.
        prepared: their set.
        folder: of metrics.json and predictions.parquet of all test sides.
    """

    def cells(measured: MeasuredSet) -> list[Cell]:
        table = pd.read_parquet(folder / PREDICTIONS)
        return [
            measured.cell(
                sides_in(run, prepared),
                table[(table["repeat"] == repeat) & (table["fold"] == fold)], repeat,
            )
            for repeat, fold, run in members
        ]  # fmt: skip

    return _added(folder, MeasuredSet(prepared, members[0][2].task), cells)


def _added(folder: Path, measured: MeasuredSet, cells) -> str:
    """Writes the values beside the numbers; where they cannot be counted or told, the reason."""
    metrics = json.loads((folder / METRICS).read_text(encoding="utf-8"))
    if not measured.prepared.patients_known:
        return _written(folder, metrics | _without(PATIENTS_UNKNOWN), measured.task)
    try:
        return _written(folder, metrics | measured.values(cells(measured)), measured.task)
    except Exception as error:  # whatever it is, a finished training must not be lost for it
        why = f"the baselines could not be counted ({type(error).__name__})"
        print(f"{why}: {error}", file=sys.stderr)  # it may name files, which logs and reports must not
    return _written(folder, metrics | _without(why), measured.task)


def _without(why: str) -> dict:
    return {BASELINES: [], ADDED_VALUE: not_known(why)}


def _written(folder: Path, metrics: dict, task: Task) -> str:
    """Writes metrics.json and its page; returns the line for the terminal."""
    page, line = run_page(task.name, metrics, task.class_names), baseline_line(metrics)
    write_atomic(folder / REPORT, page.encode())
    write_atomic(folder / METRICS, json.dumps(metrics, indent=1).encode())
    return line
