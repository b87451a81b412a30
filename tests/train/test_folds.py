"""train --folds: one network a fold, ordinary runs, and their numbers together."""

import json
from contextlib import chdir
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from refused import error_line
from small import write_small
from studied import train_folds_here, train_here

from mri_tf.core.command_line import run_command
from mri_tf.store.run import open_finished
from mri_tf.train.__main__ import main as train

COMMAND = ("--task", "thirds.py", "--variant", "scratch", "--raw", "raw", "--folds", "3",
           "--workers", "1", "--set", "epochs=1")  # fmt: skip
RUN = Path("runs/thirds/scratch-3folds-s0")


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A folder with three folds of `scratch`, trained in this process."""
    folder = write_small(tmp_path_factory.mktemp("folds"))
    return train_folds_here(folder, COMMAND)


@pytest.fixture
def inside(home):
    with chdir(home):
        yield home


def test_every_patient_is_tested_once_by_a_network_that_never_saw_it(inside):
    table = pd.read_parquet(RUN / "predictions.parquet")
    assert table["record_id"].is_unique and table["patient"].nunique() == 10
    for fold, own in table.groupby("fold"):
        run = open_finished(RUN / f"fold-{fold}")
        tested, seen = set(own["patient"]), run.values["patients"]
        assert tested == set(seen["test"])
        assert not tested & {*seen["train"], *seen["validation"]}


def test_a_fold_is_validated_on_patients_of_the_next_fold(inside):
    sides = [open_finished(RUN / f"fold-{fold}").values["patients"] for fold in range(3)]
    for fold in range(3):
        assert set(sides[fold]["validation"]) <= set(sides[(fold + 1) % 3]["test"])
        assert sides[fold]["validation"]


def test_the_numbers_are_of_all_folds_together_and_say_whose_they_are(inside):
    metrics = json.loads((RUN / "metrics.json").read_text())
    table = pd.read_parquet(RUN / "predictions.parquet")
    assert metrics["accuracy"]["n"] == 10
    right = (table["truth"] == table["predicted"]).mean()
    assert metrics["accuracy"]["value"] == pytest.approx(right)
    assert "numbers of 3 single networks" in metrics["note"]
    weights, values = [], []
    for member in metrics["members"]:
        counts = table.loc[table["fold"] == member["fold"], "truth"].value_counts().to_numpy()
        weights.append(counts.sum() ** 2 - (counts**2).sum())
        values.append(member["auc"]["value"])
    assert metrics["auc_within_folds"]["value"] == pytest.approx(np.average(values, weights=weights))
    assert (RUN / "report.md").read_text().startswith("# thirds, split by 3 folds")


def test_the_folds_stand_beside_baselines_that_their_own_networks_have_not(inside):
    metrics = json.loads((RUN / "metrics.json").read_text())
    (found,) = (one for one in metrics["baselines"] if one["name"] == "thumbnail")
    assert found["numbers"]["accuracy"]["n"] == 10 and found["difference"]["auc"]["n"] == 10
    assert "too few to compare two answers: 10" in found["difference"]["auc"]["reason"]
    assert "mean of the folds" in found["numbers"]["auc"]["reason"]
    assert "## Baselines" in (RUN / "report.md").read_text()
    assert "baselines" not in json.loads((RUN / "fold-0/metrics.json").read_text())


def test_the_card_has_the_numbers_of_the_folds_and_the_networks_beside_each_other(inside):
    card, metrics = (RUN / "card.html").read_text(), json.loads((RUN / "metrics.json").read_text())
    assert f"{metrics['auc_within_folds']['value']:.3f}" in card and "3 folds: 3 networks" in card
    assert ">fold</th>" in card and ">validated on</th>" in card
    assert not (RUN / "fold-0" / "card.html").exists()


def test_the_same_command_again_trains_nothing(inside, capsys, monkeypatch):
    def refuse(arguments, child):
        raise AssertionError("a fold was trained again")

    monkeypatch.setattr("mri_tf.folds.cell.run_module", refuse)
    before = {path: path.stat().st_mtime_ns for path in RUN.glob("fold-*/run.json")}
    assert run_command(train, list(COMMAND)) == 0
    assert before == {path: path.stat().st_mtime_ns for path in RUN.glob("fold-*/run.json")}


@pytest.mark.slow
def test_out_of_time_it_ends_with_1_and_the_same_command_gives_the_same_numbers(
    inside, capsys, monkeypatch
):
    monkeypatch.setattr("mri_tf.folds.cell.run_module", train_here)
    command = [*COMMAND[:-2], "--out", "runs/parts", "--set", "epochs=1"]
    for done in (1, 2):
        capsys.readouterr()
        assert run_command(train, [*command, "--max-minutes", "0.0001"]) == 1
        end = capsys.readouterr().err.strip().splitlines()[-1]
        assert f"{done} of 3 folds are done, 0 begun. The same command continues." in end
        assert not Path("runs/parts/metrics.json").exists()
    assert run_command(train, command) == 0
    assert Path("runs/parts/metrics.json").read_text() == (RUN / "metrics.json").read_text()


def test_other_settings_in_the_same_folder_are_refused(inside, capsys):
    line = error_line(capsys, train, *COMMAND[:-1], "epochs=2", "--out", str(RUN))
    assert "another" in line


@pytest.mark.parametrize(
    "flags, text",
    [
        (("--folds", "1"), "at least 2 folds"),
        (("--folds", "3", "--split", "random"), "--folds with --split"),
        (("--folds", "3", "--lock-test"), "--folds with --lock-test"),
        (("--folds", "3", "--feature-banks", "banks"), "--folds with --feature-banks"),
        (("--fold-repeats", "2"), "Add --folds 5"),
    ],
)
def test_flags_that_do_not_go_together_are_refused(tmp_path, monkeypatch, capsys, flags, text):
    monkeypatch.chdir(tmp_path)
    assert text in error_line(capsys, train, "--task", "sax_levels", *flags)
