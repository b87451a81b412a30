"""Run folders: what was trained, on which patients, and whether the training is finished.

A run has one network, or it is a model of several members: then it has no weights of its own, and
run.json names the runs of the members, which lie in folders inside it.

run.json       task, seed, data, sides (patients), state, versions, looks at the test side and its lock
features/      the run of the segmentation network before the classifier, if there is one
log.txt        what training printed
validation.parquet  of a classifier: what the network puts out for its validation side
weights.weights.h5, history.csv, metrics.json, report.md, predictions.parquet, figures, tensorboard/
"""

import json
import os
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mri_tf.core.errors import InputError
from mri_tf.core.files import write_atomic
from mri_tf.core.hashing import file_hash, fingerprint
from mri_tf.core.system import SECONDS_BETWEEN_LOOKS, try_lock
from mri_tf.store.frozen import TEST_LOCK, check_frozen
from mri_tf.store.prepared import Prepared, positions_in
from mri_tf.task import Task
from mri_tf.task.files import saved_task
from mri_tf.task.spec import SIDES, to_json

RUN_FILE, WEIGHTS, FEATURES, LOCK = "run.json", "weights.weights.h5", "features", ".lock"
DERIVED = "derived"  # the set with predicted masks, if boxes are cut around them
LOG = "log.txt"  # what the commands that trained it printed
LOOKS = "test_looks"  # in run.json: how often the test side was looked at
METRICS, PREDICTIONS, REPORT = "metrics.json", "predictions.parquet", "report.md"
HISTORY = "history.csv"  # a row an epoch
CARD = "card.html"  # of a run or study, written by mri_tf.report; also in the export of a run
VALIDATION = "validation.parquet"
TEST = "test"  # in the folder of a model of several members: its numbers on the test side
MEMBERS = "members"  # in run.json: folder, repeat, fold and weights of each, of a model of several
NEEDED = (
    "task", "seed", "data", "data_folder", "split", "sides", "patients", "natural_counts", "seen",
    "feature_task", "feature_weights", "fitted", "state",
)  # fmt: skip
DECIDING = ("task", "seed", "data", "sides", "feature_weights")  # the result of the training
RUNNING, FINISHED = "running", "finished"


@dataclass(frozen=True)
class Run:
    """An opened run folder: its path and the values of run.json."""

    folder: Path
    values: dict

    @property
    def task(self) -> Task:
        return saved_task(self.values["task"])

    @property
    def precision(self) -> str:
        """The precision of the training: the task's, or what "auto" became where the run began."""
        return self.values.get("precision", self.task.precision)

    @property
    def finished(self) -> bool:
        return self.values["state"] == FINISHED

    @property
    def sides(self) -> dict[str, list[str]]:
        """Record ids of train, validation and test."""
        return self.values["sides"]

    @property
    def weights(self) -> Path:
        return self.folder / WEIGHTS

    @property
    def has_members(self) -> bool:
        """Whether this is a model of several members; False of an ordinary run."""
        return MEMBERS in self.values

    @property
    def members(self) -> list["Run"]:
        """The runs whose networks answer: those of its members, or this run alone."""
        if not self.has_members:
            return [self]
        return [open_run(self.folder / member["folder"]) for member in self.values[MEMBERS]]

    @property
    def data_folder(self) -> Path:
        """The prepared set of the training; run.json holds it relative to the run folder."""
        return Path(os.path.normpath(self.folder.absolute() / self.values["data_folder"]))

    def identity(self) -> str:
        """Fingerprint of all that decides the result of the training."""
        return fingerprint(self.deciding())

    def deciding(self) -> dict:
        """The values that decide the result of the training.

        A task saved by an earlier version has the fields that came later at their defaults.
        """
        task = to_json(saved_task(self.values["task"]))
        del task["label_from_position"]  # decides nothing
        return {key: self.values[key] for key in DECIDING} | {"task": task}

    def save(self, **changes: Any) -> "Run":
        """Writes run.json with some values changed; returns the changed run.

        Looks at the test side that were counted since this run was opened stay counted.
        """
        values = {**self.values, **changes}
        if looks := max(values.get(LOOKS) or 0, _looks_on_disk(self.folder)):
            values[LOOKS] = looks
        run = Run(self.folder, values)
        self.folder.mkdir(parents=True, exist_ok=True)
        write_atomic(self.folder / RUN_FILE, json.dumps(run.values, indent=1).encode())
        return run


def _looks_on_disk(folder: Path) -> int:
    """The looks that run.json counts; 0 where there is none, or none that can be read."""
    try:
        return int(json.loads((folder / RUN_FILE).read_text(encoding="utf-8")).get(LOOKS) or 0)
    except (OSError, ValueError, TypeError, AttributeError):
        return 0


def open_run(folder: Path) -> Run:
    """The run in a folder; raises InputError if there is none or its run.json is damaged."""
    path = Path(folder) / RUN_FILE
    if not path.is_file():
        raise InputError(
            f"This folder is no run: it has no {RUN_FILE}.", folder,
            "Make one with python -m mri_tf.train.",
        )
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        missing = [key for key in NEEDED if key not in values]
    except (ValueError, TypeError):
        missing = ["readable JSON"]
    if missing:
        raise InputError(
            f"{RUN_FILE} is damaged or of another version of mri_tf.",
            f"{path} without {', '.join(missing)}",
            "Train again into another --out folder.",
        )
    run = Run(Path(folder), values)
    try:
        values["task"] = to_json(run.task)  # with the fields of this version
        sound = run.task.name and all(isinstance(values["sides"][side], list) for side in SIDES)
    except InputError:
        raise
    except (AttributeError, KeyError, TypeError, ValueError):
        sound = False
    if not sound:
        raise InputError(
            f"{RUN_FILE} was changed after the training.", path, "Train again into another --out folder."
        )
    return run


def open_finished(folder: Path) -> Run:
    """A run that is finished, has undamaged weights and is what its lock says, if it has one.

    Raises InputError otherwise.
    """
    run = open_run(folder)
    if not run.finished:
        raise InputError(
            "The training of this run is not finished.", folder, "Run its train command again."
        )
    if TEST_LOCK in run.values:
        check_frozen(folder, run.values)
    layout = run.values.get("layout") or {}
    if run.task.standardised and not layout.get("standardised"):
        raise InputError(
            "The run was trained on cases whose background was not 0 after standardisation.",
            f"{folder}, of an earlier version", "Prepare the data and train again.",
        )  # fmt: skip
    if run.has_members:
        _check_members(run)
    elif not run.weights.is_file() or file_hash(run.weights) != run.values.get("weights_sha256"):
        raise InputError(
            "The weights of the run are missing or damaged.", run.weights, "Train again."
        )
    return run


def _check_members(run: Run) -> None:
    """Raises InputError unless all members are finished and have the weights that they had."""
    for member in run.values[MEMBERS]:
        opened = open_finished(run.folder / member["folder"])
        if opened.values["weights_sha256"] != member["weights_sha256"]:
            raise InputError(
                "A member of the model was trained again since the model was made.", opened.folder,
                "Run the train command with --folds again.",
            )  # fmt: skip


@contextmanager
def locked(folder: Path, wait_s: float = 0.0):
    """Locks a run folder against other processes; raises InputError if one is using it.

    Args:
        folder: of the run.
        wait_s: seconds to wait until the other process is done.
    """
    folder.mkdir(parents=True, exist_ok=True)
    end = time.monotonic() + wait_s
    with (folder / LOCK).open("wb") as file:
        while not try_lock(file):
            if time.monotonic() >= end:
                raise InputError(
                    "Another process is using this run folder.", folder,
                    "Wait, or choose another folder.",
                )  # fmt: skip
            time.sleep(SECONDS_BETWEEN_LOOKS)
        yield


def positions_of(run: Run, prepared: Prepared) -> list[np.ndarray]:
    """Positions in the prepared set of the run's train, validation and test records.

    Raises InputError if it is not the set that the run was trained on.
    """
    if prepared.content_fingerprint() != run.values["data"]:
        raise InputError(
            "The run was trained on another prepared set.",
            f"{prepared.folder}, which is another set or was prepared again",
            "Give the right one with --data.",
        )
    return sides_in(run, prepared)


def sides_in(run: Run, prepared: Prepared) -> list[np.ndarray]:
    """The same in any set with the run's records, such as the one that its set was derived from."""
    return [positions_in(prepared, run.sides[side]) for side in SIDES]
