"""Atomic writing of files: a reader never sees a half-written one."""

import io
import os
from pathlib import Path


def write_atomic(path: Path, data: bytes | memoryview) -> None:
    """Writes a file to disk under a temporary name and then renames it."""
    scratch = path.with_name(f".{path.name}.tmp")
    try:
        with scratch.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(scratch, path)
    finally:
        scratch.unlink(missing_ok=True)


def write_table(path: Path, table) -> Path:
    """Writes a pandas table as Parquet, whole or not at all; returns the path."""
    buffer = io.BytesIO()
    table.to_parquet(buffer, index=False)
    write_atomic(path, buffer.getbuffer())
    return path
