"""Layout: a folder of DICOM files for each patient, and a table.

    patients.csv         patient_id, label; optional: folder (if not named as the patient), site, group,
                         split, age, sex
    <patient>/**/<any>   DICOM files in any order and depth
"""

from pathlib import Path

from data_prep.case import Case
from data_prep.cases.dicom_case import OPERATIONS, SETTINGS, check_settings, dicom_files, read_case
from data_prep.cases.to_predict import CaseToPredict, dicom_at
from data_prep.io.table import check_labels, check_patients, read_table
from mri_tf.task import Task

__all__ = ["OPERATIONS", "SETTINGS", "VERSION", "cases_to_predict", "list_cases", "read_case"]
VERSION = 1
TABLE = "patients.csv"
FACTS = ("site", "age", "sex")


def list_cases(raw: Path, task: Task) -> list[Case]:
    """One case per row; raises InputError for settings or a table that cannot be used."""
    check_settings(task)
    rows = read_table(raw / TABLE, ("patient_id", "label"))
    check_patients(rows, TABLE)
    check_labels([row["label"] for row in rows], task, TABLE)
    return [
        Case.from_row(
            row, dicom_files(raw, row.get("folder") or row["patient_id"]), row["label"], FACTS
        )
        for row in rows
    ]


def cases_to_predict(path: Path, task: Task) -> list[CaseToPredict]:
    """A patient's folder, a table of patients, or a folder of patients."""
    return dicom_at(path, TABLE)
