"""A cell of a study: it is trained by subprocesses and gives one row of results.

A cell runs `python -m mri_tf.train` as a subprocess, so that a crash is only a return code, seeds and
threads are not shared, and the memory is freed. A tuned cell first searches values on its training and
validation side. A job is a dictionary of plain values: it can be sent to a thread of this machine or
to a Dask worker that sees the same disk.
"""

import csv
import json
import os
import shutil
import time
from contextlib import contextmanager
from pathlib import Path

from mri_tf.core.deadline import Deadline
from mri_tf.core.errors import InputError, OutOfTime
from mri_tf.core.files import write_atomic
from mri_tf.core.subprocesses import Child, run_module, stop_if_interrupted
from mri_tf.core.system import SECONDS_BETWEEN_LOOKS, try_lock
from mri_tf.store.cells import DONE, FAILED, ROW, SPLIT
from mri_tf.store.history import lowest_validation_loss
from mri_tf.store.run import DERIVED, FEATURES, HISTORY, METRICS, PREDICTIONS, RUN_FILE, open_run
from mri_tf.store.searches import BEST
from mri_tf.task.rules import ACCURACY, BUDGET

LOG, LOCK = "log.txt", ".lock"
SEARCH = "search"  # folder of a tuned cell's search
CHOSEN = "chosen.json"  # in it: the values that the search ended with, which the cell keeps
KEPT = {RUN_FILE, METRICS, PREDICTIONS, HISTORY}  # of a run, with --keep metrics
OF_CONTEXT = ("without_ends", "neighbours_alone")  # parts of `context` in metrics.json
OPTIMISTIC = ("accuracy", "balanced_accuracy", "kappa", "f1_macro", "auc", "dice_mean")


def run_cell(job: dict) -> dict:
    """Returns the row of a job, after training it unless it is finished; a failure is a row too.

    The restart with the lowest validation loss gives the row; where the accuracy chooses the epoch, that
    with the highest validation accuracy, and of equal ones the lowest loss. The best numbers of all
    restarts on the test side stand beside it as `optimistic_...`.

    Args:
        job: `folder`; `arguments` of mri_tf.train without seed, split file and output; `search`, the
            arguments of a search before it, or none; `split`, the values of the split file; `seeds`,
            one per restart, and `runs`, the run folder of each; `threads`; `identity`; `keep` (runs or
            metrics); `row`, the columns that are known before training. With a deadline also `until`,
            its moment in seconds of time.time, and `begins`, whether it is trained for an epoch even
            behind that, so that a study gets on.

    Raises:
        InputError: the folder belongs to another study.
        OutOfTime: it was not begun, or its process stopped at a checkpoint; it has no row.
    """
    folder = Path(job["folder"])
    deadline = Deadline.at(job.get("until"), got_on=not job.get("begins"))
    deadline.check("the cell is not begun")
    folder.mkdir(parents=True, exist_ok=True)
    with _locked(folder, deadline) as lock:
        row = finished_row(job)
        if row is not None:
            return row
        with _counted_seconds(job) as start:
            return _run(job, Child(folder / LOG, job["threads"], lock, deadline), start)


def _run(job: dict, child: Child, start: float) -> dict:
    folder = Path(job["folder"])
    write_atomic(folder / SPLIT, json.dumps(job["split"], indent=1).encode())
    runs = []
    tuned, reason = _search(job, folder, child)
    for seed, run in zip(job["seeds"], map(Path, job["runs"]), strict=True):
        reason = reason or _train(job, seed, run, tuned, child)
        if reason:
            seconds = time.monotonic() - start
            return {**job["row"], "seed": seed, "seconds": seconds, "status": FAILED, "reason": reason}
        runs.append(run)
    chosen = min(runs, key=_by_validation)
    numbers_of = {run: _numbers(run) for run in runs}
    row = {
        **job["row"],
        **_facts(chosen),
        "seconds": time.monotonic() - start,
        "status": DONE,
        "reason": "",
        **({"tuned": json.dumps(tuned)} if tuned else {}),
        **numbers_of[chosen],
    }
    for name in OPTIMISTIC if len(runs) > 1 else ():
        values = [numbers[name] for numbers in numbers_of.values() if numbers.get(name) is not None]
        if values:
            row[f"optimistic_{name}"] = max(values)
    for run in runs:
        _tidy(run, whole=job["keep"] == "runs" and run == chosen)
    restarts = [{"seed": seed, **numbers_of[run]} for seed, run in zip(job["seeds"], runs, strict=True)]
    place = os.path.relpath(chosen, folder)
    saved = {"identity": job["identity"], "run": place, "row": row, "restarts": restarts}
    _save(folder, saved)
    return row


@contextmanager
def _counted_seconds(job: dict):
    """Yields when the cell began, on time.monotonic, as if its commands had followed each other.

    Those that ran out of time are counted, so that the row of the last one says how long it took.
    """
    folder, begun = Path(job["folder"]), {"identity": job["identity"], "row": None}
    before = _saved(job).get("seconds", 0.0) if (folder / ROW).is_file() else 0.0
    start = time.monotonic() - before
    _save(folder, begun | {"seconds": before})
    try:
        yield start
    except OutOfTime:
        _save(folder, begun | {"seconds": time.monotonic() - start})
        raise


def finished_row(job: dict) -> dict | None:
    """The row of a finished job, otherwise None; InputError if its folder is of another study.

    One whose run was removed, although it is to be kept, is not finished.
    """
    folder = Path(job["folder"])
    if not (folder / ROW).is_file():
        return None
    saved = _saved(job)
    if saved["identity"] != job["identity"]:
        raise InputError(
            "This folder belongs to another study.",
            f"{folder}, made with another task, data, split or seed, or by an earlier version",
            "Choose another --out folder, or remove this one.",
        )
    row = saved["row"]
    kept = row is not None and row["status"] == DONE and job["keep"] == "runs"
    return None if kept and not (run_of(job) / RUN_FILE).is_file() else row


def run_of(job: dict) -> Path:
    """The run folder that gave a finished job's row."""
    return Path(os.path.normpath(Path(job["folder"]) / _saved(job)["run"]))


def restarts_of(job: dict) -> list[dict]:
    """`seed` and the numbers of every restart of a finished job."""
    return _saved(job)["restarts"]


def _saved(job: dict) -> dict:
    return json.loads((Path(job["folder"]) / ROW).read_text(encoding="utf-8"))


def _save(folder: Path, values: dict) -> None:
    write_atomic(folder / ROW, json.dumps(values, indent=1).encode())


def _search(job: dict, folder: Path, child: Child) -> tuple[dict, str]:
    """(the best values found on the cell's training and validation side, why the search failed)."""
    if not job["search"]:
        return {}, ""
    home = folder / SEARCH
    chosen = home / CHOSEN
    if chosen.is_file():  # of a search that ended: another version of the code may search otherwise
        return json.loads(chosen.read_text(encoding="utf-8")), ""
    arguments = [*job["search"], "--split-file", str(folder / SPLIT), "--out", str(home)]
    reason = run_module(["tuning.search", *arguments], child)
    if reason:
        return {}, f"search: {reason}"
    # Earlier code may have left a search that was stopped: the last one written is the one that ended.
    best = max(home.glob(f"*/{BEST}"), key=lambda file: file.stat().st_mtime_ns)
    values = json.loads(best.read_text(encoding="utf-8"))["values"]
    write_atomic(chosen, json.dumps(values, indent=1).encode())
    return values, ""


def _train(job: dict, seed: int, run: Path, values: dict, child: Child) -> str:
    """Trains one restart with `values` of the task; returns why it failed, or an empty string."""
    folder = Path(job["folder"])
    arguments = [
        *job["arguments"], "--split-file", str(folder / SPLIT), "--seed", str(seed),
        "--out", str(run), "--no-export", "--no-card",
    ]  # fmt: skip
    if values:
        arguments += ["--set", *(f"{key}={value}" for key, value in values.items())]
    return run_module(["mri_tf.train", *arguments], child)


@contextmanager
def _locked(folder: Path, deadline: Deadline):
    """Waits for the lock of a cell, at most until the deadline, and yields its file descriptor.

    A training process inherits the descriptor (not on Windows). If its study or worker is killed, it
    keeps the cell locked until it ends.
    """
    with (folder / LOCK).open("wb") as file:
        stop_if_interrupted()
        while not try_lock(file):
            time.sleep(SECONDS_BETWEEN_LOOKS)
            stop_if_interrupted()
            if deadline.seconds_left < 0:
                raise deadline.out_of_time("another process trains the cell")
        yield file.fileno()


def _facts(run: Path) -> dict:
    # Not open_finished: with --keep metrics, a study killed before it wrote the row left no weights.
    values = open_run(run).values
    return {
        "seed": values["seed"],
        "n_train": len(values["sides"]["train"]),
        "n_test": len(values["sides"]["test"]),
        "n_train_patients": len(values["patients"]["train"]),
        "n_test_patients": len(values["patients"]["test"]),
        "epochs": values["epochs_trained"],
        "best_epoch": values["best_epoch"],
        "parameters": values["parameters"],
    }


def _numbers(run: Path) -> dict[str, float | str | None]:
    """A column for each metric, and `f1_<class>` or `dice_<class>` and `hausdorff95_<class>`; of a
    network that sees neighbouring slices also `<metric>_without_ends` and `<metric>_neighbours_alone`.

    An undefined metric is None and `<metric>_reason` says why.
    """
    metrics = json.loads((run / METRICS).read_text(encoding="utf-8"))
    row = {}
    for name, metric in metrics.items():
        if isinstance(metric, float) or (isinstance(metric, dict) and "value" in metric):
            row[name] = metric["value"] if isinstance(metric, dict) else metric
    for part in OF_CONTEXT:
        for name, metric in metrics.get("context", {}).get(part, {}).items():
            if isinstance(metric, dict):
                row[f"{name}_{part}"] = metric["value"]
                metrics[f"{name}_{part}"] = metric
    for name in [name for name, value in row.items() if value is None]:
        row[f"{name}_reason"] = metrics[name].get("reason") or ""
    for name, of_class in metrics.get("per_class", {}).items():
        for kind in ("f1", "dice", "hausdorff95"):
            if kind in of_class:
                row[f"{kind}_{name}"] = of_class[kind]["value"]
    return row


def _by_validation(run: Path) -> tuple[float, float]:
    """(minus the validation accuracy where it chooses the epoch, the validation loss) of the epoch whose
    weights were kept: the lowest is the best."""
    with (run / HISTORY).open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    trained = open_run(run)
    choose = trained.task.choose_epoch
    if choose == ACCURACY and "val_accuracy" in rows[0]:  # a probe is fitted at once, by its loss
        kept = rows[trained.values["best_epoch"] - 1]
        return -float(kept["val_accuracy"]), float(kept["val_loss"])
    return 0.0, lowest_validation_loss(rows[-1:] if choose == BUDGET else rows)


def _tidy(run: Path, whole: bool) -> None:
    """Removes what a study does not need of a run: TensorBoard logs, and weights unless `whole`."""
    shutil.rmtree(run / "tensorboard", ignore_errors=True)
    if whole:
        return
    for name in (FEATURES, DERIVED):
        shutil.rmtree(run / name, ignore_errors=True)
    for path in run.iterdir():
        if path.is_file() and path.name not in KEPT:
            path.unlink()
