"""What a folder of runs holds, and the difference between two runs on the same patients."""

import json
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import pandas as pd

from mri_tf.core.errors import InputError
from mri_tf.metrics.classifier import predictions_of
from mri_tf.metrics.paired import paired_differences
from mri_tf.store.looks import check_open, is_closed
from mri_tf.store.run import (
    FEATURES,
    FINISHED,
    MEMBERS,
    METRICS,
    PREDICTIONS,
    RUN_FILE,
    Run,
    open_finished,
)
from mri_tf.tables import format_interval, markdown
from mri_tf.task.spec import SIDES

HEADLINES = ("auc", "balanced_accuracy", "accuracy", "dice")  # the first that a run has
COMPARED = ("auc", "accuracy", "balanced_accuracy", "kappa", "f1_macro", "log_loss", "brier")


@dataclass(frozen=True)
class Listed:
    """A run as the table shows it."""

    folder: Path
    task: str
    variant: str
    patients: str  # to train, to choose and held out
    headline: str
    day: str


def list_runs(home: Path) -> list[Listed]:
    """The runs below a folder, without networks that were trained inside them, and without the members
    of a model; InputError if none."""
    if not home.is_dir():
        raise InputError("The folder of runs does not exist.", home, "Give the folder that holds them.")
    files = sorted(path for path in home.rglob(RUN_FILE)
                   if FEATURES not in path.relative_to(home).parts)  # fmt: skip
    if not files:
        raise InputError("The folder holds no runs.", home, "Train one with python -m mri_tf.train.")
    models = [file.parent for file in files if _has_members(file)]
    own = [file for file in files if not any(model in file.parent.parents for model in models)]
    return [_listed(file, home) for file in own]


def _has_members(file: Path) -> bool:
    try:
        return MEMBERS in json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, TypeError):
        return False


def table_of(runs: list[Listed]) -> str:
    """The runs as a table."""
    rows = [(one.folder, one.task, one.variant, one.patients, one.headline, one.day) for one in runs]
    columns = ("run", "task", "variant", "patients", "result on held-out patients", "trained")
    return markdown([list(map(str, row)) for row in rows], columns)


def _listed(file: Path, home: Path) -> Listed:
    try:
        values = json.loads(file.read_text(encoding="utf-8"))
        sides = [len(set(values["patients"][side])) for side in SIDES]
        name = values["task"]["name"]
        closed = values["state"] == FINISHED and is_closed(Run(file.parent, values))
    except (ValueError, KeyError, TypeError):
        return Listed(file.parent.relative_to(home), "?", "?", "?", "run.json is damaged", "?")
    metrics = file.with_name(METRICS)
    headline = _headline(metrics) if metrics.is_file() else "not finished"
    if closed:
        headline = "test side locked"
    return Listed(
        file.parent.relative_to(home), name, file.parent.name.rpartition("-s")[0] or file.parent.name,
        " / ".join(map(str, sides)), headline, date.fromtimestamp(file.stat().st_mtime).isoformat(),
    )  # fmt: skip


def _headline(metrics: Path) -> str:
    numbers = json.loads(metrics.read_text(encoding="utf-8"))
    name = next((name for name in HEADLINES if isinstance(numbers.get(name), dict)), "")
    return f"{name} {format_interval(numbers[name])}" if name else "no number"


def compare(first: Path, second: Path) -> str:
    """The differences between two runs on the records that both hold out, as a table.

    Raises:
        InputError: they are not finished, of different classes, or hold out no common record.
    """
    runs = [open_finished(folder) for folder in (first, second)]
    for run in runs:
        check_open(run, "There are no predictions to compare.")
    tables = [_predictions_of_run(run) for run in runs]
    names = [run.task.class_names for run in runs]
    if names[0] != names[1] or runs[0].task.kind != "classification":
        raise InputError(
            "Only two classifiers of the same classes can be compared.",
            " and ".join(f"{run.task.name} ({len(run.task.class_names)} classes)" for run in runs),
            "Choose two runs of one task.",
        )  # fmt: skip
    common = tables[0].index.intersection(tables[1].index)
    same = [key for key in common if _is_same(tables, key)]
    if not same:
        raise InputError(
            "The two runs hold out no record in common.",
            f"{len(tables[0])} and {len(tables[1])} held-out records",
            "Train both with the same --seed or --split-file, on the same prepared data.",
        )  # fmt: skip
    cells = [predictions_of(table.loc[same], names[0]) for table in tables]
    found = paired_differences(*[[cell] for cell in cells], ordered=runs[0].task.ordered)
    shown = {name: found[name] for name in found
             if name in COMPARED and found[name]["difference"] is not None}  # fmt: skip
    rows = [
        (name, f"{number['difference']:+.3f}", f"{number['low']:+.3f} to {number['high']:+.3f}"
         if number["low"] is not None else "no interval", number["better"])
        for name, number in shown.items()
    ]  # fmt: skip
    title = f"{first} minus {second}: {len(same)} records of {len(set(cells[0].patients))} patients that"
    columns = ("metric", "difference", "95 % interval", "better is")
    note = "\n\nThe intervals say whether these two trained networks differ, not whether their tasks do."
    for why in dict.fromkeys(one["reason"] for one in shown.values() if one["low"] is None):
        note += f" No interval: {why}."
    if any(run.has_members for run in runs):
        note += " Of several folds each record has the answer of the network that never saw its patient."
    if len(same) < min(map(len, tables)):
        held_out = " and ".join(str(len(table)) for table in tables)
        note += f"\n\nThe runs hold out {held_out} records: other seeds split the patients otherwise."
    return f"{title} both hold out\n\n{markdown(rows, columns)}{note}"


def _predictions_of_run(run: Run) -> pd.DataFrame:
    """By record; of folds that were drawn several times, those of the first time."""
    table = pd.read_parquet(run.folder / PREDICTIONS)
    if run.has_members:
        table = table[table["repeat"] == 0]
    return table.set_index("record_id")


def _is_same(tables: list[pd.DataFrame], key: str) -> bool:
    """Whether a record id stands for the same record of the same patient in both runs."""
    first, second = (table.loc[key] for table in tables)
    return first["patient"] == second["patient"] and first["truth"] == second["truth"]
