"""Ten thousand small images are prepared in the memory of one thousand, but for their index."""

import os
import subprocess
import sys

import pytest
from raw_folders import table_of, write_raw_folder, write_task

from mri_tf.store.prepared import Prepared

# Records of 16 KiB, so that 9,000 kept by mistake would be 141 MiB.
FLOATS = 'image_shape=(64, 64), prep=dict(dtype="float32")'
# What stays in memory a record: its case, its row of the index (11 columns), the state of its
# file, its row of the sidecar, and at the end the manifest's text: 2.6 KiB measured.
INDEX_BYTES = 4 * 2**10


def _peak_bytes(command: list[str]) -> int:
    """The largest resident memory of a command of one process, as the kernel counted it."""
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0
    return used.ru_maxrss * (1 if sys.platform == "darwin" else 1024)


@pytest.mark.slow
def test_ten_thousand_images_take_the_memory_of_a_thousand_and_their_index(tmp_path):
    task, peaks = write_task(tmp_path, FLOATS), {}
    for images in (1_000, 10_000):
        raw, out = tmp_path / f"raw{images}", tmp_path / f"set{images}"
        write_raw_folder(raw, table_of(images))
        where = ["--task", str(task), "--raw", str(raw), "--out", str(out)]
        peaks[images] = _peak_bytes([sys.executable, "-m", "data_prep.write", *where])
        assert len(Prepared.open(out)) == images
    print({images: f"{peak / 2**20:.0f} MiB" for images, peak in peaks.items()})
    assert peaks[10_000] - peaks[1_000] < 9_000 * INDEX_BYTES
