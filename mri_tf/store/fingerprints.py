"""Fingerprints: SHA-256 of values as sorted JSON, and of pixels, so that equal means equal."""

import dataclasses

from mri_tf.core.hashing import fingerprint
from mri_tf.store.record import SCHEMA_VERSION
from mri_tf.task import Task
from mri_tf.task.spec import to_json


def task_fingerprint(task: Task) -> str:
    """Of everything that decides what is trained; the list of variants does not."""
    return fingerprint(to_json(dataclasses.replace(task, variants={})))


def prep_fingerprint(task: Task) -> str:
    """Of everything that decides what a prepared set holds; prepared sets are keyed by it."""
    keys = ("name", "kind", "channels", "image_shape", "class_names", "prep")
    values = {key: value for key, value in to_json(task).items() if key in keys}
    return fingerprint({"schema": SCHEMA_VERSION, **values})
