"""Folds that are drawn twice, of networks with a feature network each, beside a test side."""

import json
import shutil
from contextlib import chdir
from pathlib import Path

import pandas as pd
import pytest
from refused import error_line
from small import name_test_side, write_small
from studied import train_folds_here, train_here

from mri_tf.core.command_line import run_command
from mri_tf.export.__main__ import main as export
from mri_tf.runs.__main__ import main as runs
from mri_tf.store.run import open_finished, open_run
from mri_tf.train.__main__ import main as train

COMMAND = ("--task", "thirds.py", "--raw", "raw", "--folds", "2", "--fold-repeats", "2",
           "--workers", "1", "--set", "epochs=1", "features.epochs=1")  # fmt: skip
RUN = Path("runs/thirds/manual-2foldsx2-s0")

pytestmark = pytest.mark.slow  # four networks and their four feature networks


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    folder = write_small(tmp_path_factory.mktemp("repeated"))
    name_test_side(folder / "raw")
    return train_folds_here(folder, COMMAND)


@pytest.fixture
def inside(home):
    with chdir(home):
        yield home


def test_no_feature_network_learned_from_the_test_side(inside):
    apart = set(open_run(RUN).values["patients"]["test"])
    files = list((RUN / "features").glob("*/s0"))
    assert len(apart) == 2 and len(files) == 4
    for file in files:
        patients = open_run(file).values["patients"]
        assert not apart & {*patients["train"], *patients["validation"]}
    assert not apart & set(open_run(RUN).values["seen"]["patients"])


def test_every_patient_is_counted_once_with_a_row_a_repeat(inside):
    metrics = json.loads((RUN / "metrics.json").read_text())
    table = pd.read_parquet(RUN / "predictions.parquet")
    assert metrics["split"] == "2 folds, 2 times" and metrics["accuracy"]["n"] == 8
    assert (table["record_id"].value_counts() == 2).all()
    assert metrics["correlation"]["patients"] == 8
    assert "within folds" not in metrics["better_than_chance"]["method"]


def test_a_model_of_folds_is_one_run_and_can_be_compared(inside, capsys):
    assert run_command(runs, ["runs"]) == 0
    listed = capsys.readouterr().out
    assert "manual-2foldsx2-s0" in listed and "repeat-0" not in listed
    member = RUN / "repeat-0" / "fold-0"
    assert run_command(runs, ["--compare", str(RUN), str(member)]) == 0
    assert "network that never saw its patient" in capsys.readouterr().out


def test_some_of_its_members_are_exported(inside):
    assert run_command(export, ["--run", str(RUN), "--members", "3", "--out", "three"]) == 0
    exported = json.loads(Path("three/thirds/1/assets.extra/export.json").read_text())
    assert exported["members"] == 3


def test_the_folder_of_a_member_is_no_place_for_folds(inside, capsys):
    line = error_line(capsys, train, *COMMAND, "--out", str(RUN / "repeat-0" / "fold-0"))
    assert "of one network" in line


def test_a_fold_that_was_removed_is_trained_again_and_the_test_side_is_not_looked_at_twice(
    inside, monkeypatch
):
    monkeypatch.setattr("mri_tf.folds.cell.run_module", train_here)
    before = open_finished(RUN).values
    shutil.rmtree(RUN / "repeat-1" / "fold-0")
    assert run_command(train, list(COMMAND)) == 0
    after = open_finished(RUN).values
    assert after["weights_sha256"] == before["weights_sha256"]  # the same seed gives the same weights
    assert after["test_looks"] == before["test_looks"] == 1
