"""What a run holds before its training starts."""

import os
from dataclasses import asdict
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

import mri_tf
from mri_tf.core.source_code import state_of_the_code
from mri_tf.models.weights import origin_of
from mri_tf.splits.leakage import seen_in_training
from mri_tf.splits.sides import Sides
from mri_tf.store.prepared import Prepared
from mri_tf.store.run import RUNNING, Run
from mri_tf.task import Task
from mri_tf.task.files import question_of
from mri_tf.task.spec import SIDES, to_json
from mri_tf.train.devices import precision_here


def new_run(
    folder: Path, task: Task, prepared: Prepared, chosen: Sides, seed: int,
    features: Run | None = None,
) -> Run:
    """The values of a run that has not started; nothing is written."""
    sides, natural = chosen.records, chosen.natural_counts
    return Run(
        folder,
        {
            "task": to_json(task),
            "precision": precision_here(task.precision),
            "seed": seed,
            "data": prepared.content_fingerprint(),
            "layout": prepared.manifest.get("layout"),
            "data_folder": os.path.relpath(prepared.folder, folder),
            "split": chosen.mode,
            "known_copies": chosen.known_copies,
            "natural_counts": None if natural is None else natural.tolist(),
            "sides": _by_side(prepared.record_ids, sides),
            "reserved": chosen.reserved and chosen.reserved.to_json(prepared.record_ids),
            "patients": {
                side: sorted(set(names))
                for side, names in _by_side(prepared.patients, sides).items()
            },
            "seen": seen_in_training(prepared, sides, features),
            "feature_task": features.values["task"] if features and task.features_from else None,
            "fitted": {},  # on the training side; filled when the training starts
            "feature_weights": features.values["weights_sha256"] if features else "",
            "first_weights": _origin(task),
            "versions": {"mri_tf": mri_tf.__version__, "tensorflow": tf.__version__,
                         "keras": keras.__version__},
            "state": RUNNING,
        },
    )  # fmt: skip


def with_origin(run: Run, task_file: Path) -> Run:
    """The run with what its card tells of where it comes from: the question of the task, and the state
    of the source code. Nothing is written."""
    origin = {"question": question_of(task_file), "code": state_of_the_code()}
    return Run(run.folder, run.values | origin)


def _origin(task: Task) -> dict | None:
    """Where the weights come from that the network begins with, where their file says it."""
    origin = origin_of(str(task.model_args.get("weights", "")))
    return None if origin is None else asdict(origin)


def _by_side(values: np.ndarray, sides: list[np.ndarray]) -> dict[str, list[str]]:
    return {name: list(values[side]) for name, side in zip(SIDES, sides, strict=True)}
