"""What all tests share: no TensorFlow notices, few threads, where the shared data lies."""

import os
import signal
from pathlib import Path

import pytest

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
# Several test workers share few cores: one thread each keeps them out of each other's way.
os.environ.setdefault("TF_NUM_INTRAOP_THREADS", "1")
os.environ.setdefault("TF_NUM_INTEROP_THREADS", "1")
# A script's `&` leaves SIGINT ignored, for the processes that tests interrupt as well.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """$MRI_SHARED/data; tests that need it skip where it is absent."""
    folder = Path(os.environ.get("MRI_SHARED", "../shared")) / "data"
    if not folder.is_dir():
        pytest.skip("the shared data is not on this machine (set MRI_SHARED)")
    return folder


@pytest.fixture
def inside(home, monkeypatch) -> Path:
    """The test runs in `home`, a folder that its module makes."""
    monkeypatch.chdir(home)
    return home


@pytest.fixture
def here(tmp_path, monkeypatch) -> Path:
    """The test runs in an empty folder of its own."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(scope="session")
def small(tmp_path_factory) -> dict[str, Path]:
    """Task files and a raw folder of ten phantom patients, written once a worker."""
    from small import write_raw, write_task_files

    home = tmp_path_factory.mktemp("small")
    return {"levels": write_task_files(home / "tasks"), "raw": write_raw(home / "raw"), "home": home}


@pytest.fixture(scope="session")
def saved(tmp_path_factory) -> Path:
    """SavedModels to serve: many/1, many/2 and tiny/1, written once a worker; not to be changed.

    Both versions of `many` are served, with the labels stable and canary.
    """
    from serving_models import MODELS_CONFIG, write_many, write_tiny

    root = tmp_path_factory.mktemp("saved")
    write_many(root / "many" / "1", 1)
    write_many(root / "many" / "2", 2)
    write_tiny(root / "tiny" / "1")
    (root / "models.config").write_text(MODELS_CONFIG, encoding="utf-8")
    return root


@pytest.fixture(scope="session")
def client(saved):
    """A client of a server that serves `saved` while the tests run."""
    from serving_models import serving

    with serving(saved) as caller:
        yield caller
