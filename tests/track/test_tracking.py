"""Runs and studies in MLflow: what is logged, what never is, and what a tracker that fails costs."""

import importlib.util
import json
import socket
import subprocess
import sys
import time
from contextlib import chdir
from pathlib import Path

import pytest
from carded import GRADE, SECRET, made_up_run, made_up_set
from mlflow_runs import client_of, files_below, needs_mlflow, runs_in
from refused import error_line

from mri_tf.core.command_line import run_command
from mri_tf.core.exported import ASSETS, EXPORT
from mri_tf.report.blocks import Picture, Pictures, Section
from mri_tf.report.page import page
from mri_tf.store.run import METRICS
from mri_tf.track import destination
from mri_tf.track.__main__ import main as track
from mri_tf.track.noted import fingerprint_of
from mri_tf.track.tracked import tracked_run, tracked_study

INTERVAL = {"value": 0.75, "low": 0.6, "high": 0.9, "n": 16, "unit": "patients", "method": "Wilson"}
NUMBERS = {
    "accuracy": INTERVAL, "kappa": {**INTERVAL, "low": None, "high": None},
    "per_class": {"low_grade": {"recall": INTERVAL, "support": 8}}, "records": 32,
    "baselines": [{"name": "majority", "numbers": {"accuracy": INTERVAL}}],
}  # fmt: skip


def _finished(folder: Path, exported: str = "") -> Path:
    """A made-up run with numbers, a history, a card and an exported model."""
    run = made_up_run(folder, GRADE, made_up_set(folder.parent / "set", GRADE))
    run.save(
        exported=exported, code={"commit": "abc", "changed": False}, natural_counts=[20, 20], seen={},
        feature_task=None, feature_weights="", fitted={},
    )  # fmt: skip
    (folder / METRICS).write_text(json.dumps(NUMBERS))
    (folder / "history.csv").write_text("epoch,loss,val_loss\n1,1.5,1.25\n2,1.0,1.125\n")
    (folder / "card.html").write_text("<html>the card</html>")
    return folder


@pytest.fixture
def run(tmp_path) -> Path:
    model = tmp_path / "saved_models/grade/1"
    (model / "variables").mkdir(parents=True)
    (model / "saved_model.pb").write_bytes(b"graph")
    (model / "variables/variables.index").write_bytes(b"index")
    (model / ASSETS).mkdir()
    (model / ASSETS / EXPORT).write_text(json.dumps({"weights_sha256": "w" * 64}))
    return _finished(tmp_path / "runs/one", str(model))


@needs_mlflow
def test_a_run_is_logged_with_parameters_numbers_card_and_model(run, tmp_path, capsys):
    store = tmp_path / "mlruns"
    assert track(["--run", str(run), "--to", f"mlflow:file:{store}"]) == 0
    (logged,) = runs_in(store, "grade")
    assert logged.info.status == "FINISHED" and logged.info.run_name == "one"
    assert logged.info.run_id in capsys.readouterr().out
    parameters, metrics = logged.data.params, logged.data.metrics
    assert parameters["seed"] == "3" and parameters["patients.train"] == "20"
    assert parameters["task.class_names"] == '["low_grade", "high_grade"]'
    assert parameters["commit"] == "abc" and parameters["version.keras"] == "3"
    assert metrics["accuracy"] == 0.75 and metrics["accuracy.low"] == 0.6
    assert metrics["per_class.low_grade.recall.high"] == 0.9
    assert "kappa.low" not in metrics and not any("baseline" in name for name in metrics)
    client = client_of(store)
    history = client.get_metric_history(logged.info.run_id, "epoch.val_loss")
    assert [(one.step, one.value) for one in history] == [(1, 1.25), (2, 1.125)]
    assert files_below(client, logged.info.run_id) == {
        "card.html", "history.csv", "model/assets.extra/export.json", "model/saved_model.pb",
        "model/variables/variables.index",
    }


@needs_mlflow
def test_nothing_that_is_logged_beside_the_card_names_a_patient_a_record_or_a_folder(run, tmp_path):
    store = tmp_path / "mlruns"
    assert track(["--run", str(run), "--to", f"mlflow:{store}"]) == 0
    values = json.loads((run / "run.json").read_text())
    secrets = [SECRET, values["sides"]["train"][0], values["data_folder"]]
    texts = [path.read_bytes() for path in store.rglob("*") if path.is_file()]
    assert len(texts) > 20
    for secret in secrets:
        assert not any(secret.encode() in text for text in texts)
        assert not any(secret in str(path.relative_to(store)) for path in store.rglob("*"))


@needs_mlflow
def test_a_run_is_logged_to_a_place_once(run, tmp_path, capsys):
    flags = ["--run", str(run), "--to", f"mlflow:{tmp_path / 'mlruns'}"]
    assert track(flags) == 0 and track(flags) == 0
    assert "already tracked as run" in capsys.readouterr().out
    assert len(runs_in(tmp_path / "mlruns", "grade")) == 1


@needs_mlflow
def test_a_run_whose_numbers_came_later_is_logged_again(run, tmp_path, capsys):
    numbers = (run / METRICS).read_text()
    (run / METRICS).unlink()  # its test side is locked
    flags = ["--run", str(run), "--to", f"mlflow:{tmp_path / 'mlruns'}"]
    assert track(flags) == 0
    (run / METRICS).write_text(numbers)
    assert track(flags) == 0 and "already tracked" not in capsys.readouterr().out
    before, after = sorted(runs_in(tmp_path / "mlruns", "grade"), key=lambda one: len(one.data.metrics))
    assert "accuracy" not in before.data.metrics and after.data.metrics["accuracy"] == 0.75
    assert track(flags) == 0
    assert f"already tracked as run {after.info.run_id}" in capsys.readouterr().out


def test_what_is_logged_of_a_study_that_went_on_has_another_fingerprint(tmp_path):
    first = fingerprint_of(tracked_study(_study(tmp_path / "study")))
    assert fingerprint_of(tracked_study(tmp_path / "study")) == first
    cell = tmp_path / "study/cells/manual-nNone-f1/run-0"
    (cell / "history.csv").write_text("epoch,loss\n1,1.5\n")
    assert fingerprint_of(tracked_study(tmp_path / "study")) != first


@pytest.mark.parametrize("export", [None, "{}", "no JSON", json.dumps({"weights_sha256": "v" * 64})])
def test_a_model_that_does_not_hold_the_weights_of_the_run_is_not_logged(run, tmp_path, export):
    model = tmp_path / "saved_models/grade/1"
    assert model in tracked_run(run).files
    file = model / ASSETS / EXPORT
    file.unlink() if export is None else file.write_text(export)
    assert {path.name for path in tracked_run(run).files} == {"card.html", "history.csv"}


@needs_mlflow
def test_a_card_with_images_of_records_is_left_out_beside_the_run_and_in_the_model(run, tmp_path):
    card = page("Card", "A card.", [Section("s", "S", (Pictures((Picture("data:x", "", ""),)),))], {})
    (run / "card.html").write_text(card)
    (tmp_path / "saved_models/grade/1" / ASSETS / "card.html").write_text(card)
    store = tmp_path / "mlruns"
    assert track(["--run", str(run), "--to", f"mlflow:{store}"]) == 0
    (logged,) = runs_in(store, "grade")
    assert files_below(client_of(store), logged.info.run_id) == {
        "history.csv", "model/assets.extra/export.json", "model/saved_model.pb",
        "model/variables/variables.index",
    }


def test_what_stays_beside_the_run_names_a_tracker_without_its_password(tmp_path, monkeypatch):
    from mri_tf.track import mlflow_store, noted, tracked

    made = tracked.Tracked("grade", "run", {}, {}, [])
    monkeypatch.setattr(tracked, "tracked_run", lambda folder: made)
    monkeypatch.setattr(mlflow_store, "log_to_mlflow", lambda *_: "abc")
    assert track(["--run", str(tmp_path), "--to", "mlflow:https://me:secret@host/path"]) == 0
    assert "secret" not in (tmp_path / noted.TRACKED).read_text()


def _study(folder: Path, train_sizes: tuple[int | None, ...] = (None,)) -> Path:
    """A made-up study of two folds, with the accuracy 0.75 in every cell."""
    for size in train_sizes:
        for fold in range(2):
            cell = folder / "cells" / f"manual-n{size}-f{fold}"
            _finished(cell / "run-0")
            row = {"status": "done", "variant": "manual", "repeat": 0, "fold": fold, "train_size": size,
                   "n_test": 10, "n_train": 40}  # fmt: skip
            (cell / "row.json").write_text(json.dumps({"row": row, "run": "run-0"}))
    return folder


@needs_mlflow
def test_a_study_is_logged_with_its_cells_inside(tmp_path):
    study, store = _study(tmp_path / "study"), tmp_path / "mlruns"
    rows = [{"variant": "manual", "train_size": None, "numbers": {"auc": INTERVAL, "note": ""}}]
    (study / "numbers.json").write_text(json.dumps(rows))
    (study / "card.html").write_text("<html>of the study</html>")
    assert track(["--study", str(study), "--to", f"mlflow:{store}"]) == 0
    by_name = {one.info.run_name: one for one in runs_in(store, "grade")}
    assert set(by_name) == {"study", "manual-nNone-f0", "manual-nNone-f1"}
    whole, cell = by_name["study"], by_name["manual-nNone-f1"]
    assert whole.data.metrics["manual.auc"] == 0.75 and whole.data.params["cells_done"] == "2"
    assert cell.data.tags["mlflow.parentRunId"] == whole.info.run_id
    assert cell.data.params["fold"] == "1" and cell.data.metrics["accuracy"] == 0.75


def test_numbers_of_a_study_are_of_each_variant_and_training_size(tmp_path):
    study = _study(tmp_path / "study")
    numbers = [
        ("manual", None, 0.75), ("manual", 20.0, 0.5), ("scratch", 20.0, 0.25),
    ]  # fmt: skip
    (study / "numbers.json").write_text(json.dumps([
        {"variant": variant, "train_size": size, "numbers": {"auc": INTERVAL | {"value": value}}}
        for variant, size, value in numbers
    ]))  # fmt: skip
    metrics = tracked_study(study).metrics
    assert metrics["manual.auc"] == 0.75 and metrics["manual.auc.low"] == 0.6
    assert metrics["manual.20.auc"] == 0.5 and metrics["scratch.20.auc"] == 0.25
    assert not any(name.startswith("mean.") for name in metrics)


def test_means_over_cells_are_of_one_variant_and_size_and_only_without_numbers_of_the_study(tmp_path):
    study = _study(tmp_path / "study", (None, 20))
    cell = study / "cells/manual-n20-f0/run-0" / METRICS
    cell.write_text(json.dumps(NUMBERS | {"accuracy": INTERVAL | {"value": 0.25}}))
    metrics = tracked_study(study).metrics
    assert metrics["mean.manual.accuracy"] == 0.75 and metrics["mean.manual.20.accuracy"] == 0.5
    assert "mean.accuracy" not in metrics and "mean.manual.accuracy.low" not in metrics


@needs_mlflow
@pytest.mark.parametrize("place", ["a server that is not there", "a file in the way"])
def test_a_tracker_that_fails_is_one_warning_without_a_secret(run, tmp_path, capsys, place, monkeypatch):
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    if place == "a file in the way":
        (tmp_path / "mlruns").write_text("no store")
        uri = f"file:{tmp_path / 'mlruns'}"
    else:
        with socket.socket() as unused:
            unused.bind(("127.0.0.1", 0))
            uri = f"http://me:secret@127.0.0.1:{unused.getsockname()[1]}"
    destination.track_finished(uri, "run", run)
    printed = capsys.readouterr()
    lines = [line for line in printed.err.splitlines() if line]
    assert len(lines) == 1 and lines[0].startswith("warning: not tracked: mlflow:")
    assert "python -m mri_tf.track --run" in lines[0] and "secret" not in printed.err + printed.out


def test_a_tracker_that_does_not_answer_is_given_up(run, tmp_path, capsys):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        start = time.monotonic()
        destination.track_finished(
            f"http://127.0.0.1:{silent.getsockname()[1]}", "run", run, most_seconds=1.0
        )
    assert time.monotonic() - start < 30
    assert "warning: not tracked: TimeoutExpired" in capsys.readouterr().err


def test_without_the_flag_no_process_is_started(run, monkeypatch):
    monkeypatch.setattr(destination.subprocess, "run", None)
    destination.track_finished("", "run", run)


def test_a_destination_of_another_form_and_a_missing_package_are_refused_before_training(
    monkeypatch, capsys
):
    from mri_tf.study.__main__ import main as study
    from mri_tf.train.__main__ import main as train

    flags = ["--task", "cardiac_levels", "--track"]
    assert "must be mlflow:URI" in error_line(capsys, train, *flags, "http://a")
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert "mri_tf[track]" in error_line(capsys, train, *flags, "mlflow:http://a")
    more = ["--task", "cardiac_levels", "--data", "x", "--out", "studies/x", "--track", "mlflow:a"]
    assert "mri_tf[track]" in error_line(capsys, study, *more)


def test_an_unfinished_run_and_a_folder_of_neither_are_refused(run, tmp_path, capsys):
    values = json.loads((run / "run.json").read_text())
    (run / "run.json").write_text(json.dumps({**values, "state": "running"}))
    to = ("--to", "mlflow:x")
    assert "is not finished" in error_line(capsys, track, "--run", run, *to)
    assert "holds no study" in error_line(capsys, track, "--study", tmp_path, *to)
    assert "holds no search" in error_line(capsys, track, "--search", tmp_path, *to)
    assert "one of --run, --study and --search" in error_line(capsys, track, *to)


@pytest.mark.slow
@needs_mlflow
def test_a_training_and_a_study_with_a_tracker_end_as_without_and_are_logged(tmp_path, capsys):
    from one_run import QUICK, RUN, trained_once

    from mri_tf.study.__main__ import main as study
    from mri_tf.train.__main__ import main as train

    with chdir(trained_once(tmp_path)):
        again = [*QUICK, "--out", str(RUN)]
        with socket.socket() as unused:
            unused.bind(("127.0.0.1", 0))
            dead = f"mlflow:http://127.0.0.1:{unused.getsockname()[1]}"
        assert run_command(train, [*again, "--track", dead]) == 0
        assert "warning: not tracked" in capsys.readouterr().err
        assert run_command(train, [*again, "--track", "mlflow:mlruns"]) == 0
        (logged,) = runs_in(Path("mlruns"), "thirds")
        assert logged.data.metrics["accuracy"] > 0 and logged.data.params["seed"] == "0"
        flags = ["--task", "thirds.py", "--data", "data/thirds", "--out", "study", "--folds", "2",
                 "--variants", "scratch", "--set", "epochs=1", "--track", "mlflow:mlruns"]  # fmt: skip
        assert run_command(study, flags) == 0
        assert len(runs_in(Path("mlruns"), "thirds")) == 4
        patients = {f"sax-{number:03d}" for number in range(1, 12)}
        for path in Path("mlruns").rglob("*"):
            if path.is_file():
                text = path.read_bytes()
                assert not any(name.encode() in text for name in patients), path


def test_help_answers_without_the_tracker():
    done = subprocess.run(
        [sys.executable, "-m", "mri_tf.track", "--help"], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0 and "mlflow:URI" in done.stdout
