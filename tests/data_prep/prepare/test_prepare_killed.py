"""Preparation killed by SIGKILL, or out of disk, at any moment: the rerun's set has the same bytes."""

import contextlib
import errno
import functools
import multiprocessing
import os
import random
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from raw_folders import CASES, DAMAGED, SHARD_BYTES, files_of, table_of, write_raw_folder, write_task

from data_prep import write
from data_prep.prepare import prepare as preparing
from data_prep.prepare import shards
from data_prep.prepare.shards import JOURNAL, ShardWriter
from mri_tf.core.command_line import run_command
from mri_tf.store.prepared import MANIFEST

KILLS = 20

# What changes a file, called from the modules that write a set and from what they call.
CHANGES = {
    "open", "write", "flush", "close", "truncate", "fsync", "mkdir", "rmdir", "unlink", "rename",
    "writerow", "writerows",
}  # fmt: skip
CALLERS = ("shards.py", "prepare.py", "provenance.py", "csv.py", "tf_record.py")


def _write_input(folder: Path, cases: int) -> tuple[Path, Path]:
    """A task file and a raw folder of noise; returns both paths."""
    return write_task(folder), write_raw_folder(folder / "raw", table_of(cases), DAMAGED)


def _lines_done(partial: Path) -> int:
    """Whole lines of the journal; -1 before there is one."""
    try:
        return (partial / JOURNAL).read_bytes().count(b"\n")
    except FileNotFoundError:
        return -1


# In forked processes: TensorFlow is imported once, so that one preparation takes a quarter second


@pytest.fixture(scope="module")
def forked():
    """Runs a function of this module in a process of its own; gives its exit code and stderr."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tensorflow"])

    def run(function, *arguments) -> tuple[int, list[str]]:
        receiving, sending = context.Pipe(duplex=False)
        process = context.Process(target=function, args=(sending, *arguments))
        process.start()
        sending.close()
        process.join()
        with open(receiving.fileno(), closefd=False, encoding="utf-8") as said:
            return process.exitcode, said.read().splitlines()

    return run


@pytest.fixture(scope="module")
def small_input(tmp_path_factory) -> list[str]:
    """Arguments of the command, all but --out."""
    task_file, raw = _write_input(tmp_path_factory.mktemp("input"), CASES)
    return ["--task", str(task_file), "--raw", str(raw)]


def _prepare_here(said, arguments: list[str]) -> None:
    """The whole command in this process, which then ends with its exit code."""
    os.dup2(said.fileno(), 2)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    preparing.ShardWriter = functools.partial(ShardWriter, shard_bytes=SHARD_BYTES)
    sys.exit(run_command(write.main, arguments))


def _prepare_until(said, moment: int, counted: Path, arguments: list[str]) -> None:
    """Dies just before the `moment`-th call that changes a file; counts these calls if it lives."""
    calls = 0

    def watch(frame, event, function):
        nonlocal calls
        caller = Path(frame.f_code.co_filename)
        ours = caller.name in CALLERS or "pathlib" in (caller.stem, caller.parent.name)
        if event == "c_call" and ours and function.__name__ in CHANGES:
            calls += 1
            if calls == moment:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.setprofile(watch)
    try:
        _prepare_here(said, arguments)
    finally:
        sys.setprofile(None)
        counted.write_text(str(calls))


@pytest.fixture(scope="module")
def whole(forked, small_input, tmp_path_factory) -> tuple[dict[str, bytes], int]:
    """The bytes of an undisturbed set, and how many calls that change a file it took."""
    folder = tmp_path_factory.mktemp("whole")
    arguments = [*small_input, "--out", str(folder / "set")]
    assert forked(_prepare_until, 0, folder / "counted", arguments)[0] == 1
    return files_of(folder / "set"), int((folder / "counted").read_text())


@pytest.mark.slow
def test_killed_twice_at_random_calls_the_rerun_gives_the_bytes_of_a_whole_run(
    forked, small_input, whole, tmp_path
):
    expected, calls = whole
    draw, kills = random.Random(0), 0
    last = range(calls - 3, calls)  # around the moment when the folder gets its name
    for moment in [*draw.sample(range(1, last[0]), 5), *last]:
        out = tmp_path / f"killed-{moment}"
        arguments = [*small_input, "--out", str(out)]
        lines = -1
        for until in (moment, draw.randint(1, 24)):  # a rerun has a call or two where all is done
            kills += forked(_prepare_until, until, tmp_path / "lived", arguments)[0] == -signal.SIGKILL
            before, lines = lines, _lines_done(out.with_name(out.name + ".partial"))
            assert out.exists() or lines >= before, "a killed rerun keeps what was finished"
        assert forked(_prepare_here, arguments)[0] == 1
        assert files_of(out) == expected, moment
    assert kills >= 12


@pytest.mark.slow
def test_killed_before_each_call_that_changes_a_file_the_rerun_gives_the_bytes_of_a_whole_run(
    forked, small_input, whole, tmp_path
):
    expected, calls = whole
    for moment in range(1, calls + 1):
        out = tmp_path / f"killed-{moment}"
        arguments = [*small_input, "--out", str(out)]
        assert forked(_prepare_until, moment, tmp_path / "lived", arguments)[0] == -signal.SIGKILL
        assert not out.exists() or files_of(out).keys() - {JOURNAL} == expected.keys(), moment
        assert forked(_prepare_here, arguments)[0] == 1
        assert files_of(out) == expected, moment


def _prepare_within(said, most_bytes: int, arguments: list[str]) -> None:
    """No file may grow beyond `most_bytes`: to the writer the same as a full disk."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (most_bytes, most_bytes))
    _prepare_here(said, arguments)


def test_a_disk_that_fills_at_any_file_is_one_line_and_the_rerun_gives_the_bytes_of_a_whole_run(
    forked, small_input, whole, tmp_path
):
    # What does not fit: the journal's first line, half of it, a record's frame, a shard, the journal.
    for most_bytes in (0, 100, 400, 700, 1500):
        folder = tmp_path / str(most_bytes)
        arguments = [*small_input, "--out", str(folder / "set")]
        code, said = forked(_prepare_within, most_bytes, arguments)
        assert code == 3
        *shown, error = said  # progress, where the machine is slow
        assert error.startswith("error: The disk is full"), said
        assert all(line.startswith("preparing mine: ") for line in shown), said
        assert [path.name for path in folder.iterdir()] == ["set.partial"]
        assert forked(_prepare_here, arguments)[0] == 1
        assert files_of(folder / "set") == whole[0]


# A full disk, as far as single calls meet it


class _Wrapped:
    def __init__(self, file, write):
        self._file, self.write = file, write

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._file.close()

    def __getattr__(self, name):
        return getattr(self._file, name)


def _fill(patch: pytest.MonkeyPatch, room: int) -> None:
    """Lets files named records-* take `room` bytes, then half of what is written and an error."""
    original, written = Path.open, [0]

    def opened(path, *arguments, **named):
        file = original(path, *arguments, **named)

        def write(data):
            written[0] += len(data)
            if written[0] <= room:
                return file.write(data)
            file.write(data[: len(data) // 2])
            file.flush()
            raise OSError(errno.ENOSPC, "No space left on device")

        if not path.name.startswith("records-"):
            return file
        return _Wrapped(file, write)

    patch.setattr(Path, "open", opened)


@pytest.fixture
def assert_survived(small_raw, tmp_path, one_line, said):
    """The command, while `fill` has filled the disk, fails in one line; its rerun gives equal bytes."""

    def run(fill) -> None:
        with pytest.MonkeyPatch.context() as patch:
            fill(patch)
            assert one_line(3).startswith("error: The disk is full")
        assert not (tmp_path / "out").exists()
        assert said()[0] == 0
        after = files_of(tmp_path / "out")
        (tmp_path / "out").rename(tmp_path / "rerun")
        assert said()[0] == 0
        assert after == files_of(tmp_path / "out")

    return run


@pytest.mark.parametrize("room", [0, 600])
def test_a_full_disk_is_one_line_and_the_rerun_gives_equal_bytes(assert_survived, room):
    assert_survived(lambda patch: _fill(patch, room))


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_that_tensorflows_writer_meets_first_is_told_the_same(assert_survived):
    framed = shards._framed

    def framed_on_a_full_disk(data, folder):
        (folder / "frame.tmp").symlink_to("/dev/full")
        try:
            return framed(data, folder)
        finally:
            (folder / "frame.tmp").unlink(missing_ok=True)

    assert_survived(lambda patch: patch.setattr(shards, "_framed", framed_on_a_full_disk))


def test_a_full_disk_at_the_manifest_is_one_line_and_the_rerun_gives_equal_bytes(assert_survived):
    write_text = Path.write_text

    def written(path, text, **named):
        if path.name == MANIFEST:
            write_text(path, text[: len(text) // 2], **named)
            raise OSError(errno.ENOSPC, "No space left on device")
        return write_text(path, text, **named)

    assert_survived(lambda patch: patch.setattr(Path, "write_text", written))


# The command as a user starts it


def _kill_group_after(lines: int, delay_s: float, command: list[str], out: Path) -> bool:
    """Kills the command and its workers once the journal has `lines`; whether it was unfinished."""
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL, start_new_session=True)
    partial = out.with_name(out.name + ".partial")
    while process.poll() is None and _lines_done(partial) < lines and not out.exists():
        time.sleep(0.0005)
    time.sleep(delay_s)
    unfinished = process.poll() is None and not out.exists()
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    return unfinished


@pytest.mark.slow
def test_the_command_and_its_workers_killed_20_times_the_set_has_the_bytes_of_a_whole_run(tmp_path):
    cases = 400
    task_file, raw = _write_input(tmp_path / "input", cases)
    command = [sys.executable, "-m", "data_prep.write", "--task", str(task_file), "--raw", str(raw)]
    draw, kills = random.Random(0), 0
    for number, lines in enumerate(sorted(draw.sample(range(cases - 20), KILLS))):
        workers = str(1 + number % 2)
        again = [*command, "--out", str(tmp_path / "killed"), "--workers", workers]
        kills += _kill_group_after(lines, draw.uniform(0, 0.02), again, tmp_path / "killed")
    assert kills >= 12
    for name in ("killed", "whole"):
        assert subprocess.run([*command, "--out", str(tmp_path / name)]).returncode == 1
    assert files_of(tmp_path / "killed") == files_of(tmp_path / "whole")
