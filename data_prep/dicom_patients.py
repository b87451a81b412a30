"""A folder of DICOM a patient and a table: for a task file of one's own, `from
data_prep.dicom_patients import *` in <task>_prep.py.

Raw layout: patients.csv (patient_id and label; folder where it is not named as the patient; site,
group, split, age, sex where known) and, in each patient's folder, DICOM files in any order and depth.
"""

from pathlib import Path

from data_prep.cases.dicom_case import OPERATIONS, SETTINGS, check_settings, dicom_source, read_source
from data_prep.cases.to_predict import Unlabelled, dicom_at
from data_prep.io.table import check_labels, check_patients, read_table
from data_prep.source import Source
from mri_tf.task import Task

__all__ = ["OPERATIONS", "SETTINGS", "list_sources", "read_source", "sources_to_predict"]
TABLE = "patients.csv"
FACTS = ("site", "age", "sex")


def list_sources(raw: Path, task: Task) -> list[Source]:
    """One source a row; raises InputError for settings or a table that cannot be used."""
    check_settings(task)
    rows = read_table(raw / TABLE, ("patient_id", "label"))
    check_patients(rows, TABLE)
    check_labels([row["label"] for row in rows], task, TABLE)
    return [
        dicom_source(
            raw,
            row.get("folder") or row["patient_id"],
            row["patient_id"],
            label=row["label"],
            group=row.get("group", ""),
            split=row.get("split", ""),
            facts={key: row[key] for key in FACTS if row.get(key)},
        )
        for row in rows
    ]


def sources_to_predict(path: Path, task: Task) -> list[Unlabelled]:
    """A patient's folder, a table of patients, or a folder of patients."""
    return dicom_at(path, TABLE)
