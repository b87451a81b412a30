"""How a study was made, as tables of its report: the plan, values, versions, and time of training."""

import json
from pathlib import Path

import pandas as pd

from mri_tf.folds.cell import run_of
from mri_tf.folds.design import WHOLE, Plan
from mri_tf.metrics.resamples import RESAMPLES
from mri_tf.store.run import METRICS, RUN_FILE
from mri_tf.tables import markdown, size_text
from mri_tf.task.paths import without_folders

KEYS = ["variant", "train_size"]  # of the groups of cells that tables have a line for


def counted_unit(done: list[dict]) -> str:
    """What the finished cells count: patients, or groups of images if patient ids are unknown."""
    path = run_of(done[0]) / METRICS if done else Path()
    metrics = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    return metrics.get("accuracy", {}).get("unit", "patients")


def method_table(plan: Plan, jobs: list[dict], done: list[dict], unit: str) -> str:
    """Markdown table of the plan, the values of --set, the prepared set and the versions.

    `done` are the finished jobs; `unit` is what splits keep whole: patients, or groups of images.
    """
    if plan.sites:
        split = f"{plan.folds} folds, each of which tests one site as a whole"
    elif plan.folds > 1:
        split = f"{plan.folds} folds, each of the {unit} tested once per repeat"
    else:
        split = "the split column, or a random split per repeat"
    sizes = ", ".join("all" if size == WHOLE else f"{size}" for size in plan.train_sizes)
    rows = [
        ["split", f"whole {unit}, classes stratified; {split}"],
        ["repeats", f"{plan.repeats}, seeds from {plan.seed}"],
        ["variants", "; ".join(plan.variants) + " (manual: the task without a variant)"],
        ["training records per class", sizes],
        ["values of --set", _values_set(jobs[0]) or "none"],
        ["intervals", f"95 %, over {unit}; differences: {unit} resampled whole {RESAMPLES} times"],
    ]
    if plan.keep_all:
        rows.append(["classes with all records at every size", ", ".join(plan.keep_all)])
    if plan.restarts > 1:
        rows.append(["trainings per cell", f"{plan.restarts}, reported: the lowest validation loss"])
    if plan.trials:
        rows.append(["search trials per tuned cell", plan.trials])
    path = run_of(done[0]) / RUN_FILE if done else Path()
    if path.is_file():
        values = json.loads(path.read_text(encoding="utf-8"))
        versions = ", ".join(f"{key} {value}" for key, value in values["versions"].items())
        rows += [["prepared set", values["data"][:12]], ["versions", versions]]
    return markdown(rows, ["what", "value"])


def epochs_table(done: pd.DataFrame) -> str:
    """Epochs, training records and seconds, one line per variant and size; `done` are results."""
    rows = []
    for (variant, size), cells in done.groupby(KEYS, dropna=False, sort=False):
        epochs, best, seconds = cells["epochs"], cells["best_epoch"], cells["seconds"]
        rows.append([
            size_text(size), variant,
            f"{epochs.mean():.0f} ({epochs.min():.0f} to {epochs.max():.0f})",
            f"{best.mean():.0f} ({best.min():.0f} to {best.max():.0f})",
            f"{cells['n_train'].mean():.0f}", f"{seconds.mean():.0f}",
        ])  # fmt: skip
    columns = ["samples per class", "variant", "epochs trained (range)", "best epoch (range)",
               "training records", "seconds per cell"]  # fmt: skip
    return markdown(rows, columns) if rows else ""


def _values_set(job: dict) -> str:
    """KEY=VALUE of --set in a job's arguments, where --set comes last, without the added precision; of
    a path the last part."""
    arguments = job["arguments"]
    given = arguments[arguments.index("--set") + 1 : -1] if "--set" in arguments else []
    pairs = [(key, value) for key, _, value in (assignment.partition("=") for assignment in given)]
    return ", ".join(f"{key}={without_folders(value, key)}" for key, value in pairs)
