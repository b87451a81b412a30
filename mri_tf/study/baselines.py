"""The variants of a study beside baselines, which are fitted once for each split of the patients."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from mri_tf.audit.baselines import SplitAnswers
from mri_tf.audit.compared import Cell, numbers_of
from mri_tf.folds.cell import run_of
from mri_tf.metrics.classifier import checked, classifier_numbers
from mri_tf.splits.leakage import PATIENTS_UNKNOWN
from mri_tf.store.prepared import Prepared, positions_in
from mri_tf.store.run import open_run, sides_in
from mri_tf.study.method import KEYS
from mri_tf.tables.baselines import added_value_text, baseline_line, baseline_table
from mri_tf.tables.study import size_text
from mri_tf.task import Task
from mri_tf.train.baselines import MeasuredSet

NAMED = "baseline: {}"  # in the place of a variant
Split = tuple[int, int, float]  # repeat, fold, training size (NaN is written as 0)


@dataclass(frozen=True)
class StudyBaselines:
    """What baselines say beside the variants of a study.

    Attributes:
        values: `variant`, `train_size` (None: all), `baselines` and `added_value` of each.
        rows: as results.parquet has them for trainings: one a baseline and cell.
        pooled: as score_table takes them: their numbers over all cells.
        reason: why there are none.
    """

    values: list[dict] = field(default_factory=list)
    rows: pd.DataFrame = field(default_factory=pd.DataFrame)
    pooled: pd.DataFrame = field(default_factory=pd.DataFrame)
    reason: str = ""

    def sections(self) -> dict[str, str]:
        """Sections of the report by title."""
        if self.reason:
            return {"Baselines": f"Not compared with baselines: {self.reason}."}
        found = {}
        for one in self.values:
            size = one["train_size"]
            size = "" if size is None else f", {size_text(size)} samples per class"
            found[f"Baselines: {one['variant']}{size}"] = baseline_table(one)
            found[f"What the image adds: {one['variant']}{size}"] = added_value_text(one)
        return found

    def lines(self) -> list[str]:
        """A line a variant and size for the terminal."""
        if self.reason:
            return [f"not compared with baselines: {self.reason}"]
        return [f"{one['variant']}: {baseline_line(one)}" for one in self.values]


def study_baselines(
    prepared: Prepared, task: Task, jobs: Sequence[dict], predictions: pd.DataFrame,
    scores: Sequence[str],
) -> StudyBaselines:  # fmt: skip
    """Fits and counts them; a study is not lost for what goes wrong here.

    Args:
        prepared: the set of the first variant, whose records are read once.
        task: of the first variant.
        jobs: of the finished cells.
        predictions: of all of them together.
        scores: numbers that the report shows.
    """
    if not prepared.patients_known:
        return StudyBaselines(reason=PATIENTS_UNKNOWN)
    try:
        found = _counted(MeasuredSet(prepared, task), jobs, predictions, scores)
        found.sections(), found.lines()  # so that what cannot be told fails here
        return found
    except Exception as error:  # whatever it is
        print(f"baselines: {error}", file=sys.stderr)  # it may name files
        return StudyBaselines(reason=f"they could not be counted ({type(error).__name__})")


def _counted(
    measured: MeasuredSet, jobs: Sequence[dict], predictions: pd.DataFrame, scores: Sequence[str]
) -> StudyBaselines:
    found: dict[Split, SplitAnswers] = {}
    for job in jobs:
        row = job["row"]
        split = (row["repeat"], row["fold"], float(row["train_size"] or 0))
        if split not in found:
            found[split] = measured.answers(sides_in(open_run(run_of(job)), measured.prepared))
    values = []
    for (variant, size), _ in predictions.groupby(KEYS, dropna=False, sort=False):
        cells = []
        for split, baselines in found.items():
            table = _of_cell(predictions, variant, split)
            if split[2] == (0 if np.isnan(size) else size) and len(table):
                cells.append(Cell(baselines, table, split[0]))
        key = {"variant": variant, "train_size": None if np.isnan(size) else size}
        values.append(key | measured.values(cells))
    rows, pooled = _tables(found, measured, scores)
    return StudyBaselines(values, rows, pooled)


def _of_cell(predictions: pd.DataFrame, variant: str, split: Split) -> pd.DataFrame:
    repeat, fold, size = split
    own = (predictions["variant"] == variant) & (predictions["repeat"] == repeat)
    own &= (predictions["fold"] == fold) & (predictions["train_size"].fillna(0) == size)
    return predictions[own]


def _tables(
    found: dict[Split, SplitAnswers], measured: MeasuredSet, scores: Sequence[str]
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Their numbers in each cell, and over all cells of a size."""
    prepared, task = measured.prepared, measured.task
    rows, pooled = [], []
    for size in sorted({split[2] for split in found}):
        of_size = [one for split, one in found.items() if split[2] == size]
        places = [positions_in(prepared, one.record_ids) for one in of_size]
        for name in of_size[0].answers:
            key = {"variant": NAMED.format(name), "train_size": size or np.nan}
            cells = []
            for one, at in zip(of_size, places, strict=True):
                truth, answers = prepared.labels[at], one.answers[name]
                cells.append(checked(truth, *answers, prepared.patients[at].astype(str)))
                patients = len(np.unique(cells[-1].patients))
                numbers = classifier_numbers(cells[-1], np.ones((1, patients), int), task.ordered)
                counts = np.bincount(truth)
                rows.append(
                    key | {score: float(numbers[score][0]) for score in scores}
                    | {"status": "done", "reason": "", "majority_accuracy": counts.max() / counts.sum()}
                )  # fmt: skip
            of_all = numbers_of(cells, task)
            pooled += [key | {"metric": score} | of_all[score] for score in scores]
    return pd.DataFrame(rows), pd.DataFrame(pooled)

