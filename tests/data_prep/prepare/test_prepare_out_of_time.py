"""Preparing under --max-minutes: it ends after a case, and goes on to the bytes of a whole run."""

import pytest
from raw_folders import CASES, files_of, prepare_shards
from stopwatch import Stopwatch

from data_prep.layouts import cases_table
from mri_tf.core.deadline import Deadline
from mri_tf.core.errors import OutOfTime


def test_it_ends_after_the_case_in_which_the_time_is_over(
    task_file, raw, whole, tmp_path, monkeypatch
):
    clock, original = Stopwatch(), cases_table.read_case
    monkeypatch.setattr(cases_table, "read_case", lambda *all: clock.wait(20) or original(*all))
    with pytest.raises(OutOfTime, match=f"3 of {CASES} cases of mine are prepared"):
        prepare_shards(task_file, raw, tmp_path / "set", deadline=Deadline(0.9, clock))
    assert not (tmp_path / "set").exists()
    prepare_shards(task_file, raw, tmp_path / "set", deadline=Deadline(0.9, clock))
    assert files_of(tmp_path / "set") == files_of(whole)


def test_however_short_the_time_is_every_command_prepares_a_case(task_file, raw, whole, tmp_path):
    for case in range(1, CASES):
        with pytest.raises(OutOfTime, match=f"{case} of {CASES} cases"):
            prepare_shards(task_file, raw, tmp_path / "set", deadline=Deadline(1e-9))
    prepare_shards(task_file, raw, tmp_path / "set", deadline=Deadline(1e-9))
    assert files_of(tmp_path / "set") == files_of(whole)
