"""Folders of one DICOM patient under two ids are joined, and said so; with --strict they are refused."""

import json

import pytest
from dicom_series import noise, series, write
from pydicom.uid import generate_uid
from raw_folders import run_prepare

from data_prep.case import Case
from data_prep.cases.dicom_case import dicom_files, identities
from data_prep.prepare.shared_identities import join_shared
from mri_tf.core.executors import executor
from mri_tf.splits.sides import SplitOptions, choose_sides
from mri_tf.store.prepared import PRIVATE, Prepared
from mri_tf.task.files import load_task

TASK = """
from mri_tf.task import Task

TASK = Task(
    name="grades", layout="dicom_patients", channels=("t1",), image_shape=(8, 8, 8),
    class_names=("low", "high"), model="vgg3d", prep=dict(sequences=dict(t1=dict(description=["t1"]))),
)
"""
KINDS = ("PatientID", "StudyInstanceUID", "SeriesInstanceUID", "FrameOfReferenceUID")


def write_patients(home, count: int, shared: str, patient_id: str = "id-{}"):
    """Two folders for each of `count` patients, that share one field of their headers."""
    rows = ["patient_id,label"]
    for number in range(count):
        values = {kind: generate_uid() for kind in KINDS} | {"PatientID": patient_id.format(number)}
        for half in "ab":
            own = {kind: generate_uid() for kind in KINDS} | {shared: values[shared]}
            datasets = series(noise((9, 8, 6), seed=2 * number + (half == "b")))
            for data in datasets:
                data.SeriesDescription = "t1"
                for kind, value in own.items():
                    setattr(data, kind, value)
            write(home / "raw" / f"p{number}{half}", datasets)
            rows.append(f"p{number}{half},{('low', 'high')[number % 2]}")
    (home / "raw" / "patients.csv").write_text("\n".join(rows))
    (home / "grades.py").write_text(TASK)
    return home / "grades.py", home / "raw", home / "out"


@pytest.mark.parametrize("shared", KINDS)
def test_two_folders_that_share_an_identity_are_one_patient_on_one_side(tmp_path, capsys, shared):
    command = write_patients(tmp_path, 12 if shared == "PatientID" else 4, shared)
    assert run_prepare(*command) == 0
    prepared, count = Prepared.open(tmp_path / "out"), 12 if shared == "PatientID" else 4
    warning = f"warning: {2 * count} patients of the table share a PatientID, study, series or frame"
    said = capsys.readouterr().err
    assert warning in said and f"they are joined as {count}" in said
    assert prepared.manifest["joined"] == {"patients": 2 * count, "remaining": count}
    assert len(prepared) == 2 * count and len(set(prepared.patients)) == count
    sides = choose_sides(prepared, load_task(command[0]), SplitOptions(None, None, None, 0)).records
    assert not set(prepared.patients[sides[0]]) & set(prepared.patients[sides[2]])


def test_strict_refuses_them_and_writes_nothing(tmp_path, capsys):
    assert run_prepare(*write_patients(tmp_path, 3, "StudyInstanceUID"), "--strict") == 2
    line = [text for text in capsys.readouterr().err.splitlines() if text.startswith("error")][0]
    assert "6 patients that are 3: p0a/" in line and "--strict" in line
    assert not (tmp_path / "out").exists()


def test_a_patient_id_that_names_nobody_joins_nobody(tmp_path, capsys):
    assert run_prepare(*write_patients(tmp_path, 3, "PatientID", "ANONYMOUS")) == 0
    assert "warning" not in capsys.readouterr().err
    assert len(set(Prepared.open(tmp_path / "out").patients)) == 6


def test_a_split_column_that_the_joined_patients_contradict_is_refused(tmp_path, capsys):
    task, raw, out = write_patients(tmp_path, 3, "PatientID")
    lines = (raw / "patients.csv").read_text().splitlines()
    sides = ["split", *["train", "test", "train", "train", "test", "test"]]
    table = "\n".join(f"{line},{side}" for line, side in zip(lines, sides, strict=True))
    (raw / "patients.csv").write_text(table)
    assert run_prepare(task, raw, out) == 2
    assert "Rows of one patient have different values" in capsys.readouterr().err


def test_no_identity_is_written(tmp_path):
    task, raw, out = write_patients(tmp_path, 3, "PatientID", "Zschokke-{}")
    assert run_prepare(task, raw, out) == 0
    known = identities(raw, Case("p0a", dicom_files(raw, "p0a")))
    assert len(known) == 4
    words = [text.split()[1].encode() for text in known]
    for path in out.iterdir():
        data = path.read_bytes()
        assert path.name == PRIVATE or not any(word in data for word in words)
    assert "Zschokke" not in json.dumps(Prepared.open(out).manifest)


@pytest.mark.parametrize("patients", [("", "", ""), ("", "A", "")])
def test_cases_of_no_named_patient_that_share_an_identity_have_one_group(patients):
    cases = [Case(patient, {"image": f"{n}.dcm"}) for n, patient in enumerate(patients)]
    of_case = {"0.dcm": {"x"}, "1.dcm": {"y"}, "2.dcm": {"x"}}
    with executor(1) as pool:
        found = join_shared(cases, lambda case: of_case[case.files["image"]], False, pool, 1).cases
    assert [case.patient for case in found] == list(patients)
    assert found[0].group == found[2].group != "" and found[1].group == ""
