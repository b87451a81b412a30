"""What the tests of cells share: the fake training command, and threads that run cells."""

import sys
from concurrent.futures import ThreadPoolExecutor

import pytest
from fake_train import FakeTrain

from mri_tf.core.subprocesses import terminate_children
from mri_tf.folds import cell as cells


@pytest.fixture
def fake(tmp_path, monkeypatch):
    home = tmp_path / "fake"
    home.mkdir()
    fake = FakeTrain(home)
    monkeypatch.setattr(sys, "executable", str(fake.program))
    monkeypatch.setattr(cells, "SECONDS_BETWEEN_LOOKS", 0.02)
    for name, value in fake.environment.items():
        monkeypatch.setenv(name, value)
    with terminate_children():
        pass  # a study that an earlier test of this process interrupted is over
    return fake


@pytest.fixture
def pool():
    with ThreadPoolExecutor(2) as threads:
        yield threads
