"""A training stands beside its baselines in metrics.json and report.md, and is not lost for them."""

import json
from contextlib import chdir
from pathlib import Path

import pytest
from small import write_small

from mri_tf.audit.baselines import MAJORITY
from mri_tf.audit.set_features import NAMES
from mri_tf.core.command_line import run_command
from mri_tf.evaluate.__main__ import main as evaluate
from mri_tf.store.prepared import Prepared
from mri_tf.store.run import open_finished
from mri_tf.train import baselines
from mri_tf.train.__main__ import main as train

COMMAND = ("--task", "thirds.py", "--variant", "scratch", "--raw", "raw", "--out", "run",
           "--no-export", "--set", "epochs=1")  # fmt: skip
RUN = Path("run")


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    folder = write_small(tmp_path_factory.mktemp("compared"))
    with chdir(folder):
        assert run_command(train, list(COMMAND)) == 0
    return folder


@pytest.fixture
def inside(home):
    with chdir(home):
        yield home


def _metrics() -> dict:
    return json.loads((RUN / "metrics.json").read_text())


def test_metrics_and_report_hold_every_baseline_or_why_it_is_not_there(inside):
    found = _metrics()["baselines"]
    assert [one["name"] for one in found] == [MAJORITY, *NAMES]
    for one in found:
        assert bool(one["reason"]) != bool(one["numbers"])
        assert set(one["numbers"]) == set(one["difference"])
    page = (RUN / "report.md").read_text()
    assert "## Baselines" in page and "| thumbnail" in page and "Not compared: " in page
    assert "## What the image adds\n\nThe image adds: not known (no covariates" in page


def test_evaluating_the_same_side_again_keeps_them(inside):
    before = _metrics()
    assert run_command(evaluate, ["--run", "run"]) == 0
    after = _metrics()
    assert after["baselines"] == before["baselines"]
    assert "## Baselines" in (RUN / "report.md").read_text()
    assert run_command(evaluate, ["--run", "run", "--prior", "0.2,0.3,0.5"]) == 0
    (other,) = RUN.glob("evaluations/*/metrics.json")
    assert "baselines" not in json.loads(other.read_text())  # of other probabilities


def test_a_failure_is_told_and_the_numbers_stay(inside, monkeypatch, capsys):
    def fail(*_):
        raise MemoryError("too much of somebody's data in /home/somebody")

    before, run = _metrics(), open_finished(RUN)
    monkeypatch.setattr(baselines, "features_of_set", fail)
    line = baselines.baselines_of_run(run, Prepared.open(run.data_folder), RUN)
    assert "could not be counted (MemoryError)" in line and "somebody" in capsys.readouterr().err
    after = _metrics()
    assert after["baselines"] == [] and after["accuracy"] == before["accuracy"]
    assert "somebody" not in (RUN / "metrics.json").read_text() + (RUN / "report.md").read_text()
