"""Trains a run's pipeline on exchanged labels, one exchange after the other: audit --deep.

In the folder `deep` of the audit:

    pipeline.json       which run this is about
    exchange-0001.json  the numbers of an exchange that is done
    work/               the exchange that is trained: a copy of the set, task and split file, its run and
                        log; removed when it is done
    network/            the run of the first exchange that was done, for the checks of explanations
"""

import json
import re
import shutil
import time
from contextlib import contextmanager
from pathlib import Path

from data_prep.prepare.relabelled import relabelled_set
from mri_tf.audit.exchanged_pipeline import Exchanged
from mri_tf.audit.pipeline_again import Pipeline, exchanged_labels, train_command
from mri_tf.core.errors import InputError, RunFailed
from mri_tf.core.files import write_atomic
from mri_tf.core.hashing import fingerprint
from mri_tf.core.progress import duration, progress, say_expected
from mri_tf.core.subprocesses import Child, run_module, terminate_children, threads_each
from mri_tf.core.system import try_lock
from mri_tf.store.run import LOG, METRICS, Run

DEEP, PLAN, LOCK, WORK, NETWORK = "deep", "pipeline.json", ".lock", "work", "network"
RUN, DONE = "run", "exchange-{:04d}.json"
AFTER = re.compile(r"^== .*, after (\d+) s$", re.MULTILINE)  # in the log of a training
AUC, WITHIN_FOLDS = "auc", "auc_within_folds"


def train_exchanges(pipeline: Pipeline, out: Path, count: int) -> Exchanged:
    """Trains the exchanges that are not done yet and returns the numbers of all.

    Args:
        pipeline: of a run that `check_can_train_again` accepts.
        out: folder of the audit.
        count: how many exchanges are asked for.

    Raises:
        InputError: the folder holds exchanges of another run, or another process trains them.
        RunFailed: a training failed; those that are done are kept.
    """
    home = out / DEEP
    home.mkdir(parents=True, exist_ok=True)
    with _locked(home) as lock, terminate_children():
        _check_same(pipeline.run, home)
        left = [number for number in range(1, count + 1) if not (home / DONE.format(number)).is_file()]
        _say_time(pipeline.run, home, len(left), count)
        with progress("trainings on exchanged labels", count) as advance:
            for number in left:
                values = _exchange(pipeline, number, home / WORK, lock)
                write_atomic(home / DONE.format(number), json.dumps(values).encode())
                if not (home / NETWORK).exists() and (home / WORK / RUN).is_dir():
                    (home / WORK / RUN).replace(home / NETWORK)
                shutil.rmtree(home / WORK)
                done = len(list(home.glob(DONE.replace("{:04d}", "*"))))
                advance(done, f"{values['metric']} {_short(values['value'])}")
    return known_exchanges(pipeline.run, out, count)


def known_exchanges(run: Run, out: Path, count: int | None = None) -> Exchanged | None:
    """The numbers of the exchanges of this run that are done; None where there are none.

    `count`: the first so many.
    """
    home = out / DEEP
    if not (home / PLAN).is_file() or _kept_plan(home) != _plan(run):
        return None
    files = sorted(home.glob(DONE.replace("{:04d}", "*")))[:count]
    values = [json.loads(path.read_text(encoding="utf-8")) for path in files]
    observed = numbers_of(run.folder, run.task.primary_metric)
    if not values or observed is None:
        return None
    return Exchanged(
        run.task.primary_metric, observed["value"], [one["value"] for one in values],
        [one[AUC] for one in values],
    )  # fmt: skip


def numbers_of(folder: Path, metric: str) -> dict | None:
    """The primary metric of a run and its AUC, None where undefined; None without metrics.json.

    Of folds the AUC is the mean within folds: pooled, networks without skill have one below 0.5.
    """
    if not (folder / METRICS).is_file():
        return None
    values = json.loads((folder / METRICS).read_text(encoding="utf-8"))
    auc = values.get(WITHIN_FOLDS, values[AUC])["value"]
    return {"metric": metric, "value": auc if metric == AUC else values[metric]["value"], AUC: auc}


def _exchange(pipeline: Pipeline, number: int, work: Path, lock: int) -> dict:
    """Trains one exchange, or goes on with it; `lock` is the descriptor that the training holds."""
    begun = time.monotonic()
    if (work / PLAN).is_file() and json.loads((work / PLAN).read_text(encoding="utf-8")) != number:
        shutil.rmtree(work)
    work.mkdir(exist_ok=True)
    write_atomic(work / PLAN, json.dumps(number).encode())
    prepared = relabelled_set(pipeline.prepared, exchanged_labels(pipeline, number), work / "data")
    run = work / RUN
    arguments = [*train_command(pipeline, work), "--data", str(prepared.folder)]
    command = ["mri_tf.train", *arguments, "--out", str(run.absolute())]
    if reason := run_module(command, Child(work / LOG, threads_each(1), lock)):
        raise RunFailed(
            f"The training on exchanged labels number {number} failed: {reason}.",
            f"Those before it are kept; {work / LOG} says more.",
        )
    numbers = numbers_of(run, pipeline.run.task.primary_metric)
    return {"number": number, **numbers, "seconds": time.monotonic() - begun}


@contextmanager
def _locked(home: Path):
    """Yields the descriptor of the lock, which a training holds too."""
    with (home / LOCK).open("wb") as file:
        if not try_lock(file):
            raise InputError(
                "Another process trains on exchanged labels in this folder.", home,
                "Wait until it ends, or choose another --out folder.",
            )  # fmt: skip
        yield file.fileno()


def _plan(run: Run) -> dict:
    return {"run": fingerprint([run.identity(), run.values.get("weights_sha256")])}


def _kept_plan(home: Path) -> dict | None:
    try:
        return json.loads((home / PLAN).read_text(encoding="utf-8"))
    except ValueError:
        return None


def _check_same(run: Run, home: Path) -> None:
    if not (home / PLAN).is_file():
        write_atomic(home / PLAN, json.dumps(_plan(run)).encode())
    elif _kept_plan(home) != _plan(run):
        raise InputError(
            "The folder holds trainings on exchanged labels of another run, or of an earlier training.",
            home, "Remove it, or choose another --out folder.",
        )  # fmt: skip


def _say_time(run: Run, home: Path, left: int, count: int) -> None:
    """Says before the first training how long all will take, by what the last ones took."""
    if not left:
        return
    files = home.glob(DONE.replace("{:04d}", "*"))
    seconds = [json.loads(path.read_text(encoding="utf-8"))["seconds"] for path in files]
    each = sum(seconds) / len(seconds) if seconds else _seconds_of(run)
    if each is None:
        print(f"{left} trainings on exchanged labels: the first tells how long they take", flush=True)
        return
    by = "as those before took" if seconds else "as the run took"
    say_expected(
        left * each, f"for {left} of {count} trainings on exchanged labels, {duration(each)} each, {by}"
    )


def _seconds_of(run: Run) -> float | None:
    """What the log of the run says that its training took; None where it says nothing."""
    if not (run.folder / LOG).is_file():
        return None
    text = (run.folder / LOG).read_text(encoding="utf-8", errors="replace")
    return float(sum(map(int, AFTER.findall(text)))) or None


def _short(value: float | None) -> str:
    return "undefined" if value is None else f"{value:.2f}"
