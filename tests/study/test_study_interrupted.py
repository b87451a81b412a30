"""The study command after kills and interruptions: no cell is lost, and the rows are the same."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pandas as pd
import pytest
from distributed import Client
from studied import COMMON, SET, STUDY, rows_of, run_study, train_here
from waiting import until

pytestmark = pytest.mark.slow
UNTIL = 300.0  # seconds after which something that takes ten has surely gone wrong


def assert_equal_rows(one: pd.DataFrame, other: pd.DataFrame) -> None:
    """Equal to the last bit, in every column except the seconds."""
    columns = sorted(set(one.columns) - {"seconds"})
    assert columns == sorted(set(other.columns) - {"seconds"})
    pd.testing.assert_frame_equal(one[columns], other[columns], check_exact=True, check_dtype=False)


def process_in(folder: Path) -> int | None:
    """The train process that has begun to train in a run folder."""
    if not (folder / "run.json").is_file():
        return None
    for command in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = command.read_bytes().split(b"\0")
        except OSError:
            continue
        if b"mri_tf.train" in words and os.fsencode(folder.absolute()) in words:
            return int(command.parent.name)
    return None


class KillInTheMiddle(threading.Thread):
    """Kills, once, what `whom` finds to a train process as soon as that trains in `folder`."""

    def __init__(self, folder: Path, whom=lambda process: process):
        super().__init__(daemon=True)
        self.folder, self.whom, self.killed = folder.absolute(), whom, []
        self.start()

    def run(self):
        end = time.monotonic() + UNTIL
        while not self.killed and time.monotonic() < end:
            process = process_in(self.folder)
            if process is not None:
                self.killed.append(self.whom(process))
                os.kill(self.killed[0], signal.SIGKILL)
            time.sleep(0.02)


def test_a_cell_killed_in_the_middle_is_retried_and_the_rows_are_the_same(inside):
    """Also: --keep metrics leaves the numbers only."""
    killer = KillInTheMiddle(Path("killed/cells/scratch-r0-f1/s3"))
    arguments = ("--data", "data/thirds", "--out", "killed", "--variants", "scratch", *SET)
    assert run_study(*arguments, "--keep", "metrics") == 0
    assert len(killer.killed) == 1
    killed = rows_of(Path("killed"))
    assert_equal_rows(killed, rows_of(STUDY, "scratch")[killed.columns])
    assert not list(Path("killed").rglob("*.h5")) and not list(Path("killed").rglob("*.npz"))
    assert len(list(Path("killed").rglob("predictions.parquet"))) == 2
    # Killed after the weights were removed and before the row was written:
    Path("killed/cells/scratch-r0-f0/row.json").unlink()
    assert run_study(*arguments, "--keep", "metrics") == 0
    assert_equal_rows(rows_of(Path("killed")), killed)


def test_a_cell_whose_histograms_are_matched_is_killed_and_gives_the_same_rows(inside, monkeypatch):
    values = (*SET, "harmonise={'method':'nyul'}")
    arguments = ("--data", "data/thirds", "--variants", "scratch", *values)
    with monkeypatch.context() as here:
        here.setattr("mri_tf.folds.cell.run_module", train_here)
        assert run_study("--out", "matched", "--workers", "1", *arguments) == 0
    killer = KillInTheMiddle(Path("matched-killed/cells/scratch-r0-f1/s3"))
    assert run_study("--out", "matched-killed", *arguments) == 0
    assert len(killer.killed) == 1
    assert_equal_rows(rows_of(Path("matched-killed")), rows_of(Path("matched")))


def scheduler_and_workers(folder: Path, count: int) -> tuple[str, list[subprocess.Popen]]:
    """A Dask scheduler on loopback and workers without nannies, in folders of their own."""
    command = [sys.executable, "-m", "distributed.cli.dask_scheduler"]
    flags = ["--host", "127.0.0.1", "--port", "0", "--no-dashboard"]
    file = folder / "scheduler.json"
    processes = [subprocess.Popen([*command, *flags, "--scheduler-file", str(file)],
                                  stderr=subprocess.DEVNULL)]  # fmt: skip
    for number in range(count):
        place = folder / f"worker{number}"
        place.mkdir()
        command = [sys.executable, "-m", "distributed.cli.dask_worker", "--scheduler-file", str(file)]
        flags = ["--no-nanny", "--nthreads", "1", "--no-dashboard", "--host", "127.0.0.1"]
        processes.append(subprocess.Popen([*command, *flags], cwd=place, stderr=subprocess.DEVNULL))
    until(lambda: file.is_file() or processes[0].poll() is not None, UNTIL)
    assert processes[0].poll() is None
    address = json.loads(file.read_text())["address"]
    with Client(address, timeout="60s") as client:
        client.wait_for_workers(count, timeout=UNTIL)
    return address, processes


def parent_of(process: int) -> int:
    return int(Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[1])


def test_on_a_dask_cluster_a_killed_worker_loses_no_cell(inside, tmp_path):
    address, processes = scheduler_and_workers(tmp_path, 2)
    try:
        killer = KillInTheMiddle(Path("cluster/cells/scratch-r0-f0/s3"), whom=parent_of)
        arguments = ("--data", "data/thirds", "--out", "cluster", "--variants", "scratch", *SET)
        assert run_study(*arguments, "--scheduler", address) == 0
        assert len(killer.killed) == 1
        dead = [process.pid for process in processes if process.poll() == -signal.SIGKILL]
        assert len(dead) == 1 and dead[0] != processes[0].pid
    finally:
        for process in processes:
            process.kill()
            process.wait()
    found = rows_of(Path("cluster"))
    assert_equal_rows(found, rows_of(STUDY, "scratch")[found.columns])


def start_command(folder: Path, *arguments) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, "-m", "mri_tf.study", *COMMON, "--data", "data/thirds",
         "--variants", "scratch", *SET, *arguments],
        cwd=folder, start_new_session=True, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip


@pytest.mark.parametrize("ending", ["killed", "interrupted", "terminated"])
def test_the_whole_study_goes_on_after_its_end_in_the_middle(inside, ending):
    out = Path(f"whole-{ending}")
    process = start_command(inside, "--out", out)
    run = out / "cells" / "scratch-r0-f1" / "s3"
    until(lambda: process_in(run) or process.poll() is not None, UNTIL)
    assert process.poll() is None
    trained = process_in(run)
    if ending == "killed":
        os.kill(process.pid, signal.SIGKILL)
        process.communicate()
        assert Path(f"/proc/{trained}").exists()
    else:
        if ending == "interrupted":
            os.killpg(process.pid, signal.SIGINT)
        else:  # as `kill` does, which names the study alone
            process.terminate()
        errors = process.communicate(timeout=UNTIL)[1]
        assert process.returncode == 130 and "error: Interrupted." in errors
        assert "Traceback" not in errors
        assert process_in(run) is None
        assert not (out / "results.parquet").exists()
    assert start_command(inside, "--out", out).communicate() and rows_of(out) is not None
    assert_equal_rows(rows_of(out), rows_of(STUDY, "scratch")[rows_of(out).columns])
