"""DICOM in folders of any depth: whose it is, which examination, and which row of the table is meant."""

import numpy as np
import pytest
from refused import refusal

from data_prep.case import main_file
from data_prep.layouts import dicom_tree
from data_prep.phantom.files import save_series
from data_prep.prepare.prepare import prepare
from mri_tf.core.progress import say_once
from mri_tf.task import Task

TASK = Task(
    name="mine", layout="dicom_tree", channels=("t1",), image_shape=(8, 8, 8), model="grader3d",
    class_names=("a", "b"), prep=dict(label_column="grade"),
)  # fmt: skip


def examination(root, number, patient, accession="", study=None):
    array = np.random.default_rng(number).integers(1, 90, (8, 8, 8)).astype(np.uint16)
    header = {
        "PatientID": patient, "StudyInstanceUID": f"2.25.{study or number + 1}",
        "AccessionNumber": accession, "SeriesDescription": "T1", "RepetitionTime": 500.0,
        "EchoTime": 9.0,
    }  # fmt: skip
    root.mkdir(exist_ok=True)
    save_series(root / f"x{number}", array, np.diag([2.0, 2.0, 2.0, 1.0]), header, f"tree {number}")


def table(root, *lines):
    (root / "labels.csv").write_text("\n".join(lines) + "\n")


def labels_of(root):
    cases = dicom_tree.list_cases(root, TASK)
    return {next(iter(case.files)).partition("/")[0]: case.label for case in cases}


def test_accession_numbers_tell_the_examinations_of_a_patient_apart(tmp_path):
    root = tmp_path / "raw"
    known = ("P1", "A1"), ("P1", "A2"), ("P2", "A3"), ("P2", "")
    for number, (patient, accession) in enumerate(known):
        examination(root, number, patient, accession)
    table(root, "patient_id,accession_number,grade", "P1,A1,a", "P1,A2,b", "P2,A3,a", "P2,,b")
    assert labels_of(root) == {"x0": "a", "x1": "b", "x2": "a", "x3": "b"}
    assert [case.patient for case in dicom_tree.list_cases(root, TASK)] == ["P1", "P1", "P2", "P2"]


def test_rows_of_one_patient_that_disagree_are_refused(tmp_path):
    root = tmp_path / "raw"
    examination(root, 0, "P1")
    table(root, "patient_id,grade", "P1,a", "P1,b")
    assert "differ in grade" in refusal(dicom_tree.list_cases, root, TASK)


def test_examinations_without_a_row_are_left_out_and_said(tmp_path, capsys):
    root = tmp_path / "raw"
    for number in range(3):
        examination(root, number, f"P{number}")
    table(root, "patient_id,grade", "P0,a", "P1,b", "P9,b")
    say_once.cache_clear()
    cases = dicom_tree.list_cases(root, TASK)
    assert [case.label for case in cases if case.files] == ["a", "b"]
    assert "1 examinations without a row" in capsys.readouterr().err
    (lost,) = [case for case in cases if not case.files]
    assert main_file(lost) == "line 4 of the table"
    (tmp_path / "mine.py").touch()
    found, skipped = prepare(TASK, tmp_path / "mine.py", root, tmp_path / "set")
    assert found.manifest["counts"]["records"] == 2 == found.manifest["counts"]["patients"]
    assert [(one.file, one.reason) for one in skipped] == [("line 4 of the table", "it has no image")]
    table(root, "patient_id,grade", "Q0,a")
    assert "No row of the table names an examination" in refusal(dicom_tree.list_cases, root, TASK)


def test_ids_that_differ_from_the_headers_in_spelling_alone_are_said_without_naming_anybody(
    tmp_path, capsys
):
    root = tmp_path / "raw"
    for number, patient in enumerate(("007", "P8")):
        examination(root, number, patient)
    table(root, "patient_id,grade", "7,a", "9,b")
    for refuse in (dicom_tree.list_cases, dicom_tree.recognise):
        message = refusal(refuse, root, TASK if refuse is dicom_tree.list_cases else None)
        assert "line 2 differs from a header only in leading zeros" in message
    table(root, "patient_id,grade", "007,a", "p8,b")
    assert sum(not case.files for case in dicom_tree.list_cases(root, TASK)) == 1
    said = capsys.readouterr().err
    assert "1 rows of labels.csv name no examination; line 3 differs" in said
    assert "capitals" in said and "P8" not in said and "p8" not in said


@pytest.mark.parametrize("word", ["ANONYMOUS", ""])
def test_patients_whom_the_headers_do_not_name_are_unknown_unless_the_table_names_them(tmp_path, word):
    root = tmp_path / "raw"
    for number in range(4):
        examination(root, number, word, f"A{number}")
    table(root, "accession_number,grade", *[f"A{number},{'ab'[number % 2]}" for number in range(4)])
    (tmp_path / "mine.py").touch()
    found, skipped = prepare(TASK, tmp_path / "mine.py", root, tmp_path / "set")
    assert not skipped and not found.patients_known and len(set(found.patients)) == 4
    assert "2.25" not in (tmp_path / "set" / "manifest.json").read_text()
    rows = [f"A{number},{'ab'[number % 2]},Q{number // 2}" for number in range(4)]
    table(root, "accession_number,grade,patient_id", *rows)
    cases = dicom_tree.list_cases(root, TASK)
    assert [case.patient for case in cases] == ["Q0", "Q0", "Q1", "Q1"]
