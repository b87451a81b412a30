"""train --lock-test as a user runs it: nothing of the test side is shown until evaluate opens it."""

import json
import shutil
from contextlib import chdir
from pathlib import Path

import pandas as pd
import pytest
from refused import error_line
from small import write_small
from trainings import stopped_at

from data_prep.write import main as write
from mri_tf.core.command_line import run_command
from mri_tf.evaluate import evaluation
from mri_tf.evaluate.__main__ import main as evaluate
from mri_tf.explain.__main__ import main as explain
from mri_tf.export.__main__ import main as export
from mri_tf.runs.__main__ import main as runs
from mri_tf.store.prepared import Prepared
from mri_tf.store.run import METRICS, PREDICTIONS, REPORT, open_finished, open_run
from mri_tf.train import fit
from mri_tf.train.__main__ import main as train

RUN = Path("runs/thirds/manual-s0")
FROM_RAW = ("--task", "thirds.py", "--raw", "raw", "--set", "epochs=1", "features.epochs=1")
SCRATCH = ("--task", "thirds.py", "--data", "data/thirds", "--variant", "scratch", "--no-export",
           "--set", "epochs=2")  # fmt: skip
CARD = "assets.extra/model_card.md"


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A working folder in which `train --lock-test` ran once; `reads.json` are the records read since
    the first network was trained, of the classifier's set."""
    folder = write_small(tmp_path_factory.mktemp("locked"))
    reads, fit_run, read_one = set(), fit.fit_run, Prepared._read_one

    with chdir(folder), pytest.MonkeyPatch.context() as patch:

        def logging_fit(*arguments, **options):
            def logged(self, record):
                reads.add((self.folder.name, str(self.record_ids[record])))
                return read_one(self, record)

            patch.setattr(Prepared, "_read_one", logged)
            return fit_run(*arguments, **options)

        patch.setattr("mri_tf.train.fit.fit_run", logging_fit)
        patch.setattr("mri_tf.train.pretrain.fit_run", logging_fit)
        assert run_command(train, [*FROM_RAW, "--lock-test"]) == 0
    (folder / "reads.json").write_text(json.dumps(sorted(reads)))
    return folder


@pytest.fixture
def closed(inside, tmp_path) -> Path:
    """A copy of the run that nobody has looked at, with a path to its data."""
    copy = shutil.copytree(RUN, tmp_path / "runs" / "closed")
    open_run(copy).save(data_folder=str(Path("data/thirds").resolve()))
    return copy


def _json(path: Path) -> dict:
    return json.loads(path.read_text(encoding="utf-8"))


def _runs(command, *arguments) -> None:
    assert run_command(command, [str(argument) for argument in arguments]) == 0


def test_no_number_prediction_or_figure_of_the_test_side_is_written(inside):
    for folder in (RUN, RUN / "features"):
        names = {path.name for path in folder.iterdir()}
        assert not names & {METRICS, PREDICTIONS, REPORT} and not list(folder.glob("*.png"))
        assert open_finished(folder).values["test_lock"]
    assert "test_looks" not in _json(RUN / "run.json")


def test_training_and_export_read_no_record_of_the_test_side(inside):
    reads = {name for folder, name in _json(Path("reads.json")) if folder == "thirds"}
    sides = _json(RUN / "run.json")["sides"]
    assert set(sides["train"]) | set(sides["validation"]) <= reads
    assert not set(sides["test"]) & reads
    held_out = {name for name in _json(RUN / "features/run.json")["sides"]["test"]}
    assert held_out and not held_out & {name for folder, name in _json(Path("reads.json"))
                                        if folder == "pools"}  # fmt: skip


def test_the_same_command_again_is_finished_and_leaves_the_side_closed(inside, capsys):
    _runs(train, *FROM_RAW, "--lock-test")
    lines = capsys.readouterr().out.strip().splitlines()
    assert any("already finished" in line for line in lines)
    assert "(2 patients, 12 records) is locked and nobody has looked at it" in lines[-2]
    assert lines[-1].endswith(f"python -m mri_tf.evaluate --run {RUN}")
    assert not (RUN / METRICS).exists()


def test_the_command_without_the_lock_is_refused(inside, capsys):
    line = error_line(capsys, train, *FROM_RAW)
    assert "without --lock-test" in line and f"evaluate --run {RUN}" in line
    assert not (RUN / METRICS).exists() and not (RUN / "features" / METRICS).exists()


def test_while_it_is_locked_nothing_else_shows_the_test_side(inside, closed, capsys, tmp_path):
    assert "locked" in error_line(capsys, explain, "--run", closed, "--out", tmp_path / "maps")
    assert not (tmp_path / "maps").exists()
    assert "no predictions to compare" in error_line(capsys, runs, "--compare", closed, RUN)
    _runs(runs, closed.parent)
    assert "test side locked" in capsys.readouterr().out
    card = Path("saved_models/thirds/1", CARD).read_text(encoding="utf-8")
    assert "None yet: the test side (2 patients, 12 records) was locked" in card


def test_other_data_with_its_patients_are_refused_until_it_is_open(inside, closed, capsys, tmp_path):
    raw = shutil.copytree("raw", tmp_path / "raw")
    table = pd.read_csv(raw / "manifest.csv")
    test = _json(RUN / "run.json")["patients"]["test"]
    some = table[table["patient_id"].isin(test)].copy()
    some["patient_id"] = "new-" + some["patient_id"]
    some.to_csv(raw / "manifest.csv", index=False)
    other = tmp_path / "other"
    _runs(write, "--task", "thirds.py", "--raw", raw, "--out", other)
    flags = ("--run", closed, "--data", other)
    assert "hold images of its patients" in error_line(capsys, evaluate, *flags)
    assert not (closed / "evaluations").exists() and "test_looks" not in _json(closed / "run.json")
    _runs(evaluate, "--run", closed)
    _runs(evaluate, *flags)
    (file,) = closed.glob(f"evaluations/other-*/{METRICS}")
    assert _json(file)["test_looks"]["look"] == 2


def test_every_look_is_counted_and_said(inside, closed, capsys, tmp_path):
    _runs(evaluate, "--run", closed)
    said = capsys.readouterr().out
    sentence = "The test side was locked before training ended and opened once: this is look 1"
    assert sentence in said and "python -m mri_tf.export" in said
    assert sentence in (closed / REPORT).read_text(encoding="utf-8").splitlines()[1]
    first = _json(closed / METRICS)["test_looks"]
    assert first["locked"] and first["look"] == 1 and len(first["lock"]) == 64
    _runs(evaluate, "--run", closed, "--prior", "0.2,0.3,0.5", "--out", tmp_path / "prior")
    assert _json(tmp_path / "prior" / METRICS)["test_looks"] == {**first, "look": 2}
    capsys.readouterr()
    _runs(explain, "--run", closed, "--out", tmp_path / "maps")
    assert "This is look 3 of this run at its test side" in capsys.readouterr().out
    _runs(export, "--run", closed, "--out", tmp_path / "models")
    card = (tmp_path / "models/thirds/1" / CARD).read_text(encoding="utf-8")
    limits = card.partition("## Limits")[2]
    assert f"- {sentence}" in limits and "- The test side has been looked at 3 times." in limits


def test_an_evaluation_that_is_killed_counts_from_the_moment_it_could_show_anything(
    inside, closed, monkeypatch
):
    def stop(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(evaluation, "score_classifier", stop)
        assert run_command(evaluate, ["--run", str(closed)]) == 130
    assert "test_looks" not in _json(closed / "run.json")
    with monkeypatch.context() as patch:
        patch.setattr(evaluation, "write_classifier", stop)
        assert run_command(evaluate, ["--run", str(closed)]) == 130
    assert _json(closed / "run.json")["test_looks"] == 1 and not (closed / METRICS).exists()
    _runs(evaluate, "--run", closed)
    assert _json(closed / METRICS)["test_looks"]["look"] == 2


def test_another_operating_point_and_other_data_are_refused_before_the_first_look(
    inside, closed, capsys, tmp_path
):
    run = open_run(closed)
    answers = json.loads(json.dumps(run.values["answers"]))
    answers["point"]["class_factors"][0] += 0.1
    run.save(answers=answers)
    assert "changed: operating point." in error_line(capsys, evaluate, "--run", closed)
    run.save()
    data = shutil.copytree("data/thirds", tmp_path / "data")
    manifest = _json(data / "manifest.json")
    test = manifest["index"]["record_id"].index(run.sides["test"][0])
    manifest["index"]["label"][test] = (manifest["index"]["label"][test] + 1) % 3
    (data / "manifest.json").write_text(json.dumps(manifest))
    run.save(data_folder=str(data))
    assert "trained on another prepared set" in error_line(capsys, evaluate, "--run", closed)
    open_run(closed).save(data=Prepared.open(data).content_fingerprint())
    assert "changed: data." in error_line(capsys, evaluate, "--run", closed)
    assert not (closed / METRICS).exists() and "test_looks" not in _json(closed / "run.json")


def test_an_interrupted_training_stays_locked_or_is_locked_when_it_goes_on(inside, capsys):
    for name, first in (("stays", ("--lock-test",)), ("joins", ())):
        out = ("--out", f"runs/{name}")
        with stopped_at(epoch=1, step=0):
            train([*SCRATCH, *out, *first])
        if first:
            assert "without --lock-test" in error_line(capsys, train, *SCRATCH, *out)
        _runs(train, *SCRATCH, *out, "--lock-test")
        assert open_finished(Path("runs", name)).values["test_lock"]["result"]
        assert not Path("runs", name, METRICS).exists()
        assert "is locked and nobody has looked at it" in capsys.readouterr().out


def test_an_ordinary_run_is_looked_at_by_training_once_and_cannot_be_locked_after(inside, capsys):
    out = Path("runs/ordinary")
    flags = (*SCRATCH, "--out", out)
    _runs(train, *flags)
    assert "This is look 1 of this run at its test side, which was not locked" in capsys.readouterr().out
    _runs(train, *flags)
    assert "already finished" in capsys.readouterr().out
    values = _json(out / "run.json")
    assert values["test_looks"] == 1 and "test_lock" not in values
    assert "has been seen" in error_line(capsys, train, *flags, "--lock-test")
    _runs(evaluate, "--run", out, "--out", "numbers")
    assert _json(Path("numbers", METRICS))["test_looks"]["look"] == 2
