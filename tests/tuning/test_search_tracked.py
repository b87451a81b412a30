"""A search in MLflow: a run with a run inside for each trial, logged when the search is complete."""

import json
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from mlflow_runs import client_of, files_below, needs_mlflow, runs_in

from data_prep.prepare.prepare import prepare
from mri_tf.core.command_line import run_command
from mri_tf.core.errors import RunFailed
from mri_tf.task.files import load_task
from mri_tf.task.overrides import with_values
from tuning.search import main as search

ROOT = Path(__file__).resolve().parents[2]
pytestmark = needs_mlflow


@pytest.fixture(autouse=True)
def same_code(monkeypatch):
    """Sources may change while the tests run."""
    monkeypatch.setattr("tuning.code_version.code_version", lambda: "fixed")


@pytest.fixture(scope="module")
def scratch(small, tmp_path_factory) -> dict:
    """The prepared set of the thirds' task, and the flags of a random search."""
    file = small["levels"]
    task = with_values(load_task(file), load_task(file).variants["scratch"])
    prepared, _ = prepare(task, file, small["raw"], tmp_path_factory.mktemp("tracked") / "thirds")
    flags = ["--task", str(file), "--variant", "scratch", "--data", str(prepared.folder), "--tuner",
             "random", "--set", "epochs=1"]  # fmt: skip
    return {"prepared": prepared, "flags": flags}


@pytest.fixture
def scores(monkeypatch) -> list[dict]:
    """Trials that take no time; the second fails. Holds the values of each that was asked for."""
    asked = []

    def score(problem, values, folder):
        asked.append(values)
        if len(asked) == 2:
            raise RunFailed("The loss became NaN at epoch 1.", "Lower the learning rate.")
        return values["learning_rate"]

    monkeypatch.setattr("tuning.tuner.score_trial", score)
    return asked


def _search(scratch, home: Path, trials: int, *more: str) -> int:
    flags = ["--trials", str(trials), "--out", str(home / "found"), *more]
    return run_command(search, [*scratch["flags"], *flags])


def _by_name(store: Path) -> dict:
    return {one.info.run_name: one for one in runs_in(store, "thirds")}


def test_a_search_is_a_run_with_a_run_inside_for_each_trial(scratch, scores, tmp_path, capsys):
    store = tmp_path / "mlruns"
    assert _search(scratch, tmp_path, 3, "--track", f"mlflow:{store}") == 0
    assert "tracked " in capsys.readouterr().out
    runs = _by_name(store)
    whole = runs.pop("found-3-trials")
    ids = [one.info.run_id for one in runs.values()]
    assert len(ids) == 3 and all(name.startswith("trial-") for name in runs)
    assert {one.data.tags["mlflow.parentRunId"] for one in runs.values()} == {whole.info.run_id}
    best = min(scores[0]["learning_rate"], scores[2]["learning_rate"])
    assert whole.data.metrics == {"validation_log_loss": best}
    parameters = whole.data.params
    assert parameters["tuner"] == "random" and parameters["trials_failed"] == "1"
    assert float(parameters["best.learning_rate"]) == best and parameters["task.epochs"] == "1"
    assert int(parameters["patients"]) > 5 and parameters["commit"]
    assert files_below(client_of(store), whole.info.run_id) == {"trials.csv", "best.json"}
    rates = {float(one.data.params["learning_rate"]) for one in runs.values()}
    assert rates == {values["learning_rate"] for values in scores}
    (failed,) = [one for one in runs.values() if one.info.status == "FAILED"]
    assert failed.data.metrics == {} and "became NaN" in failed.data.params["reason"]


def test_a_trial_is_logged_with_the_history_of_its_training(scratch, tmp_path):
    store = tmp_path / "mlruns"
    assert _search(scratch, tmp_path, 1, "--track", f"mlflow:{store}") == 0
    (trial,) = [one for name, one in _by_name(store).items() if name.startswith("trial-")]
    (best,) = tmp_path.glob("found/*/best.json")
    score = json.loads(best.read_text())["validation_log_loss"]
    assert trial.data.metrics["validation_log_loss"] == pytest.approx(score)
    assert trial.data.metrics["epoch.val_loss"] > 0
    secrets = {*map(str, scratch["prepared"].patients), str(scratch["prepared"].folder)}
    texts = [path.read_bytes() for path in store.rglob("*") if path.is_file()]
    assert len(texts) > 20
    assert not any(secret.encode() in text for secret in secrets for text in texts)


def test_a_search_is_logged_once_and_again_when_it_has_more_trials(scratch, scores, tmp_path, capsys):
    store = tmp_path / "mlruns"
    for _ in range(2):
        assert _search(scratch, tmp_path, 3, "--track", f"mlflow:{store}") == 0
    assert "already tracked as run" in capsys.readouterr().out and len(_by_name(store)) == 4
    assert _search(scratch, tmp_path, 4, "--track", f"mlflow:{store}") == 0
    whole = _by_name(store)["found-4-trials"]
    assert whole.data.params["trials"] == "4" and len(runs_in(store, "thirds")) == 9


def test_a_search_that_its_time_stops_is_logged_when_it_is_complete(scratch, scores, tmp_path):
    store = tmp_path / "mlruns"
    short = ("--max-minutes", "0.0001", "--track", f"mlflow:{store}")
    assert _search(scratch, tmp_path, 3, *short) == 1
    assert runs_in(store, "thirds") == []
    assert _search(scratch, tmp_path, 3, "--track", f"mlflow:{store}") == 0
    assert len(runs_in(store, "thirds")) == 4


def test_a_search_with_a_tracker_that_fails_ends_as_without(scratch, scores, tmp_path, capsys):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        dead = f"mlflow:http://127.0.0.1:{unused.getsockname()[1]}"
    assert _search(scratch, tmp_path, 3, "--track", dead) == 0
    said = [line for line in capsys.readouterr().err.splitlines() if line.startswith("warning: ")]
    assert len(said) == 1 and "python -m mri_tf.track --search" in said[0]
    assert len(list(tmp_path.glob("found/*/best.json"))) == 1


@pytest.mark.slow
def test_trials_of_several_workers_are_logged_once_by_the_process_that_started_them(scratch, tmp_path):
    store = tmp_path / "mlruns"
    command = [sys.executable, "-m", "tuning.search", *scratch["flags"], "--trials", "4", "--workers",
               "2", "--out", str(tmp_path / "found"), "--track", f"mlflow:{store}"]  # fmt: skip
    done = subprocess.run(command, cwd=ROOT, text=True, capture_output=True)
    assert done.returncode == 0, done.stderr
    runs = _by_name(store)
    assert len(runs) == len(runs_in(store, "thirds")) == 5
    assert runs["found-4-trials"].data.params["trials"] == "4"
