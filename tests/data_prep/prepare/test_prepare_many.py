"""Ten thousand small images are prepared in the memory of one thousand, but for their index."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mri_tf.store.prepared import Prepared

# Records of 64 x 64 float32: 16 KiB, so that 9,000 kept by mistake would be 141 MiB.
TASK = """
from mri_tf.task import Task
TASK = Task(
    name="mine", channels=("g",), image_shape=(64, 64), class_names=("left", "right"), model="vgg",
    prep=dict(dtype="float32"),
)
"""
# What stays in memory a record: its case, its row of the index (11 columns), the state of its
# file, its row of the sidecar, and at the end the manifest's text: 2.6 KiB measured.
INDEX_BYTES = 4 * 2**10


def _write_raw(raw: Path, images: int) -> Path:
    """Tiny images, each of another patient and all different."""
    raw.mkdir(parents=True)
    draw = np.random.default_rng(0)
    rows = []
    for number in range(images):
        name = f"{number:05d}.png"
        Image.fromarray(draw.integers(0, 256, (16, 16), np.uint8)).save(raw / name)
        rows.append(f"{name},patient-{number:05d},{('left', 'right')[number % 2]}\n")
    (raw / "manifest.csv").write_text("image,patient_id,label\n" + "".join(rows))
    return raw


def _peak_bytes(command: list[str]) -> int:
    """The largest resident memory of a command of one process, as the kernel counted it."""
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0
    return used.ru_maxrss * (1 if sys.platform == "darwin" else 1024)


@pytest.mark.slow
def test_ten_thousand_images_take_the_memory_of_a_thousand_and_their_index(tmp_path):
    (tmp_path / "mine.py").write_text(TASK, encoding="utf-8")
    peaks = {}
    for images in (1_000, 10_000):
        raw, out = _write_raw(tmp_path / f"raw{images}", images), tmp_path / f"set{images}"
        where = ["--task", str(tmp_path / "mine.py"), "--raw", str(raw), "--out", str(out)]
        peaks[images] = _peak_bytes([sys.executable, "-m", "data_prep.write", *where])
        assert len(Prepared.open(out)) == images
    print({images: f"{peak / 2**20:.0f} MiB" for images, peak in peaks.items()})
    assert peaks[10_000] - peaks[1_000] < 9_000 * INDEX_BYTES
