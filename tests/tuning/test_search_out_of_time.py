"""A search under --max-minutes: it stops between trials or in one, and ends as an uninterrupted one."""

import csv
import json
import subprocess
import sys
from pathlib import Path

import pytest
from stopwatch import Stopwatch

from data_prep.prepare.prepare import prepare
from mri_tf.core.command_line import run_command
from mri_tf.core.deadline import Deadline
from mri_tf.task.files import load_task
from mri_tf.task.overrides import with_values
from tuning.search import main as search

ROOT = Path(__file__).resolve().parents[2]
SHORT = ("--max-minutes", "0.0001")


@pytest.fixture(autouse=True)
def same_code(monkeypatch):
    """Sources may change while the tests run."""
    monkeypatch.setattr("tuning.code_version.code_version", lambda: "fixed")


@pytest.fixture(scope="module")
def flags(small, tmp_path_factory) -> list[str]:
    """Those of a random search of the thirds' task without features."""
    file = small["levels"]
    task = with_values(load_task(file), load_task(file).variants["scratch"])
    prepared, _ = prepare(task, file, small["raw"], tmp_path_factory.mktemp("budgets") / "thirds")
    return ["--task", str(file), "--variant", "scratch", "--data", str(prepared.folder), "--tuner",
            "random", "--set", "epochs=2"]  # fmt: skip


@pytest.fixture
def said(flags, capsys):
    """Runs a search; gives its exit code, what it printed and the last line on stderr."""

    def run(out: Path, trials: int, *more: str) -> tuple[int, str, str]:
        capsys.readouterr()
        code = run_command(search, [*flags, "--out", str(out), "--trials", str(trials), *more])
        printed = capsys.readouterr()
        return code, printed.out, printed.err.strip().splitlines()[-1]

    return run


@pytest.fixture
def clock(monkeypatch) -> Stopwatch:
    """Of the searches of a test; every trial takes a minute by it, and is trained in no time."""
    clock = Stopwatch()
    monkeypatch.setattr("tuning.search.Deadline", lambda minutes: Deadline(minutes, clock))

    def score(problem, values, folder):
        clock.wait(60)
        return values["learning_rate"]

    monkeypatch.setattr("tuning.tuner.score_trial", score)
    return clock


def _values(out: Path) -> list[dict]:
    (table,) = out.glob("*/trials.csv")
    with table.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_a_trial_that_would_not_fit_waits_for_the_next_command(said, clock, tmp_path):
    assert said(tmp_path / "whole", 5)[0] == 0
    code, printed, line = said(tmp_path / "parts", 5, "--max-minutes", "2.5")
    assert code == 1 and "best of 2 trials" in printed and "wrote " in printed
    assert line == (
        "Stopped after 2 min, as --max-minutes 2.5 asks: 2 of 5 trials are done, 0 begun, and the next "
        "would take 60 s. The same command continues."
    )
    assert len(_values(tmp_path / "parts")) == 2
    assert said(tmp_path / "parts", 5, "--max-minutes", "9")[0] == 0
    assert _values(tmp_path / "parts") == _values(tmp_path / "whole")


def test_what_the_other_trials_will_take_is_said_after_the_first(said, clock, tmp_path, capsys, flags):
    run_command(search, [*flags, "--out", str(tmp_path), "--trials", "4"])
    said = [line for line in capsys.readouterr().err.splitlines() if line.startswith("expected: ")]
    assert said == ["expected: 3 min for the trials left: 3 of 60 s, 1 at a time"]


def test_however_short_the_time_is_every_command_gets_on_by_a_trial(said, clock, tmp_path):
    for done in (1, 2):
        code, _, line = said(tmp_path, 3, *SHORT)
        assert code == 1 and f"{done} of 3 trials are done" in line
    assert said(tmp_path, 3, *SHORT)[0] == 0


def test_a_trial_under_way_stops_at_its_epoch_and_goes_on_to_the_same_score(said, tmp_path):
    assert said(tmp_path / "whole", 1)[0] == 0
    code, printed, line = said(tmp_path / "parts", 1, *SHORT)
    assert code == 1 and "0 of 1 trials are done, 1 begun" in line
    assert "best of" not in printed and not list((tmp_path / "parts").glob("*/best.json"))
    (checkpoint,) = (tmp_path / "parts").glob("*/trials/*/fold-0/checkpoint.npz")
    assert said(tmp_path / "parts", 1, *SHORT)[0] == 0
    assert not checkpoint.exists()
    assert _values(tmp_path / "parts") == _values(tmp_path / "whole")


@pytest.mark.slow
def test_workers_stop_in_time_and_continue(flags, tmp_path):
    command = [sys.executable, "-m", "tuning.search", *flags[:-1], "epochs=60", "--trials", "4",
               "--workers", "2", "--out", str(tmp_path / "out")]  # fmt: skip
    stopped = subprocess.run([*command, "--max-minutes", "0.4"], cwd=ROOT, text=True,
                             capture_output=True)  # fmt: skip
    assert stopped.returncode == 1, stopped.stderr
    lines = [line for line in stopped.stderr.splitlines() if line.startswith("Stopped after ")]
    assert len(lines) == 1 and "of 4 trials are done" in lines[0]
    begun = {path.parent.parent.name for path in tmp_path.glob("out/*/trials/*/fold-0/run.json")}
    again = subprocess.run(command, cwd=ROOT, text=True, capture_output=True)
    assert again.returncode == 0, again.stderr
    rows = _values(tmp_path / "out")
    assert len(rows) == 4 and begun <= {row["trial"] for row in rows}
    (best,) = tmp_path.glob("out/*/best.json")
    assert json.loads(best.read_text())["trials"] == 4
