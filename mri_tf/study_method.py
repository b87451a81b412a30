"""How a study was made, for the reader of its report: splits, values, data, versions. No paths."""

import json
from pathlib import Path

from mri_tf.cells import run_of
from mri_tf.folds import WHOLE, Plan
from mri_tf.metrics.bootstrap import RESAMPLES
from mri_tf.runs import RUN_FILE
from mri_tf.tables import markdown


def method_table(plan: Plan, jobs: list[dict], done: list[dict], unit: str) -> str:
    """Markdown rows of the plan, the values of --set, and what the first finished run says of its set.

    `unit` is what splits keep whole: patients, or groups of images.
    """
    folds = f"{plan.folds} folds, everybody tested once a repeat"
    sizes = ", ".join("all" if size == WHOLE else f"{size}" for size in plan.train_sizes)
    rows = [
        ["split", f"whole {unit}, classes stratified; "
         + (folds if plan.folds > 1 else "the table's split column, or a random split a repeat")],
        ["repeats", f"{plan.repeats}, seeds from {plan.seed}"],
        ["variants", "; ".join(plan.variants) + " (manual: the task as its file has it)"],
        ["training records a class", sizes],
        ["values set", ", ".join(map(_plain, _set_values(jobs[0]))) or "none"],
        ["intervals", f"95 %, {unit} resampled whole {RESAMPLES} times, or exact"],
    ]  # fmt: skip
    if plan.keep_all:
        rows.append(["classes of every size whole", ", ".join(plan.keep_all)])
    if plan.restarts > 1:
        rows.append(["trainings a cell", f"{plan.restarts}, the best on its validation side counts"])
    if plan.trials:
        rows.append(["trials of a search in a fold", plan.trials])
    return markdown(rows + _of_a_run(done), ["what", "value"])


def _of_a_run(done: list[dict]) -> list[list[str]]:
    path = run_of(done[0]) / RUN_FILE if done else Path()
    if not path.is_file():
        return []
    values = json.loads(path.read_text(encoding="utf-8"))
    versions = ", ".join(f"{key} {value}" for key, value in values["versions"].items())
    return [["prepared set", values["data"][:12]], ["versions", versions]]


def _set_values(job: dict) -> list[str]:
    arguments = job["arguments"]
    return arguments[arguments.index("--set") + 1 :] if "--set" in arguments else []


def _plain(assignment: str) -> str:
    """A value of --set; of a file its name, not its place."""
    key, _, value = assignment.partition("=")
    is_path = Path(value).is_absolute() or ("/" in value and Path(value).exists())
    return f"{key}={Path(value).name}" if is_path else assignment
