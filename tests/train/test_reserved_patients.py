"""Reserved patients of the validation side choose nothing of a training but its prediction sets."""

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from small import sides_of
from trainings import assert_equal_weights, split_of

from data_prep.prepare.prepare import prepare
from mri_tf.calibration.calibrator import calibrator_from_json
from mri_tf.evaluate.evaluation import evaluate_run
from mri_tf.pipeline.subset import run_sides
from mri_tf.splits.reserved import LIMITED, Reserved
from mri_tf.splits.sides import SplitOptions, choose_sides
from mri_tf.task.files import load_task, resolve_task
from mri_tf.train.fit import fit_run
from mri_tf.train.new_run import new_run


@pytest.fixture(scope="module")
def levels(small):
    """(task, prepared set) of the thirds without features, trained for two epochs."""
    file = small["levels"]
    task = resolve_task(load_task(file), ["scratch"], ["epochs=2"])
    prepared, _ = prepare(task, file, small["raw"], small["home"] / "levels-for-reserving")
    return task, prepared


def _trained(folder, levels, sides):
    task, prepared = levels
    return fit_run(new_run(folder, task, prepared, sides, 0), prepared, None, devices=1)


def test_reserved_patients_change_nothing_but_the_prediction_sets(tmp_path, levels):
    task, prepared = levels
    train, validation, test = split_of(task, prepared)
    patients = np.unique(prepared.patients[validation])
    assert len(patients) >= 2
    reserved = validation[prepared.patients[validation] == patients[0]]
    others = np.setdiff1d(validation, reserved)
    sides = sides_of(task, prepared, [train, validation, test])
    with_them = _trained(tmp_path / "with", levels, replace(sides, reserved=Reserved(reserved)))
    without = _trained(tmp_path / "without", levels, sides_of(task, prepared, [train, others, test]))

    assert_equal_weights(with_them, without)
    histories = [pd.read_csv(run.folder / "history.csv")["val_loss"] for run in (with_them, without)]
    np.testing.assert_array_equal(*histories)
    found, plain = (calibrator_from_json(run.values["answers"]) for run in (with_them, without))
    assert (found.temperature, found.intercepts) == (plain.temperature, plain.intercepts)
    assert found.point == plain.point
    assert found.set_patients == 1 and plain.set_patients == 0
    # Nobody who was reserved may be tested on.
    assert set(patients) <= set(with_them.values["seen"]["patients"])
    assert set(with_them.sides["validation"]) > set(with_them.values["reserved"]["records"])


def test_without_reserved_patients_there_are_no_prediction_sets_and_every_page_says_why(
    tmp_path, levels
):
    task, prepared = levels
    chosen = choose_sides(prepared, task, SplitOptions("patient", None, None, 0))
    assert not len(chosen.reserved.records)  # two patients in all
    run = _trained(tmp_path / "run", levels, chosen)
    evaluate_run(run, run_sides(run, prepared)[2], "patient", run.folder)
    found = json.loads((run.folder / "metrics.json").read_text())["prediction_sets"]
    assert found["says_nothing"] and found["reason"] == chosen.reserved.reason
    assert "coverage" not in found
    assert f"There are no prediction sets: {found['reason']}" in (run.folder / "report.md").read_text()
    assert pd.read_parquet(run.folder / "predictions.parquet")["set"].isna().all()


def test_a_limited_side_and_a_random_split_reserve_nobody(levels):
    task, prepared = levels
    limited = choose_sides(prepared, task, SplitOptions("patient", None, 2, 0)).reserved
    random = choose_sides(prepared, task, SplitOptions("random", None, None, 0)).reserved
    assert limited.reason == LIMITED and not len(limited.records)
    assert "random split" in random.reason and not len(random.records)


def test_the_reserved_patients_of_a_large_side_are_of_the_validation_side(levels, monkeypatch):
    monkeypatch.setattr("mri_tf.splits.reserved.FEWEST", 1)
    task, prepared = levels
    task = replace(task, split_fractions=(0.3, 0.6, 0.1))
    chosen = choose_sides(prepared, task, SplitOptions("patient", None, None, 0))
    records = chosen.reserved.records
    assert len(records) and set(records) < set(chosen.records[1])
    rest = np.setdiff1d(chosen.records[1], records)
    assert not set(prepared.patients[records]) & set(prepared.patients[rest])
