"""What all tests share: no TensorFlow notices, few threads, where the shared data lies."""

import os
from pathlib import Path

import pytest

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
# Two test workers on two cores: one thread each keeps them out of each other's way.
os.environ.setdefault("TF_NUM_INTRAOP_THREADS", "1")
os.environ.setdefault("TF_NUM_INTEROP_THREADS", "1")


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """$MRI_SHARED/data; tests that need it skip where it is absent."""
    folder = Path(os.environ.get("MRI_SHARED", "../shared")) / "data"
    if not folder.is_dir():
        pytest.skip("the shared data is not on this machine (set MRI_SHARED)")
    return folder


@pytest.fixture(scope="session")
def small(tmp_path_factory) -> dict[str, Path]:
    """Task files and a raw folder of ten phantom patients, written once a worker."""
    from small import write_raw, write_task_files

    home = tmp_path_factory.mktemp("small")
    return {"levels": write_task_files(home / "tasks"), "raw": write_raw(home / "raw"), "home": home}
