"""Patients of a split column's test side are in no fold, and nothing ties them to the folds."""

import shutil

import numpy as np
import pytest
from refused import refusal
from small import write_raw, write_task_files

from data_prep.prepare.prepare import prepare
from mri_tf.folds.held_back import held_back
from mri_tf.store.prepared import Prepared
from mri_tf.task.files import load_task


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    home = tmp_path_factory.mktemp("held")
    file = write_task_files(home)
    task = load_task(file)
    prepare(task, file, write_raw(home / "raw", patients=6), home / "set")
    return task, Prepared.open(home / "set")


def with_column(prepared: Prepared, column: np.ndarray) -> Prepared:
    """The same set with another split column."""
    changed = Prepared.open(prepared.folder)
    changed.splits = column
    return changed


def column_of(prepared: Prepared, patients: list[str]) -> np.ndarray:
    return np.where(np.isin(prepared.patients, patients), "test", "train").astype(object)


def test_without_a_test_side_all_patients_are_in_the_folds(prepared):
    task, data = prepared
    assert held_back(data, task, 0).in_folds == set(data.patients)
    assert held_back(data, task, 0).patients == ()


def test_patients_of_the_test_side_are_in_no_fold(prepared):
    task, data = prepared
    apart = sorted(set(data.patients))[:2]
    found = held_back(with_column(data, column_of(data, apart)), task, 0)
    assert found.patients == tuple(apart) and not found.in_folds & set(apart)


def test_a_patient_on_both_is_refused(prepared):
    task, data = prepared
    column = column_of(data, sorted(set(data.patients))[:2])
    column[np.flatnonzero(column == "test")[0]] = "train"
    assert "two sides" in refusal(held_back, with_column(data, column), task, 0)


def test_copies_on_both_are_refused(tmp_path):
    file, raw = write_task_files(tmp_path), write_raw(tmp_path / "raw", patients=6)
    shutil.copy(raw / "images" / "sax-001-02.png", raw / "images" / "sax-006-02.png")
    task = load_task(file)
    prepare(task, file, raw, tmp_path / "set")
    data = Prepared.open(tmp_path / "set")
    changed = with_column(data, column_of(data, ["sax-001", "sax-002"]))
    assert "copies of an image on two sides" in refusal(held_back, changed, task, 0)
