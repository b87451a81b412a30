"""A study whose variants harmonise, on identical folds, and the one model that its folds make."""

import json
from contextlib import chdir
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from studied import rows_of, train_folds_here, train_here
from two_scanners import write_two_scanners

from mri_tf.core.command_line import run_command
from mri_tf.predict.__main__ import main as predict
from mri_tf.store.run import open_finished
from mri_tf.study.__main__ import main as study

pytestmark = pytest.mark.slow
VARIANTS = "scratch,nyul;scratch,probe;scratch,probe,combat"
FOLDS = ("--folds", "2", "--workers", "1", "--seed", "3")


@pytest.fixture(scope="module")
def home(tmp_path_factory) -> Path:
    """A folder with 24 patients of two scanners and a study of all variants."""
    folder = write_two_scanners(tmp_path_factory.mktemp("harmonised"), patients=24)
    with chdir(folder), pytest.MonkeyPatch.context() as patch:
        patch.setattr("mri_tf.folds.cell.run_module", train_here)
        flags = ("--task", "thirds.py", "--raw", "raw", "--out", "study", "--variants", VARIANTS)
        assert run_command(study, [*flags, *FOLDS, "--set", "epochs=1"]) == 0
    return folder


def runs_of(variant: str) -> list:
    cells = sorted(Path("study/cells").glob(f"{variant.replace(',', '+')}-r0-f*/s3"))
    return [open_finished(cell) for cell in cells]


def test_every_variant_is_scored_on_the_same_records(inside):
    rows = rows_of(Path("study"))
    assert set(rows["status"]) == {"done"} and len(rows) == 6
    tables = {
        name: pd.concat(pd.read_parquet(run.folder / "predictions.parquet") for run in runs_of(name))
        for name in VARIANTS.split(";")
    }  # fmt: skip
    ids = [table["record_id"].tolist() for table in tables.values()]
    assert all(one == ids[0] for one in ids) and len(set(ids[0])) == 144


def test_each_fold_has_landmarks_and_corrections_of_its_own(inside):
    landmarks = [run.values["fitted"]["landmarks"] for run in runs_of("scratch,nyul")]
    assert len(landmarks) == 2 and landmarks[0] != landmarks[1]
    hashes = {run.values["fitted"]["combat"]["sha256"] for run in runs_of("scratch,probe,combat")}
    assert len(hashes) == 2


@pytest.mark.parametrize("variant", ["scratch,nyul", "scratch,probe,combat"])
def test_the_folds_are_one_model_that_predict_asks(home, monkeypatch, variant):
    monkeypatch.chdir(home)
    command = ("--task", "thirds.py", "--variant", variant, "--raw", "raw", "--out", f"folds-{variant}",
               *FOLDS, "--set", "epochs=1")  # fmt: skip
    train_folds_here(home, command)  # the export is compared with the members
    model = open_finished(Path(f"folds-{variant}"))
    exported = model.values["exported"]
    assert predict(["--model", exported, "--input", "raw/manifest.csv", "--out", "answers.json"]) == 0
    answers = json.loads(Path("answers.json").read_text())["answers"]
    assert len(answers) == 144
    probabilities = np.array([list(row["probabilities"].values()) for row in answers])
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-5)
    if "combat" in variant:
        assert all(row["features_corrected"] for row in answers)
        # An image alone does not say its scanner; the flag does.
        image = sorted(Path("raw/images").iterdir())[0]
        for flags, known in (((), False), (("--scanner", "A"), True), (("--scanner", "Z"), False)):
            asked = ["--model", exported, "--input", str(image), "--out", "one.json", *flags]
            assert predict(asked) == 0
            (row,) = json.loads(Path("one.json").read_text())["answers"]
            assert row["features_corrected"] is known
