"""What the tests of preparation share: a small task, raw folders of noise, the command, all files."""

import csv
import io
from pathlib import Path

import numpy as np
from PIL import Image

from data_prep import write
from mri_tf.core.command_line import run_command

TASK = """
from mri_tf.task import Task
TASK = Task(**dict(name="{name}", channels=("g",), image_shape=(16, 16), class_names=("left", "right"),
                   model="vgg") | dict({more}))
"""


def write_task(folder: Path, more: str = "", name: str = "mine") -> Path:
    """Writes a task file whose settings `more` changes; returns its path."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.py"
    path.write_text(TASK.format(name=name, more=more), encoding="utf-8")
    return path


def noise_pixels(seed: int, dtype=np.uint8, high: int = 256) -> np.ndarray:
    """(16, 16) of the task's size."""
    return np.random.default_rng(seed).integers(0, high, (16, 16)).astype(dtype)


def write_raw_folder(raw: Path, table: str, damaged: int | None = None) -> Path:
    """manifest.csv and the noise of its row's number for each image; the `damaged` one is cut off."""
    raw.mkdir(parents=True)
    (raw / "manifest.csv").write_text(table, encoding="utf-8")
    for number, row in enumerate(csv.DictReader(io.StringIO(table))):
        path = raw / row["image"]
        path.parent.mkdir(exist_ok=True)
        Image.fromarray(noise_pixels(number)).save(path)
        if number == damaged:
            path.write_bytes(path.read_bytes()[:90])
    return raw


def prepare_command(task, raw: Path, out: Path, *more: str) -> int:
    """The exit code of `python -m data_prep.write`, run in this process."""
    return run_command(
        write.main, ["--task", str(task), "--raw", str(raw), "--out", str(out), *more]
    )


def files_of(folder: Path) -> dict[str, bytes]:
    """Relative path -> bytes of all files."""
    paths = [path for path in folder.rglob("*") if path.is_file()]
    return {str(path.relative_to(folder)): path.read_bytes() for path in paths}
