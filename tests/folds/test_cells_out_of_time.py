"""Cells under --max-minutes: they get what is left, stop without a row, and go on with their seconds."""

import json
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from fake_train import job_of
from stopwatch import Stopwatch

from mri_tf.core.deadline import Deadline
from mri_tf.core.errors import OutOfTime
from mri_tf.core.subprocesses import terminate_children
from mri_tf.folds import all_cells
from mri_tf.folds import cell as cells
from mri_tf.folds.all_cells import run_all, run_cells
from mri_tf.folds.cell import finished_row, run_cell

STOPPED = "say 1 Stopped after 2 min, as --max-minutes 2 asks: 3 of 9 epochs of t are done."


@pytest.fixture
def one():
    with ThreadPoolExecutor(1) as pool, terminate_children():
        yield pool


def _minutes_given(fake, run: str) -> float:
    words = (fake.home / f"{run}.arguments").read_text().split()
    return float(words[words.index("--max-minutes") + 1])


def test_a_cell_that_stops_has_no_row_and_the_next_start_gives_the_row_with_all_seconds(fake, tmp_path):
    fake.order("c-s0", STOPPED)
    job = job_of(tmp_path, "c") | {"until": time.time() + 600, "begins": True}
    with pytest.raises(OutOfTime, match="3 of 9 epochs of t are done"):
        run_cell(job)
    assert finished_row(job) is None and len(fake.begun("c-s0")) == 1
    file = Path(job["folder"]) / cells.ROW
    saved = json.loads(file.read_text())
    assert 0 < saved["seconds"] < 60
    file.write_text(json.dumps(saved | {"seconds": 5000.0}))
    row = run_cell(job_of(tmp_path, "c"))  # of the same identity, without a limit
    assert row["status"] == "done" and 5000 < row["seconds"] < 5060


def test_each_process_of_a_cell_gets_the_minutes_that_are_left_when_it_starts(fake, tmp_path):
    search = ["--task", "t.py", "--trials", "3"]
    plain = job_of(tmp_path, "c", search=search, seeds=[0, 1])
    run_cell(plain | {"until": time.time() + 600, "begins": True})
    given = [_minutes_given(fake, run) for run in ("c-search", "c-s0", "c-s1")]
    assert 10 > given[0] > given[1] > given[2] > 9
    run_cell(job_of(tmp_path, "d"))
    assert "--max-minutes" not in (fake.home / "d-s0.arguments").read_text()


def test_a_search_that_stops_is_no_failure_of_its_cell(fake, tmp_path):
    fake.order("c-search", STOPPED)
    job = job_of(tmp_path, "c", search=["--trials", "3"])
    with pytest.raises(OutOfTime):
        run_cell(job)
    assert finished_row(job) is None and not fake.begun("c-s0")
    assert run_cell(job)["status"] == "done"


def test_no_cell_begins_when_the_time_is_over_and_one_that_stopped_is_counted(fake, tmp_path, one):
    clock = Stopwatch()
    deadline = Deadline(10, clock)
    fake.order("b-s0", STOPPED)
    jobs = [job_of(tmp_path, name) for name in "abcd"]
    assert run_all(one, jobs[:1], "cells", deadline)["a"]["status"] == "done"
    with pytest.raises(OutOfTime, match="2 of 3 cells are done, 1 begun"):
        run_all(one, jobs[:3], "cells", deadline)
    clock.wait(700)
    with pytest.raises(OutOfTime, match="2 of 4 cells are done, 1 begun"):
        run_all(one, jobs, "cells", deadline)
    assert not fake.begun("d-s0") and not Path(jobs[3]["folder"]).exists()
    rows = run_all(one, jobs, "cells")
    assert [row["status"] for row in rows.values()] == ["done"] * 4
    assert [len(fake.begun(f"{name}-s0")) for name in "abcd"] == [1, 2, 1, 1]


def test_however_short_the_time_is_a_study_gets_on_by_a_cell(fake, tmp_path, one):
    jobs = [job_of(tmp_path, name) for name in "ab"]
    with pytest.raises(OutOfTime, match="1 of 2 cells are done, 0 begun"):
        run_all(one, jobs, "cells", Deadline(1e-9))
    assert len(run_all(one, jobs, "cells", Deadline(1e-9))) == 2


def test_cells_do_not_begin_when_their_pre_training_has_used_the_time(fake, tmp_path, one):
    features, cell = job_of(tmp_path, "f"), job_of(tmp_path, "c", needs="f")
    with pytest.raises(OutOfTime, match="0 of 1 cells are done, 0 begun"):
        run_cells(one, [features], [cell], "cells", Deadline(1e-9))
    assert finished_row(features) is not None and not fake.begun("c-s0")
    assert run_cells(one, [features], [cell], "cells")["c"]["status"] == "done"


def test_a_failed_cell_is_said_beside_those_that_are_done(fake, tmp_path, one):
    fake.order("b-s0", "say 3 error: it broke.")
    fake.order("c-s0", STOPPED)
    jobs = [job_of(tmp_path, name) for name in "abc"]
    with pytest.raises(OutOfTime, match="1 of 3 cells are done, 1 failed, 1 begun"):
        run_all(one, jobs, "cells", Deadline(10))


def test_what_the_others_will_take_is_said_once_after_the_first_cell(fake, tmp_path, one, capsys):
    jobs = [job_of(tmp_path, name) for name in "abc"]
    run_all(one, jobs, "cells", at_a_time=1)
    said = [line for line in capsys.readouterr().err.splitlines() if line.startswith("expected: ")]
    assert len(said) == 1 and "for the cells left: 2 of " in said[0] and "1 at a time" in said[0]


@pytest.mark.parametrize(
    "at_a_time, threads", [(2, [1, 1, 1, 1, 4]), (3, [1, 1, 1, 2, 2]), (5, [1] * 5)]
)
def test_the_last_cells_share_the_cores_that_would_be_idle(monkeypatch, at_a_time, threads):
    monkeypatch.setattr(all_cells, "threads_each", lambda count: 4 // count)
    jobs = [{"name": str(number), "threads": 1} for number in range(5)]
    found = all_cells._with_idle_cores(jobs, at_a_time)
    assert [job["threads"] for job in found] == threads
    assert all_cells._with_idle_cores(jobs, 0) == jobs  # on a cluster that is not known
