"""Layout: a folder of DICOM files for each patient, and a table.

    patients.csv         patient_id, label; optional: folder (if not named as the patient), site, group,
                         split, age, sex
    <patient>/**/<any>   DICOM files in any order and depth
"""

from pathlib import Path

from data_prep.case import Case, kept_columns, split_column_of
from data_prep.cases.any_to_predict import cases_at, holds_volumes
from data_prep.cases.dicom_case import (
    OPERATIONS,
    check_settings,
    dicom_files,
    identities,
    read_case,
)
from data_prep.cases.dicom_case import SETTINGS as DICOM_SETTINGS
from data_prep.cases.to_predict import CaseToPredict, dicom_at
from data_prep.io.folders import files_below
from data_prep.io.labels import check_labels
from data_prep.io.table import Row, check_patients, is_empty, path_in, read_table
from data_prep.recognised import (
    MOST_FOLDERS_LOOKED_AT,
    NEARLY_ALL,
    Recognised,
    dicom_sequences,
    rows_of,
)
from mri_tf.task import Task

__all__ = [
    "OPERATIONS", "SETTINGS", "VERSION", "cases_to_predict", "identities", "list_cases", "read_case",
    "recognise",
]  # fmt: skip
VERSION = 3
TABLE = "patients.csv"
SETTINGS = DICOM_SETTINGS | {"label_column", "split_column", "covariates"}
FACTS = ("site", "age", "sex")


def list_cases(raw: Path, task: Task, labels: Path | None = None) -> list[Case]:
    """One case per row; raises InputError for settings or a table that cannot be used."""
    check_settings(task)
    table, column = labels or raw / TABLE, task.prep.get("label_column", "label")
    rows = read_table(table, ("patient_id", column))
    check_patients(rows, table.name)
    check_labels(rows, column, task, table.name)
    covariates = kept_columns(FACTS, rows[0], task, column)
    folders = [path_in(raw, _folder(row)) for row in rows]
    return [
        Case.from_row(row, dicom_files(raw, folder), row[column], covariates, split_column_of(task))
        for row, folder in zip(rows, folders, strict=True)
    ]


def _folder(row: Row) -> str:
    """Where a patient's files lie: the column folder or, where it is empty, the patient's id."""
    named = row.get("folder", "")
    return row.get("patient_id", "") if is_empty(named) else named


def recognise(raw: Path, labels: Path | None) -> Recognised | None:
    """A table of the layout's name whose patients have folders of DICOM."""
    table = raw / TABLE
    rows = rows_of(table) if table.is_file() and not labels else []
    folders = [raw / path_in(raw, _folder(row)) for row in rows]
    some = [(folder, files_below(folder)) for folder in folders[:MOST_FOLDERS_LOOKED_AT]]
    some = [(folder, files) for folder, files in some if files and folder != raw]
    if len(some) < NEARLY_ALL * len(folders[:MOST_FOLDERS_LOOKED_AT]) or not some:
        return None
    rules = dicom_sequences(some)
    if not rules:
        return None
    return Recognised(
        f"the patients of {TABLE} have folders of DICOM", tuple(rules), rows=tuple(rows),
        prep={"sequences": rules}, no_labels=("folder",),
    )  # fmt: skip


def cases_to_predict(path: Path, task: Task) -> list[CaseToPredict]:
    """A patient's folder, a table of patients, or a folder of patients; of DICOM, or of files named as
    the sequences."""
    if path.is_dir() and not (path / TABLE).is_file() and holds_volumes(path):
        return cases_at(path, task)
    return dicom_at(path, TABLE)
