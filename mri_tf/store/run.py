"""A run folder: what was trained, on whom, and how far it came.

run.json       task, seed, data, sides (patients), state, versions
features/      the run of the segmentation network that feeds the classifier, if it has one
weights.weights.h5, history.csv, metrics.json, report.md, predictions.parquet, figures, tensorboard/
"""

import fcntl
import json
import os
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mri_tf.core.errors import InputError
from mri_tf.core.files import write_atomic
from mri_tf.core.hashing import file_hash, fingerprint
from mri_tf.store.prepared import Prepared
from mri_tf.task import Task
from mri_tf.task.files import saved_task
from mri_tf.task.spec import SIDES, to_json

RUN_FILE, WEIGHTS, FEATURES, LOCK = "run.json", "weights.weights.h5", "features", ".lock"
DERIVED = "derived"  # the set with predicted masks, where boxes are cut around them
METRICS, PREDICTIONS, REPORT = "metrics.json", "predictions.parquet", "report.md"
NEEDED = (
    "task", "seed", "data", "data_folder", "split", "sides", "patients", "natural_counts", "seen",
    "feature_task", "feature_weights", "fitted", "state",
)  # fmt: skip
RUNNING, FINISHED = "running", "finished"


@dataclass(frozen=True)
class Run:
    """A run folder opened: its path and the values of run.json."""

    folder: Path
    values: dict

    @property
    def task(self) -> Task:
        return saved_task(self.values["task"])

    @property
    def finished(self) -> bool:
        return self.values["state"] == FINISHED

    @property
    def sides(self) -> dict[str, list[str]]:
        """Record ids a side: train, validation, test."""
        return self.values["sides"]

    @property
    def weights(self) -> Path:
        return self.folder / WEIGHTS

    @property
    def data_folder(self) -> Path:
        """The prepared set it was trained on; run.json holds it relative to the run's folder."""
        return Path(os.path.normpath(self.folder.absolute() / self.values["data_folder"]))

    def identity(self) -> str:
        """Of what decides the result of the training; a run folder belongs to one identity."""
        keys = ("task", "seed", "data", "sides", "feature_weights")
        return fingerprint({key: self.values[key] for key in keys})

    def save(self, **changes: Any) -> "Run":
        """Writes run.json with some values changed; returns the run as it is now."""
        run = Run(self.folder, {**self.values, **changes})
        self.folder.mkdir(parents=True, exist_ok=True)
        write_atomic(self.folder / RUN_FILE, json.dumps(run.values, indent=1).encode())
        return run


def open_run(folder: Path) -> Run:
    """The run in a folder; raises InputError if there is none."""
    path = Path(folder) / RUN_FILE
    if not path.is_file():
        raise InputError(
            f"A run is a folder with {RUN_FILE}.", folder, "Make one with python -m mri_tf.train."
        )
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        missing = [key for key in NEEDED if key not in values]
    except (ValueError, TypeError):
        missing = ["all"]
    if missing:
        raise InputError(
            f"{RUN_FILE} is whole JSON with the keys of this version.",
            f"{path} without {', '.join(missing)}",
            "Train into another --out.",
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
            f"{RUN_FILE} is as training wrote it.", f"{path}, changed", "Train into another --out."
        )
    return run


def open_finished(folder: Path) -> Run:
    """A run whose training is finished and whose weights are whole; raises InputError."""
    run = open_run(folder)
    if not run.finished:
        raise InputError(
            "This needs a finished run.", f"{folder}, unfinished", "Run its train command again."
        )
    if not run.weights.is_file() or file_hash(run.weights) != run.values.get("weights_sha256"):
        raise InputError(
            "The weights of a run are those it wrote.", f"{run.weights}, damaged", "Train it again."
        )
    return run


def start_or_continue(run: Run) -> Run:
    """The run to go on with: the one on disk if it is the same, else this one, written.

    A run that ended before it trained, on a value since corrected, yields its folder. Raises
    InputError if the folder holds another task, data, seed or split.
    """
    if not (run.folder / RUN_FILE).is_file():
        return run.save()
    found = open_run(run.folder)
    if found.identity() == run.identity():
        return found
    if not found.finished and {path.name for path in run.folder.iterdir()} <= {RUN_FILE, LOCK}:
        return run.save()
    if found.values["task"]["name"] != run.values["task"]["name"]:
        differs = f"task {found.values['task']['name']}"
    else:
        keys = ("task", "seed", "data", "sides", "feature_weights")
        differs = "another " + ", ".join(
            {"task": "setting of the task", "feature_weights": "feature network"}.get(key, key)
            for key in keys
            if found.values[key] != run.values[key]
        )
    raise InputError(
        "A run folder holds one run.",
        f"{run.folder} of {differs}",
        "Name another --out, or remove the folder.",
    )


@contextmanager
def locked(folder: Path):
    """Keeps a second process out of a run folder; raises InputError if one is at work in it."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / LOCK).open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise InputError(
                "One process works in a run folder.", f"{folder}, in use", "Wait, or name another."
            ) from None
        yield


def positions_of(run: Run, prepared: Prepared) -> list[np.ndarray]:
    """Positions in the prepared set of the run's records, a side each; raises InputError."""
    if prepared.content_fingerprint() != run.values["data"]:
        raise InputError(
            "A run knows the prepared set it was trained on.",
            f"{prepared.folder}, which is another set or was prepared again",
            "Name the right one with --data.",
        )
    place = {name: number for number, name in enumerate(prepared.record_ids)}
    return [
        np.array([place[name] for name in run.sides[side]], dtype=np.int64) for side in SIDES
    ]
