"""A fingerprint of the code that scores depend on, so that trials of other code are not reused."""

import hashlib
from pathlib import Path

import keras
import tensorflow as tf

import mri_tf

ROOT = Path(mri_tf.__file__).resolve().parent
# The rooms of mri_tf whose code decides what a trial scores.
ROOMS = (
    "core", "task", "store", "splits", "calibration", "pipeline", "models", "metrics", "network",
    "train",
)


def code_version() -> str:
    """SHA-256 of the sources of these rooms and of trials.py beside this file, which scores a trial, and
    of the versions of Keras and TensorFlow."""
    digest = hashlib.sha256(f"{keras.__version__} {tf.__version__}".encode())
    files = [path for room in ROOMS for path in (ROOT / room).rglob("*.py")]
    for path in sorted(files):
        digest.update(path.relative_to(ROOT).as_posix().encode())
        digest.update(path.read_bytes())
    digest.update(Path(__file__).with_name("trials.py").read_bytes())
    return digest.hexdigest()
