"""Whether the folder of a new run is free, holds the same run, or another one, which stays as it is."""

import json
from dataclasses import replace
from pathlib import Path

from mri_tf.core.errors import InputError, first_few
from mri_tf.store.frozen import TEST_LOCK, frozen_plan
from mri_tf.store.run import DECIDING, LOCK, LOG, RUN_FILE, Run, open_run
from mri_tf.task import Task
from mri_tf.task.spec import to_json


def start_or_continue(run: Run) -> Run:
    """Writes a new run to its folder, or returns the one there if it is the same.

    A run that ended before it trained, on a value since corrected, is replaced. One that is not finished
    gets the lock of the new one. Raises InputError if the folder holds a run of another task, data, seed
    or split.
    """
    existing = existing_run(run)
    if existing is None:
        return run.save()
    if TEST_LOCK in run.values and TEST_LOCK not in existing.values and not existing.finished:
        # Of the values in the folder, which an earlier version may have written.
        lock = frozen_plan(existing.values, run.values[TEST_LOCK]["contents"])
        return existing.save(**{TEST_LOCK: lock})
    return existing


def existing_run(run: Run) -> Run | None:
    """The run in the folder if it is the same; None where there is none, or one that ended before it
    trained. Writes nothing; raises InputError as `start_or_continue`."""
    if not (run.folder / RUN_FILE).is_file():
        _check_holds_nothing_else(run.folder)
        return None
    existing = open_run(run.folder)
    if existing.identity() == run.identity():
        return existing
    if not existing.finished and {path.name for path in run.folder.iterdir()} <= {RUN_FILE, LOCK, LOG}:
        return None
    raise InputError(
        "The run folder holds another run.",
        f"{run.folder}, {_difference(existing.deciding(), run.deciding())}",
        "Choose another --out folder, or remove this one.",
    )


def check_same_task(folder: Path, task: Task, seed: int) -> None:
    """Raises InputError for a folder of another run, as far as task and seed tell it: before hours are
    spent on what the run needs first."""
    if not (folder / RUN_FILE).is_file():
        _check_holds_nothing_else(folder)
        return
    existing = open_run(folder)
    wanted = replace(existing, values={**existing.values, "task": to_json(task), "seed": seed})
    existing_run(wanted)


def _check_holds_nothing_else(folder: Path) -> None:
    """Raises InputError for files that a new run could overwrite."""
    others = [path.name for path in folder.glob("*") if path.is_file() and path.name not in (LOCK, LOG)]
    if others:
        raise InputError(
            "The run folder holds files and no run.json, so they are of no run.",
            f"{folder}: {first_few(sorted(others))}", "Choose another --out folder, or move them away.",
        )  # fmt: skip


def _difference(existing: dict, wanted: dict) -> str:
    """What the run in a folder has and the one that was asked for has not."""
    differs = [key for key in DECIDING if existing[key] != wanted[key]]
    old, new = existing["task"], wanted["task"]
    if old["name"] != new["name"]:
        return f"of task {old['name']}"
    if differs[0] != "task":
        return f"with another {', '.join(differs)}".replace("feature_weights", "feature network")
    fields = [field for field in old if old[field] != new[field] and field != "variants"]
    changed = [f"{field} {_short(old[field])}, not {_short(new[field])}" for field in fields]
    return f"with {first_few(changed)}" if changed else "with other variants"


def _short(value: object) -> str:
    text = json.dumps(value)
    return text if len(text) <= 40 else f"{text[:37]}..."
