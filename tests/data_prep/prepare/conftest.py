"""What the tests of preparation share: a prepared set, and a small folder with what is said of it."""

from pathlib import Path

import pytest
from raw_folders import TWO, prepare_shards, run_prepare, write_cases, write_raw_folder, write_task


@pytest.fixture(scope="session")
def task_file(tmp_path_factory) -> Path:
    return write_task(tmp_path_factory.mktemp("task"))


@pytest.fixture(scope="session")
def raw(tmp_path_factory) -> Path:
    return write_cases(tmp_path_factory.mktemp("data") / "Rohdaten")


@pytest.fixture(scope="session")
def whole(task_file, raw, tmp_path_factory) -> Path:
    """The set of an uninterrupted run, in several shards."""
    out = tmp_path_factory.mktemp("whole") / "set"
    prepare_shards(task_file, raw, out)
    return out


@pytest.fixture
def small_raw(tmp_path) -> Path:
    """raw/ with two images and their table, beside the task file mine.py."""
    write_task(tmp_path)
    return write_raw_folder(tmp_path / "raw", TWO)


@pytest.fixture
def said(tmp_path, capsys):
    """Prepares out/ from raw/; gives the exit code and the lines on stderr, but for the progress."""

    def run(*more: str, task="mine.py", raw="raw") -> tuple[int, list[str]]:
        task = tmp_path / task if task.endswith(".py") else task
        code = run_prepare(task, tmp_path / raw, tmp_path / "out", *more)
        lines = capsys.readouterr().err.splitlines()
        return code, [line for line in lines if not line.startswith("preparing ")]

    return run


@pytest.fixture
def one_line(said):
    """As `said`, where the exit code is to be `code`; gives the only line."""

    def run(code: int, *more: str, **arguments) -> str:
        found, lines = said(*more, **arguments)
        assert found == code and len(lines) == 1, lines
        return lines[0]

    return run


@pytest.fixture
def refused(tmp_path, one_line):
    """The command is refused in one line that holds `words`, and leaves nothing."""

    def run(*words: str, more=(), **arguments) -> str:
        line = one_line(2, *more, **arguments)
        assert line.startswith("error: ") and "Unexpected" not in line and "Received:" in line, line
        assert all(word in line for word in words), line
        assert not list(tmp_path.glob("out*"))
        return line

    return run
