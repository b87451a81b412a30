"""Fingerprints of tasks, which tell whether a prepared set or a training is the same."""

import dataclasses

from mri_tf.core.hashing import fingerprint
from mri_tf.store.record import SCHEMA_VERSION
from mri_tf.task import Task
from mri_tf.task.spec import WHITE_STRIPE, to_json


def task_fingerprint(task: Task) -> str:
    """Fingerprint of all that decides what is trained, so without the variants and what only describes
    the task."""
    values = to_json(dataclasses.replace(task, variants={}, caution=""))
    del values["label_from_position"]
    return fingerprint(values)


def prep_fingerprint(task: Task) -> str:
    """Fingerprint of all that decides what a prepared set holds; it identifies the set."""
    keys = ("name", "kind", "channels", "image_shape", "class_names", "prep")
    values = {key: value for key, value in to_json(task).items() if key in keys}
    if task.context_slices:
        values["context_slices"] = task.context_slices
    if task.standardised:
        values["standardised"] = True
    if task.by_white_matter:
        values[WHITE_STRIPE] = True
    return fingerprint({"schema": SCHEMA_VERSION, **values})
