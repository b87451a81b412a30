"""What the tests of preparation share: a small task, raw folders of noise, the command, all files."""

import csv
import functools
import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from data_prep import write
from data_prep.prepare import prepare as preparing
from data_prep.prepare.prepare import prepare
from data_prep.prepare.shards import ShardWriter
from data_prep.prepare.source import PrepareOptions
from mri_tf.core.command_line import run_command
from mri_tf.task.files import load_task

CASES = 6
DAMAGED = 4  # this case cannot be read, so that a run is also continued after a skipped one
HEADER = "image,patient_id,label\n"
TWO = HEADER + "a.png,p1,left\nb.png,p2,right\n"
SHARD_BYTES = 900  # two records a shard
PATIENTS = ["Schmidt-0001", "Schmidt-0001", "Özil-0002", "Meyer-0003", "Meyer-0003", "Haas-0004"]

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


def pixels_of(seed: int, dtype=np.uint8, high: int = 256) -> np.ndarray:
    """(16, 16) of the task's size."""
    return np.random.default_rng(seed).integers(0, high, (16, 16)).astype(dtype)


def table_of(images: int) -> str:
    """manifest.csv of images, each of another patient."""
    rows = (f"{n:05d}.png,patient-{n:05d},{('left', 'right')[n % 2]}\n" for n in range(images))
    return HEADER + "".join(rows)


def image_of(number: int) -> str:
    """The image of a case of `write_cases`."""
    return f"Bildablage/Herzkatheter_Aufnahme_{number:04d}.png"


def write_cases(raw: Path, damaged: int = DAMAGED) -> Path:
    """Six cases of four patients whose table has every column."""
    rows = [
        f"{image_of(number)},{patient},{('left', 'right')[number % 2]},train,A,g{number}\n"
        for number, patient in enumerate(PATIENTS)
    ]
    table = "image,patient_id,label,split,site,group\n" + "".join(rows)
    return write_raw_folder(raw, table, damaged)


def write_raw_folder(raw: Path, table: str, damaged: int | None = None) -> Path:
    """manifest.csv and the noise of its row's number for each image; the `damaged` one is cut off."""
    raw.mkdir(parents=True)
    (raw / "manifest.csv").write_text(table, encoding="utf-8")
    for number, row in enumerate(csv.DictReader(io.StringIO(table))):
        path = raw / row["image"]
        path.parent.mkdir(exist_ok=True)
        Image.fromarray(pixels_of(number)).save(path)
        if number == damaged:
            path.write_bytes(path.read_bytes()[:90])
    return raw


def run_prepare(task, raw: Path, out: Path, *more: str) -> int:
    """The exit code of `python -m data_prep.write`, run in this process."""
    return run_command(write.main, ["--task", str(task), "--raw", str(raw), "--out", str(out), *more])


def prepare_shards(task_file: Path, raw: Path, out: Path, shard_bytes=SHARD_BYTES, **options):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(preparing, "ShardWriter", functools.partial(ShardWriter, shard_bytes=shard_bytes))
        return prepare(load_task(task_file), task_file, raw, out, PrepareOptions(**options))


def files_of(folder: Path) -> dict[str, bytes]:
    """Relative path -> bytes of all files."""
    paths = [path for path in folder.rglob("*") if path.is_file()]
    return {str(path.relative_to(folder)): path.read_bytes() for path in paths}
