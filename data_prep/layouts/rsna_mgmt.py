"""Layout: DICOM of the RSNA-MICCAI radiogenomic set (MGMT promoter methylation of glioblastomas).

    train_labels.csv                             BraTS21ID, MGMT_value (0 or 1)
    train/<5 digits>/{FLAIR,T1w,T1wCE,T2w}/*.dcm

or, without labels, as the set's test folder:

    <5 digits>/{FLAIR,T1w,T1wCE,T2w}/*.dcm
"""

import re
from pathlib import Path

from data_prep.case import Case
from data_prep.cases.any_to_predict import cases_at, holds_volumes
from data_prep.cases.dicom_case import (
    OPERATIONS,
    SETTINGS,
    check_settings,
    dicom_files,
    identities,
    read_case,
)
from data_prep.cases.to_predict import CaseToPredict, dicom_at, dicom_folder, is_table
from data_prep.io.labels import check_labels
from data_prep.io.table import read_table
from mri_tf.core.errors import InputError, first_few
from mri_tf.task import Task

__all__ = [
    "OPERATIONS", "SETTINGS", "SUBMISSION", "VERSION", "cases_to_predict", "identities", "list_cases",
    "read_case",
]  # fmt: skip
VERSION = 3
TABLE, TRAIN = "train_labels.csv", "train"
COLUMNS = ("BraTS21ID", "MGMT_value")
CLASSES = {"0": "unmethylated", "1": "methylated"}  # MGMT_value -> class of the task
SUBMISSION = (*COLUMNS, "methylated")  # columns of a submission, and the class of its probability
PATIENT = re.compile(r"\d{5}")


def list_cases(raw: Path, task: Task) -> list[Case]:
    """One case per row of train_labels.csv, or one per folder where there is neither table nor train/;
    raises InputError for a table that cannot be used."""
    check_settings(task)
    if not (raw / TABLE).exists() and not (raw / TRAIN).exists():
        folders = sorted(path.name for path in raw.glob("*/") if PATIENT.fullmatch(path.name))
        if folders:
            return [Case(name, dicom_files(raw, name)) for name in folders]
    rows = read_table(raw / TABLE, COLUMNS)
    for row in rows:
        row["MGMT_value"] = CLASSES.get(row["MGMT_value"], row["MGMT_value"])
    check_labels(rows, "MGMT_value", task, TABLE)
    # Spreadsheets remove leading zeros.
    patients = [row["BraTS21ID"].zfill(5) for row in rows]
    wrong = sorted({name for name in patients if not PATIENT.fullmatch(name)})
    twice = sorted({name for name in patients if patients.count(name) > 1})
    if wrong or twice:
        raise InputError(
            f"BraTS21ID in {TABLE} must be five digits, once for each patient.",
            first_few([*wrong, *twice]), "Correct the table.",
        )  # fmt: skip
    return [
        Case(patient, dicom_files(raw, f"{TRAIN}/{patient}"), row["MGMT_value"], line=row.line)
        for patient, row in zip(patients, rows, strict=True)
    ]


def cases_to_predict(path: Path, task: Task) -> list[CaseToPredict]:
    """A patient's folder, a folder of patients (of a raw folder, its unlabelled test/), or a table with
    BraTS21ID beside them."""
    if is_table(path):
        names = [row[COLUMNS[0]].zfill(5) for row in read_table(path, COLUMNS[:1])]
        wrong = [name for name in names if not PATIENT.fullmatch(name)]
        if wrong:
            raise InputError(
                f"BraTS21ID in {path.name} must be five digits.", first_few(wrong), "Correct the table."
            )
        homes = [home for home in (path.parent / "test", path.parent / TRAIN) if home.is_dir()]
        home = homes[0] if homes else path.parent
        return [dicom_folder(home / name, path) for name in dict.fromkeys(names)]
    for home in (path, path / "test"):
        folders = sorted(entry for entry in home.glob("*/") if PATIENT.fullmatch(entry.name))
        if folders:
            return [dicom_folder(folder, path) for folder in folders]
    if path.is_dir() and holds_volumes(path):
        return cases_at(path, task)
    return dicom_at(path, TABLE)
