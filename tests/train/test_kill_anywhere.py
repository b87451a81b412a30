"""The whole command killed by SIGKILL again and again: preparation, pre-training and training go on."""

import random
import subprocess
import sys

import pytest
from small import write_raw, write_task_files
from trainings import assert_equal_weights

from mri_tf.store.run import open_finished

ARGUMENTS = ["-m", "mri_tf.train", "--task", "thirds.py", "--raw", "raw"]


def _run_in(folder, seconds=None) -> int:
    process = subprocess.Popen(
        [sys.executable, *ARGUMENTS], cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        return process.wait(timeout=seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        return -9


@pytest.mark.slow
def test_killed_at_ten_random_moments_the_weights_are_those_of_a_whole_run(tmp_path):
    moments = random.Random(0)
    for name in ("whole", "killed"):
        write_task_files(tmp_path / name)
        write_raw(tmp_path / name / "raw")
    assert _run_in(tmp_path / "whole") == 0
    codes = [_run_in(tmp_path / "killed", moments.uniform(4, 22)) for _ in range(10)]
    assert -9 in codes
    assert _run_in(tmp_path / "killed") == 0
    runs = [open_finished(tmp_path / name / "runs/thirds/manual-s0") for name in ("whole", "killed")]
    assert_equal_weights(*runs)
    sets = [sorted((tmp_path / name / "data/thirds").glob("*.tfrecord")) for name in ("whole", "killed")]
    assert [file.read_bytes() for file in sets[0]] == [file.read_bytes() for file in sets[1]]
