"""Fingerprints: SHA-256 of values as sorted JSON, and of pixels, so that equal means equal."""

import dataclasses
import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np

from mri_tf.schema import SCHEMA_VERSION, little_endian
from mri_tf.task import Task, to_json


def fingerprint(values: Any) -> str:
    """Hex SHA-256 of JSON values; the order of keys does not matter."""
    text = json.dumps(values, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def task_fingerprint(task: Task) -> str:
    """Of everything that decides what is trained; the list of variants does not."""
    return fingerprint(to_json(dataclasses.replace(task, variants={})))


def prep_fingerprint(task: Task) -> str:
    """Of everything that decides what a prepared set holds; prepared sets are keyed by it."""
    keys = ("name", "kind", "channels", "image_shape", "class_names", "prep")
    values = {key: value for key, value in to_json(task).items() if key in keys}
    return fingerprint({"schema": SCHEMA_VERSION, **values})


def content_hash(image: np.ndarray) -> str:
    """Of the pixels alone, so that one image under two patient ids is still found."""
    image = little_endian(image)
    digest = hashlib.sha256(f"{image.dtype.str}{image.shape}".encode())
    digest.update(image.tobytes())
    return digest.hexdigest()[:32]


def file_hash(path: Path) -> str:
    """SHA-256 of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
