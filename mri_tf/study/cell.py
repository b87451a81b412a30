"""One cell of a study: `python -m mri_tf.train` in processes of its own, and the row it gives.

A cell is a subprocess, so that its death is a return code, its seeds and threads are its own and
its memory comes back. A tuned cell searches first, on its own training and validation side. A job is
a dictionary of plain values: it goes to a thread of this machine or to a Dask worker that sees the
same disk.
"""

import csv
import fcntl
import json
import math
import shutil
import time
from contextlib import contextmanager
from pathlib import Path

from mri_tf.core.errors import InputError
from mri_tf.core.files import write_atomic
from mri_tf.core.subprocesses import Child, run_module, stop_if_interrupted
from mri_tf.store.run import FEATURES, METRICS, PREDICTIONS, open_run

ROW, LOG, LOCK, SPLIT = "row.json", "log.txt", ".lock", "split.json"
SEARCH = "search"  # folder of a tuned cell's search
DONE, FAILED = "done", "failed"
SECONDS_BETWEEN_LOOKS = 1.0
KEPT = {"run.json", METRICS, PREDICTIONS, "history.csv"}  # of a run, with --keep metrics
OPTIMISTIC = ("accuracy", "balanced_accuracy", "kappa", "f1_macro", "auc", "dice_mean")


def run_cell(job: dict) -> dict:
    """The row of a job, finished now or before; a failure is a row too, with its reason.

    A job holds `folder`, `arguments` of train without seed, split file and output, `search` (those of
    a search before it, or none), `split` (the values of that file), `seeds` (one a restart), `threads`,
    `identity`, `keep` and `row`, the columns that are known before. The restart with the lowest
    validation loss gives the row; the best numbers of all restarts on the reported side stand beside
    it as `optimistic_...`.
    """
    folder = Path(job["folder"])
    folder.mkdir(parents=True, exist_ok=True)
    with _held(folder) as lock:
        row = finished_row(job)
        return _run(job, folder, lock) if row is None else row


def _run(job: dict, folder: Path, lock: int) -> dict:
    _save(folder, {"identity": job["identity"], "row": None})
    write_atomic(folder / SPLIT, json.dumps(job["split"], indent=1).encode())
    start = time.monotonic()
    runs = []
    found, reason = _search(job, folder, lock)
    for seed in job["seeds"]:
        reason = reason or _train(job, seed, found, lock)
        if reason:
            seconds = time.monotonic() - start
            return {**job["row"], "seed": seed, "seconds": seconds, "status": FAILED, "reason": reason}
        runs.append(folder / f"s{seed}")
    chosen = min(runs, key=_validation_loss)
    values = {out: _numbers(out) for out in runs}
    row = {
        **job["row"],
        **_facts(chosen),
        "seconds": time.monotonic() - start,
        "status": DONE,
        "reason": "",
        **({"tuned": json.dumps(found)} if found else {}),
        **values[chosen],
    }
    if len(runs) > 1:
        for name in OPTIMISTIC:
            found = [numbers[name] for numbers in values.values() if numbers.get(name) is not None]
            if found:
                row[f"optimistic_{name}"] = max(found)
    for out in runs:
        _tidy(out, whole=job["keep"] == "runs" and out == chosen)
    restarts = [{"seed": int(out.name[1:]), **numbers} for out, numbers in values.items()]
    saved = {"identity": job["identity"], "run": chosen.name, "row": row, "restarts": restarts}
    _save(folder, saved)
    return row


def finished_row(job: dict) -> dict | None:
    """The row of a job that is done; raises InputError if its folder was begun by another study."""
    path = Path(job["folder"]) / ROW
    if not path.is_file():
        return None
    saved = json.loads(path.read_text(encoding="utf-8"))
    if saved["identity"] != job["identity"]:
        raise InputError(
            "A study folder holds one study.",
            f"{path.parent} of another task, data, split or seed",
            "Name another --out, or remove the folder.",
        )
    return saved["row"]


def run_of(job: dict) -> Path:
    """The run folder that gave a finished job's row."""
    folder = Path(job["folder"])
    return folder / json.loads((folder / ROW).read_text(encoding="utf-8"))["run"]


def restarts_of(job: dict) -> list[dict]:
    """`seed` and the numbers of every restart of a finished job."""
    return json.loads((Path(job["folder"]) / ROW).read_text(encoding="utf-8"))["restarts"]


def _search(job: dict, folder: Path, lock: int) -> tuple[dict, str]:
    """(the best values of a search on the cell's training and validation side, why it failed)."""
    if not job["search"]:
        return {}, ""
    home = folder / SEARCH
    arguments = [*job["search"], "--split-file", str(folder / SPLIT), "--out", str(home)]
    child = Child(folder / LOG, job["threads"], lock)
    reason = run_module(["tuning.search", *arguments], child)
    if reason:
        return {}, f"search: {reason}"
    (best,) = home.glob("*/best.json")
    return json.loads(best.read_text(encoding="utf-8"))["values"], ""


def _train(job: dict, seed: int, values: dict, lock: int) -> str:
    """Trains one restart with `values` of the task; returns why it failed, or nothing."""
    folder = Path(job["folder"])
    arguments = [
        *job["arguments"], "--split-file", str(folder / SPLIT), "--seed", str(seed),
        "--out", str(folder / f"s{seed}"), "--no-export",
    ]  # fmt: skip
    if values:
        arguments += ["--set", *(f"{key}={value}" for key, value in values.items())]
    return run_module(["mri_tf.train", *arguments], Child(folder / LOG, job["threads"], lock))


@contextmanager
def _held(folder: Path):
    """The lock of a cell, as a file descriptor; a process that is given it too holds it as well.

    So a train process whose study or worker was killed keeps the cell to itself until it ends.
    """
    with (folder / LOCK).open("w") as file:
        while True:
            stop_if_interrupted()
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                time.sleep(SECONDS_BETWEEN_LOOKS)
        yield file.fileno()


def _save(folder: Path, values: dict) -> None:
    write_atomic(folder / ROW, json.dumps(values, indent=1).encode())


def _facts(out: Path) -> dict:
    # Not open_finished: with --keep metrics a study killed before it wrote the row left no weights.
    values = open_run(out).values
    return {
        "seed": values["seed"],
        "n_train": len(values["sides"]["train"]),
        "n_test": len(values["sides"]["test"]),
        "n_test_patients": len(values["patients"]["test"]),
        "epochs": values["epochs_trained"],
        "best_epoch": values["best_epoch"],
        "parameters": values["parameters"],
    }


def _numbers(out: Path) -> dict[str, float | str | None]:
    """One column a metric: `accuracy`, ..., and `f1_<class>` (or `dice_<class>`,
    `hausdorff95_<class>`) a class.

    An undefined one is None and `<metric>_reason` says why.
    """
    metrics = json.loads((out / METRICS).read_text(encoding="utf-8"))
    row = {name: _value(found) for name, found in metrics.items() if _is_number(found)}
    for name in [name for name, value in row.items() if value is None]:
        row[f"{name}_reason"] = metrics[name].get("reason") or ""
    for name, found in metrics.get("per_class", {}).items():
        for kind in ("f1", "dice", "hausdorff95"):
            if kind in found:
                row[f"{kind}_{name}"] = _value(found[kind])
    return row


def _is_number(found) -> bool:
    return (isinstance(found, dict) and "value" in found) or isinstance(found, float)


def _value(found) -> float | None:
    return found["value"] if isinstance(found, dict) else found


def _validation_loss(out: Path) -> float:
    """Of the epoch whose weights were kept: the lowest."""
    with (out / "history.csv").open(encoding="utf-8", newline="") as file:
        losses = [float(row["val_loss"]) for row in csv.DictReader(file)]
    return min(filter(math.isfinite, losses), default=math.inf)


def _tidy(out: Path, whole: bool) -> None:
    """Removes what a study does not need of a run: TensorBoard logs, and weights unless `whole`."""
    shutil.rmtree(out / "tensorboard", ignore_errors=True)
    if whole:
        return
    shutil.rmtree(out / FEATURES, ignore_errors=True)
    for path in out.iterdir():
        if path.is_file() and path.name not in KEPT:
            path.unlink()
