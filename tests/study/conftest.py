"""The study that several files of tests read."""

from contextlib import chdir
from pathlib import Path

import pytest
from small import write_small
from studied import SET, STUDY, run_study, train_here


@pytest.fixture(scope="session")
def home(tmp_path_factory) -> Path:
    """A folder with `study`: two folds of manual and scratch."""
    folder = write_small(tmp_path_factory.mktemp("home"))
    with chdir(folder), pytest.MonkeyPatch.context() as patch:
        patch.setattr("mri_tf.folds.cell.run_module", train_here)
        flags = ("--variants", "manual;scratch", "--workers", "1", *SET)
        assert run_study("--raw", "raw", "--out", STUDY, *flags) == 0
    return folder
