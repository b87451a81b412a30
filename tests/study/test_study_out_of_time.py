"""A study under --max-minutes ends with 1 and no report, and goes on to the rows of a whole one."""

from pathlib import Path

import pandas as pd
import pytest
from studied import SET, STUDY, rows_of, run_study

from mri_tf.train.__main__ import main as train

SHORT = ("--max-minutes", "0.0001")  # each command gets on by one epoch of one cell


def _train_in_time(arguments: list[str], child) -> str:
    """In place of `run_module`: a cell's training in this process, which may raise OutOfTime."""
    child.deadline.check("it was about to start")
    code = train([*arguments[1:], *child.deadline.flags])
    child.deadline.got_on = True
    return "" if code == 0 else f"exit code {code}"


@pytest.mark.slow
def test_it_stops_again_and_again_and_ends_with_the_same_rows(inside, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("mri_tf.folds.cell.run_module", _train_in_time)
    out, ends = tmp_path / "parts", []
    arguments = ("--data", "data/thirds", "--out", out, "--variants", "scratch", "--workers", "1", *SET)
    while (code := run_study(*arguments, *SHORT)) == 1:
        assert not Path(out, "results.parquet").exists() and len(ends) < 9
        lines = capsys.readouterr().err.splitlines()
        (end,) = [line for line in lines if line.startswith("Stopped after ") and "cells" in line]
        ends.append(end.partition("asks: ")[2])
    assert code == 0
    assert ends == [
        "0 of 2 cells are done, 1 begun. The same command continues.",
        "1 of 2 cells are done, 0 begun. The same command continues.",
        "1 of 2 cells are done, 1 begun. The same command continues.",
    ]
    found, whole = rows_of(out), rows_of(STUDY, "scratch")
    columns = sorted(set(found.columns) - {"seconds"})
    pd.testing.assert_frame_equal(found[columns], whole[columns], check_exact=True)
