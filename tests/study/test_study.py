"""The study command as a user runs it: rows, report, figures, and what is refused."""

import json
import shutil
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from fake_train import FakeTrain
from PIL import Image
from refused import error_line
from small import write_raw, write_task_files
from studied import COMMON, SET, STUDY, rows_of, run_study

from mri_tf.core import subprocesses as processes
from mri_tf.core.command_line import run_command
from mri_tf.study.__main__ import main as study

CONTRACT = {"task", "variant", "fold", "repeat", "seed", "train_size", "n_train", "n_test", "seconds",
            "status", "reason", "accuracy", "balanced_accuracy", "kappa", "f1_macro", "auc", "f1_basal",
            "f1_mid", "f1_apical", "majority_accuracy"}  # fmt: skip


@pytest.fixture
def no_training(monkeypatch):
    """Fails the test if anything starts a process."""
    def refuse(*arguments, **settings):
        raise AssertionError("a process was started")

    monkeypatch.setattr(processes.subprocess, "Popen", refuse)


def test_a_study_has_one_row_a_cell_with_the_columns_of_the_contract(inside):
    table = rows_of(STUDY)
    assert set(table.columns) >= CONTRACT
    places = [(variant, fold) for fold in range(2) for variant in ("manual", "scratch")]
    assert list(zip(table["variant"], table["fold"], strict=True)) == places
    assert set(table["task"]) == {"thirds"} and set(table["repeat"]) == {0} and set(table["seed"]) == {3}
    assert table["train_size"].isna().all()
    assert (table["n_train"] > 0).all() and (table["n_test"] == 30).all()
    assert (table["seconds"] > 0).all() and (table["status"] == "done").all()
    assert (table["reason"] == "").all() and (table["epochs"] == 2).all()
    assert table[["accuracy", "kappa", "f1_macro", "auc"]].notna().all(axis=None)


def test_baselines_stand_beside_the_variants_in_the_report_and_not_in_the_results(inside):
    values = json.loads((STUDY / "baselines.json").read_text())
    assert [one["variant"] for one in values] == ["manual", "scratch"]
    thumbnails = [next(one for one in of["baselines"] if one["name"] == "thumbnail") for of in values]
    assert thumbnails[0]["numbers"] == thumbnails[1]["numbers"]  # of the same splits
    assert thumbnails[0]["difference"] != thumbnails[1]["difference"]
    page = (STUDY / "report.md").read_text()
    assert "| baseline: thumbnail" in page and "## Baselines: scratch" in page
    assert "## What the image adds: manual" in page
    assert set(rows_of(STUDY)["variant"]) == {"manual", "scratch"}


def test_the_card_of_a_study_has_its_variants_beside_each_other(inside):
    card = (STUDY / "card.html").read_text()
    rows = json.loads((STUDY / "numbers.json").read_text())
    assert [row["variant"] for row in rows] == ["manual", "scratch"]
    for row in rows:
        auc = row["numbers"]["auc"]
        assert f"{row['variant']}: AUC {auc['value']:.3f}" in card
    assert "Paired differences" in card and "2 variants" in card
    assert "thumbnail" in card and "Other baselines" not in card
    patients = pd.read_csv("raw/manifest.csv", dtype=str)["patient_id"]
    assert not any(name in card for name in patients)


@pytest.mark.slow
def test_a_cell_that_fails_is_recorded_with_its_reason_and_the_rest_goes_on(inside, tmp_path):
    fast = "scratch,λ too/fast"  # the loss diverges at its learning rate; the name is unusual
    file = write_task_files(tmp_path)
    text = file.read_text(encoding="utf-8").replace(
        "variants=dict(scratch=", "variants={'λ too/fast': dict(learning_rate=1e30), 'scratch': "
    )
    file.write_text(text.replace(")),\n)", ")},\n)"), encoding="utf-8")
    arguments = ("--task", file, "--data", "data/thirds", "--out", "fails", *SET)
    assert run_study(*arguments, "--variants", f"scratch;{fast}") == 1
    failed, done = rows_of(Path("fails"), fast), rows_of(Path("fails"), "scratch")
    assert list(failed["status"]) == ["failed"] * 2 and list(done["status"]) == ["done"] * 2
    assert failed["reason"].str.startswith("The loss became NaN or infinite at epoch").all()
    report = Path("fails/report.md").read_text(encoding="utf-8")
    assert f"2 cells of 4 failed, left out of the means: {fast}, all samples: " in report
    assert f"({failed['reason'][0]})" in report


def test_a_row_says_what_metrics_and_predictions_of_its_run_say(inside):
    for cell in rows_of(STUDY).query("status == 'done'").to_dict("records"):
        run = STUDY / "cells" / cell["cell"] / "s3"
        metrics = json.loads((run / "metrics.json").read_text())
        predictions = pd.read_parquet(run / "predictions.parquet")
        assert cell["accuracy"] == metrics["accuracy"]["value"]
        assert np.isclose(cell["accuracy"], (predictions["truth"] == predictions["predicted"]).mean())
        assert cell["f1_mid"] == metrics["per_class"]["mid"]["f1"]["value"]


def test_variants_are_counted_on_identical_records_and_everybody_once(inside):
    tested = {}
    for variant in ("manual", "scratch"):
        for fold in range(2):
            run = STUDY / "cells" / f"{variant}-r0-f{fold}" / "s3"
            tested[variant, fold] = json.loads((run / "run.json").read_text())
            predictions = pd.read_parquet(run / "predictions.parquet")
            assert list(predictions["record_id"]) == tested[variant, fold]["sides"]["test"]
    for fold in range(2):
        assert tested["manual", fold]["sides"] == tested["scratch", fold]["sides"]
    patients = [name for fold in range(2) for name in tested["scratch", fold]["patients"]["test"]]
    assert len(patients) == len(set(patients)) == 10


def test_pre_training_of_a_fold_saw_nobody_it_holds_out(inside):
    pre_trainings = {}
    for path in (STUDY / "features").glob("*/s3/run.json"):
        seen = json.loads(path.read_text())
        pre_trainings[path.parent.name, path.parent.parent.name] = seen["seen"]["patients"]
        assert seen["task"]["epochs"] == 1
    assert len(pre_trainings) == 2
    for fold in range(2):
        values = json.loads((STUDY / "cells" / f"manual-r0-f{fold}" / "split.json").read_text())
        held_out = set(values["validation"]) | set(values["test"])
        unseen = [seen for seen in pre_trainings.values() if not held_out & set(seen)]
        assert len(unseen) == 1 and unseen[0]


def test_report_and_figures_are_there(inside):
    report = (STUDY / "report.md").read_text(encoding="utf-8")
    for heading in ("Scores", "Paired differences", "Classes: manual", "Classes: scratch", "Epochs"):
        assert f"## {heading}\n" in report
    assert "majority class" in report and "manual - scratch" in report
    names = {path.name for path in (STUDY / "figures").iterdir()}
    stems = ("paired", "roc", "confusion-manual", "confusion-scratch")
    assert names == {f"{stem}.{suffix}" for stem in stems for suffix in ("png", "svg")}
    assert (STUDY / "differences.parquet").is_file()
    assert not list(STUDY.rglob("*.tmp"))


def test_nothing_a_reader_is_shown_names_a_patient_or_a_path(inside):
    texts = [(STUDY / "report.md").read_text(encoding="utf-8")]
    for name in ("results.parquet", "differences.parquet"):
        texts.append(pd.read_parquet(STUDY / name).to_csv())
    texts += [path.read_text(encoding="utf-8") for path in (STUDY / "figures").glob("*.svg")]
    for text in texts:
        assert "sax-0" not in text and str(inside) not in text


def test_the_same_study_again_trains_nothing_and_gives_the_same_rows(inside, no_training, capsys):
    shutil.copytree(STUDY, "again")
    before = rows_of(STUDY)
    assert run_study("--raw", "raw", "--out", "again", "--variants", "manual;scratch", *SET) == 0
    shown = capsys.readouterr()
    assert "audit: no certain leak (" in shown.out
    assert "cells: 4/4  done before" in shown.err and "manual" in shown.out
    pd.testing.assert_frame_equal(rows_of(Path("again"))[before.columns], before, check_exact=True)


@pytest.mark.parametrize(
    "other", [("--set", "epochs=3", "features.epochs=1"), ("--set", "epochs=2", "features.epochs=2"),
              (*SET, "--seed", "4"), (*SET, "--restarts", "2")],
)  # fmt: skip
def test_another_study_in_the_same_folder_is_refused_in_one_line(inside, no_training, capsys, other):
    before = {path: path.stat().st_mtime_ns for path in STUDY.rglob("*.json")}
    arguments = (*COMMON, "--raw", "raw", "--out", "study", "--variants", "manual;scratch", *other)
    assert "This folder belongs to another study. Received:" in error_line(capsys, study, *arguments)
    assert {path: path.stat().st_mtime_ns for path in STUDY.rglob("*.json")} == before


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--variants", "manual;scratch;manual"), "--variants names a variant twice"),
        (("--variants", "manual;"), "--variants names a variant twice"),
        (("--variants", "scrach"), "Known: manual, scratch"),
        (("--variants", "scratch", "--folds", "11"), "10 for 11 folds"),
        (("--variants", "scratch", "--folds", "0"), "at least 1"),
        (("--variants", "scratch", "--train-sizes", "4,x"), "train-sizes"),
        (("--variants", "scratch", "--keep-all", "mid"), "Add --train-sizes"),
        (("--variants", "scratch", "--keep-all", "top", "--train-sizes", "2"), "Received: top"),
        (("--variants", "scratch", "--scheduler", "http://nowhere"), "No Dask scheduler answers"),
    ],
)
def test_flags_that_do_not_fit_are_refused_in_one_line(inside, no_training, capsys, arguments, message):
    arguments = (*COMMON, "--data", "data/thirds", "--out", "refused", *arguments)
    assert message in error_line(capsys, study, *arguments)
    assert not Path("refused").exists()


def test_results_that_are_of_no_study_are_not_overwritten(inside, tmp_path, capsys):
    (tmp_path / "report.md").write_text("mine")
    line = error_line(capsys, study, *COMMON, "--data", "data/thirds", "--out", str(tmp_path))
    assert "report.md" in line and (tmp_path / "report.md").read_text() == "mine"


def test_when_every_cell_failed_the_study_exits_3_and_says_where_the_reasons_are(
    inside, tmp_path, monkeypatch, capsys
):
    fake = FakeTrain(tmp_path)
    monkeypatch.setattr(sys, "executable", str(fake.program))
    monkeypatch.setenv("FAKE_TRAIN", str(tmp_path))
    for fold in range(2):
        fake.order(f"scratch-r0-f{fold}-s3", "say 3 error: scratch broke. What was finished is kept.")
    for folder in (STUDY / "features").iterdir():
        fake.order(f"{folder.name}-s3", "say 2 error: The features do not fit. Received: x. Mend it.")
    arguments = ("--out", "all-failed", "--variants", "manual;scratch", *SET)
    assert run_study("--data", "data/thirds", *arguments) == 3
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert error == "error: Every cell failed. The reasons are in all-failed/results.parquet."
    found = rows_of(Path("all-failed")).groupby("variant")["reason"].unique()
    assert found["scratch"] == ["scratch broke"]
    assert found["manual"] == ["pre-training: The features do not fit"]
    assert not fake.begun("manual-r0-f0-s3")
    assert "4 cells of 4 failed" in Path("all-failed/report.md").read_text(encoding="utf-8")


@pytest.mark.slow
def test_the_restart_that_counts_is_the_best_on_validation(inside):
    arguments = ("--out", "restarts", "--variants", "scratch", "--folds", "1", "--restarts", "2")
    sizes = ("--train-sizes", "3", "--keep-all", "mid")
    assert run_study("--data", "data/thirds", *arguments, *sizes, *SET) == 0
    (row,) = rows_of(Path("restarts")).to_dict("records")
    losses = {}
    for seed in (3, 4):
        run = Path("restarts/cells/scratch-r0-f0-n3") / f"s{seed}"
        losses[seed] = pd.read_csv(run / "history.csv")["val_loss"].min()
        accuracy = json.loads((run / "metrics.json").read_text())["accuracy"]["value"]
        assert row["optimistic_accuracy"] >= accuracy
        assert (seed == row["seed"]) == (run / "weights.weights.h5").exists()
    assert row["seed"] == min(losses, key=losses.get)
    patients = len(json.loads((run / "run.json").read_text())["patients"]["train"])
    assert row["train_size"] == 3 and row["n_train"] == 2 * 3 + 2 * patients
    for name in ("accuracy", "balanced_accuracy", "kappa", "f1_macro", "auc"):
        assert row[f"optimistic_{name}"] >= row[name]
    report = Path("restarts/report.md").read_text(encoding="utf-8")
    assert "## Restarts" in report and "chosen on the test side (optimistic)" in report


@pytest.mark.slow
def test_a_study_of_a_segmentation_task(inside):
    arguments = ["--task", "pools.py", "--raw", "raw", "--out", "pools-study", "--folds", "2"]
    assert run_command(study, [*arguments, "--restarts", "2", "--set", "epochs=1"]) == 0
    table = pd.read_parquet("pools-study/results.parquet")
    assert len(table) == 2 and table[["dice_mean", "dice_blood_pool"]].notna().all(axis=None)
    assert (table["optimistic_dice_mean"] >= table["dice_mean"]).all()
    assert "Dice, mean of the labels" in Path("pools-study/report.md").read_text(encoding="utf-8")


@pytest.mark.slow
def test_variants_prepared_unlike_are_compared_on_the_patients_both_have(tmp_path, monkeypatch, capsys):
    """What is brighter than 255 cannot be read: one variant lacks a patient, who is left out of both."""
    monkeypatch.chdir(tmp_path)
    raw = write_raw(tmp_path / "raw")
    for path in (raw / "images").iterdir():
        image = np.minimum(np.asarray(Image.open(path)), 200)
        image[0, 0] = 255 if path.name.startswith("sax-004") else 0
        Image.fromarray(image).save(path)
    file = tmp_path / "tasks" / "thirds.py"
    write_task_files(file.parent)
    text = file.read_text(encoding="utf-8")
    brighter = 'variants=dict(brighter={"prep.intercept": 1.0}, '
    file.write_text(text.replace("variants=dict(", brighter), encoding="utf-8")
    arguments = ["--task", str(file), "--raw", str(raw), "--out", "unlike", "--folds", "2", *SET]
    assert run_command(study, [*arguments, "--variants", "scratch;scratch,brighter"]) == 1
    output = capsys.readouterr()
    assert "some variant's prepared set lacks them: 1\n" in output.out
    assert output.err.count("skipped images/sax-004") == 6
    tested = {}
    for variant in ("scratch", "scratch+brighter"):
        for fold in range(2):
            run = Path("unlike/cells") / f"{variant}-r0-f{fold}" / "s0" / "run.json"
            values = json.loads(run.read_text())
            tested[variant, fold] = values["patients"]
    for fold in range(2):
        assert tested["scratch", fold] == tested["scratch+brighter", fold]
        assert "sax-004" not in str(tested["scratch", fold])
    assert (rows_of(Path("unlike"))["n_test"] > 0).all()


@pytest.mark.parametrize("task", ["glioma_grading", "hippocampus"])
def test_a_task_that_cannot_be_searched_is_refused_before_anything_is_trained(here, capsys, task):
    flags = ["--task", task, "--data", "nowhere", "--out", "out", "--tuned", "3"]
    line = error_line(capsys, study, *flags)
    assert "Only classifiers without boxes_from can be searched" in line
    assert not Path("out").exists()
