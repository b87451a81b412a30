"""A search: trials on the inner validation side alone, continued after a kill, failures recorded."""

import csv
import errno
import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from data_prep.prepare.prepare import prepare
from mri_tf.core.errors import InputError, RunFailed
from mri_tf.network.build import check_task
from mri_tf.pipeline.subset import Subset
from mri_tf.splits.sides import SplitOptions, choose_sides
from mri_tf.task.files import FOLDER as TASKS
from mri_tf.task.files import load_task, resolve_task, task_names
from mri_tf.task.overrides import with_values
from mri_tf.train.__main__ import _parser as _train_parser
from tuning import trials
from tuning.search import main as search
from tuning.spaces import space_names, space_of
from tuning.tuner import make_oracle, recorded_reason, trial_values

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(autouse=True)
def same_code(monkeypatch):
    """Sources may change while the tests run."""
    monkeypatch.setattr("tuning.code_version.code_version", lambda: "fixed")


@pytest.fixture(scope="module")
def scratch(small, tmp_path_factory) -> dict:
    """The thirds' task without features, its prepared set, and flags of a short search."""
    home = tmp_path_factory.mktemp("tuning")
    file = small["levels"]
    task = with_values(load_task(file), load_task(file).variants["scratch"])
    prepared, _ = prepare(task, file, small["raw"], home / "thirds")
    flags = ["--task", str(file), "--variant", "scratch", "--data", str(prepared.folder),
             "--set", "epochs=1"]  # fmt: skip
    return {"task": task, "prepared": prepared, "flags": flags, "home": home}


def _search(scratch, out, tuner="random", trials=3, more=()) -> int:
    flags = ["--tuner", tuner, "--trials", str(trials), "--out", str(out)]
    return search([*scratch["flags"], *more, *flags])


def _rows(out: Path) -> list[dict]:
    (table,) = out.glob("*/trials.csv")
    with table.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def searched(scratch) -> Path:
    out = scratch["home"] / "random"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tuning.code_version.code_version", lambda: "fixed")
        assert _search(scratch, out) == 0
    return out


def test_the_best_trial_has_the_lowest_validation_log_loss(searched):
    rows = _rows(searched)
    (best,) = searched.glob("*/best.json")
    best = json.loads(best.read_text())
    assert len(rows) == 3 and {row["status"] for row in rows} == {"completed"}
    assert best["validation_log_loss"] == min(float(row["validation_log_loss"]) for row in rows)


def test_a_finished_search_trains_nothing_and_prints_the_same(scratch, searched, monkeypatch, capsys):
    monkeypatch.setattr("tuning.tuner.score_trial", None)  # a trial would fail
    before = _rows(searched)
    assert _search(scratch, searched) == 0
    assert _rows(searched) == before
    output = capsys.readouterr().out
    assert "tuned={'learning_rate':" in output
    (line,) = [line for line in output.splitlines() if line.startswith("python -m mri_tf.train ")]
    flags = _train_parser().parse_args(shlex.split(line)[3:])
    assert flags.data == scratch["prepared"].folder and flags.out.name == "tuned-s0"
    task = resolve_task(load_task(Path(flags.task)), flags.variant.split(","), flags.set)
    (best,) = searched.glob("*/best.json")
    values = json.loads(best.read_text())["values"]
    assert task.learning_rate == values["learning_rate"] and task.epochs == 1  # as it was searched
    assert task.model == "vgg" and set(values) <= {pair.partition("=")[0] for pair in flags.set}


def test_trials_of_other_values_or_code_are_not_reused(scratch, searched, monkeypatch, capsys):
    def stop(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("tuning.tuner.score_trial", stop)
    for change in ("values", "code"):
        if change == "code":
            monkeypatch.setattr("tuning.code_version.code_version", lambda: "newer")
        more = ["batch_size=8"] if change == "values" else []
        with pytest.raises(KeyboardInterrupt):
            _search(scratch, searched, more=more)
        assert "not used" in capsys.readouterr().out


def test_trials_never_get_a_test_patient(scratch):
    task, prepared = scratch["task"], scratch["prepared"]
    outer = choose_sides(prepared, task, SplitOptions("patient", None, None, 0))
    held_out = set(prepared.patients[outer.records[2]])
    for folds in (1, 3):
        inner = trials.inner_sides(prepared, task, outer, folds, seed=0)
        assert len(inner) == folds
        for sides in inner:
            train, validation, test = (set(prepared.patients[part]) for part in sides.records)
            assert not (train | validation) & held_out and not test
            assert not train & validation
        if folds > 1:
            tested = np.concatenate([sides.records[1] for sides in inner])
            assert sorted(tested) == sorted(np.concatenate(outer.records[:2]))


def test_every_patient_weighs_the_same_in_the_objective(scratch, monkeypatch):
    prepared = scratch["prepared"]
    first, second = (np.flatnonzero(prepared.patients == f"sax-00{n}") for n in (1, 2))
    records = np.concatenate([first, second[:1]])
    outputs = np.full((len(records), 3), 0.1)
    outputs[np.arange(len(records)), prepared.labels[records]] = 0.8
    outputs[-1] = 0.2
    outputs[-1, prepared.labels[records[-1]]] = 0.6

    calibrator = SimpleNamespace(probabilities=lambda outputs: outputs)
    run = SimpleNamespace(values={"answers": None})
    validation = Subset(scratch["task"], prepared, records)
    monkeypatch.setattr(trials, "run_sides", lambda run, prepared: [None, validation, None])
    monkeypatch.setattr(trials, "load_network", lambda run: None)
    monkeypatch.setattr(trials, "predict_records", lambda *_: outputs)
    monkeypatch.setattr(trials, "calibrator_from_json", lambda values: calibrator)
    expected = -(np.log(0.8) + np.log(0.6)) / 2
    assert trials.validation_log_loss(run, prepared) == pytest.approx(expected)


def test_a_trial_that_fails_is_recorded_with_its_reason_and_the_search_goes_on(
    scratch, tmp_path, monkeypatch
):
    calls = []

    def fail_second(problem, values, folder):
        calls.append(values)
        if len(calls) == 2:
            raise RunFailed("The loss became NaN or infinite at epoch 1.", "Lower the learning rate.")
        return 1.0 / len(calls)

    monkeypatch.setattr("tuning.tuner.score_trial", fail_second)
    assert _search(scratch, tmp_path / "out", "bayesian") == 0
    rows = _rows(tmp_path / "out")
    assert [row["status"] for row in rows] == ["completed", "failed", "completed"]
    assert rows[1]["reason"].startswith("The loss became NaN or infinite at epoch 1.")


def test_three_failures_in_a_row_end_the_search_with_their_reasons(scratch, tmp_path, monkeypatch):
    def fail(*_):
        raise MemoryError

    monkeypatch.setattr("tuning.tuner.score_trial", fail)
    with pytest.raises(RunFailed, match="trial"):
        _search(scratch, tmp_path / "out", trials=9)
    rows = _rows(tmp_path / "out")
    assert len(rows) == 3 and {row["reason"] for row in rows} == {"MemoryError"}


def test_a_full_disk_ends_the_search_and_its_trial_is_run_again(scratch, tmp_path, monkeypatch):
    calls = []

    def score(problem, values, folder):
        calls.append(values)
        if len(calls) == 2:
            raise OSError(errno.ENOSPC, "No space left on device")
        return 1.0 / len(calls)

    monkeypatch.setattr("tuning.tuner.score_trial", score)
    with pytest.raises(RunFailed, match="The disk is full"):
        _search(scratch, tmp_path / "out")
    assert len(calls) == 2
    assert _search(scratch, tmp_path / "out") == 0
    rows = _rows(tmp_path / "out")
    assert [row["status"] for row in rows] == ["completed"] * 3 and calls[1] == calls[2]


@pytest.mark.parametrize("file", ["oracle.json", "trial_0/trial.json"])
def test_damaged_files_of_a_search_are_refused_with_what_to_remove(scratch, tmp_path, monkeypatch, file):
    monkeypatch.setattr("tuning.tuner.score_trial", lambda *_: 1.0)
    assert _search(scratch, tmp_path / "out", trials=2) == 0
    (path,) = (tmp_path / "out").glob(f"*/oracle/{file}")
    path.write_text(path.read_text()[:40])
    with pytest.raises(InputError, match="Remove it"):
        _search(scratch, tmp_path / "out", trials=2)


def test_the_epochs_of_hyperband_become_the_task_s_and_its_other_values_are_dropped():
    values = {"learning_rate": 1e-3, "tuner/epochs": 4, "tuner/bracket": 2, "tuner/initial_epoch": 0}
    assert trial_values(values) == {"learning_rate": 1e-3, "epochs": 4}


def test_hyperband_runs_at_most_the_stated_number_of_trials(scratch, tmp_path, monkeypatch):
    epochs = []

    def score(problem, values, folder):
        epochs.append(values["epochs"])
        return 1.0

    monkeypatch.setattr("tuning.tuner.score_trial", score)
    nine = {"flags": [*scratch["flags"][:-1], "epochs=9"]}
    assert _search(nine, tmp_path / "out", "hyperband", trials=5) == 0
    assert len(epochs) == 5 and max(epochs) <= 9


def test_a_seed_of_zero_repeats(scratch):
    space = space_of(scratch["task"])
    first, second = (make_oracle("random", space, 4, 3, seed=0) for _ in range(2))
    assert first.seed == second.seed == 1


def _classifiers() -> dict:
    """Model -> a built-in task, or a variant of one, that uses it."""
    tasks = {}
    for name in task_names():
        base = load_task(TASKS / f"{name}.py")
        for values in ({}, *base.variants.values()):
            task = with_values(base, values)
            if task.kind == "classification":
                tasks[task.model] = task
    return tasks


@pytest.mark.parametrize("model", sorted(_classifiers()))
def test_every_classifier_has_a_space_of_arguments_it_takes(model):
    task = _classifiers()[model]
    if "weights" in task.model_args:  # of ImageNet: not on this machine
        task = with_values(task, {"model_args.weights": "none"})
    assert model in space_names()
    check_task(replace(with_values(task, space_of(task).values), variants={}))


def test_inner_folds_are_refused_where_another_network_gives_the_features(small, scratch, capsys):
    flags = ["--task", str(small["levels"]), "--data", str(scratch["prepared"].folder)]
    with pytest.raises(InputError, match="features would be trained on patients who score the trials"):
        search([*flags, "--tuner", "random", "--trials", "1", "--inner-folds", "2"])


def test_a_model_without_a_space_is_refused_in_one_line(scratch):
    with pytest.raises(InputError, match="write one called mnet"):
        space_of(with_values(scratch["task"], {"model": "mnet"}))


def test_the_reason_is_taken_from_the_traceback_that_keras_tuner_stores():
    message = "Traceback ...\nkeras_tuner.src.errors.FailedTrialError: A rule.\n"
    assert recorded_reason(message) == "A rule." and recorded_reason(None) == ""


def _start(scratch, out, *more):
    command = [sys.executable, "-m", "tuning.search", *scratch["flags"], "--out", str(out), *more]
    return subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        start_new_session=True,
    )  # fmt: skip


def _wait_for(condition, seconds=120):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "nothing happened"
        time.sleep(0.1)


@pytest.mark.slow
def test_a_search_killed_in_a_trial_continues_it(scratch, tmp_path):
    out = tmp_path / "out"
    flags = ("--tuner", "random", "--trials", "3", "--set", "epochs=40")
    process = _start(scratch, out, *flags)
    _wait_for(lambda: len(list(out.glob("*/trials/*/score.json"))) == 1)
    _wait_for(lambda: len(list(out.glob("*/trials/*/fold-0/run.json"))) == 2)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    begun = {path.parent.parent.name for path in out.glob("*/trials/*/fold-0/run.json")}
    again = _start(scratch, out, *flags)
    output, _ = again.communicate(timeout=300)
    assert again.returncode == 0, output
    rows = _rows(out)
    assert len(rows) == 3 and begun <= {row["trial"] for row in rows}
    assert {row["status"] for row in rows} == {"completed"}


@pytest.mark.slow
def test_a_killed_worker_comes_back_under_its_name_and_finishes_its_trial(scratch, tmp_path):
    out = tmp_path / "out"
    more = ("--tuner", "random", "--trials", "4", "--workers", "2", "--set", "epochs=30")
    process = _start(scratch, out, *more)
    _wait_for(lambda: len(list(out.glob("*/trials/*/fold-0/run.json"))) >= 2)
    children = subprocess.run(
        ["pgrep", "-P", str(process.pid)], capture_output=True, text=True
    ).stdout.split()
    os.kill(int(children[0]), signal.SIGKILL)
    output, _ = process.communicate(timeout=400)
    assert process.returncode == 0, output
    rows = _rows(out)
    assert len(rows) == 4 and {row["status"] for row in rows} == {"completed"}


def test_the_code_that_a_score_depends_on_is_part_of_its_fingerprint():
    from tuning.code_version import ROOMS, ROOT

    for room in ROOMS:
        assert any((ROOT / room).glob("*.py")), f"mri_tf/{room} was moved or removed"
    for file in ("probe", "loop"):  # which fit the weights
        used = re.findall(r"from mri_tf\.(\w+)", (ROOT / "train" / f"{file}.py").read_text("utf-8"))
        assert set(used) <= set(ROOMS), file
