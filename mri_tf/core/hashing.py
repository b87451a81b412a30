"""SHA-256 fingerprints of JSON values, arrays and files."""

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np


def fingerprint(values: Any) -> str:
    """Hex SHA-256 of JSON values; the order of keys does not matter."""
    text = json.dumps(values, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def content_hash(image: np.ndarray) -> str:
    """A hash of the pixels alone, so that one image under two patient ids is found."""
    image = little_endian(image)
    digest = hashlib.sha256(f"{image.dtype.str}{image.shape}".encode())
    digest.update(image.tobytes())
    return digest.hexdigest()[:32]


def file_hash(path: Path) -> str:
    """SHA-256 of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def folder_hash(folder: Path) -> str:
    """SHA-256 of the paths and contents of all files below a folder."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return fingerprint({path.relative_to(folder).as_posix(): file_hash(path) for path in files})


def little_endian(image: np.ndarray) -> np.ndarray:
    """The image in contiguous memory and little-endian byte order; NIfTI files may be big-endian."""
    return np.ascontiguousarray(image, dtype=image.dtype.newbyteorder("<"))
