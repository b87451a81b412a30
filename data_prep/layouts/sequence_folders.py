"""Layout: a folder for each patient with a NIfTI file for each sequence, and a table (TCGA-LGG).

    manifest.csv                  patient_id; the label column; optional: site, age, sex, group, split
    <patient>/<sequence>.nii.gz   named as the channels of the task; any may be missing
    <patient>/seg.nii.gz          the tumour's mask

The spacing in the headers of this set is nominal, and the records say so. Rows without a label are left
out of a classification task.
"""

import dataclasses
from functools import partial
from pathlib import Path

from data_prep.case import Case
from data_prep.cases.to_predict import CaseToPredict, folders_at
from data_prep.cases.volume_case import (
    OPERATIONS,
    case_record,
    check_settings,
    read_labels,
    read_volume,
    sequences_of,
)
from data_prep.cases.volume_case import SETTINGS as VOLUME_SETTINGS
from data_prep.io.table import check_labels, check_patients, read_table
from mri_tf.store.record import NOMINAL, Record
from mri_tf.task import Task

__all__ = ["OPERATIONS", "SETTINGS", "VERSION", "cases_to_predict", "list_cases", "read_case"]
VERSION = 2
SETTINGS = VOLUME_SETTINGS | {"label_column"}
FACTS = ("site", "age", "sex")


def list_cases(raw: Path, task: Task) -> list[Case]:
    """One case per row of manifest.csv; raises InputError for a table that cannot be used."""
    check_settings(task, sequences_of(task))
    column = task.prep.get("label_column", "")
    rows = read_table(raw / "manifest.csv", ("patient_id", *([column] if column else [])))
    check_patients(rows, "manifest.csv")
    if task.kind == "classification":
        check_labels(rows, column, task, "manifest.csv")
        rows = [row for row in rows if row[column]]  # only graded patients
    return [
        Case.from_row(
            row,
            _files(raw, row["patient_id"], task),
            row[column] if task.kind == "classification" else "",
            FACTS,
        )
        for row in rows
    ]


def _files(raw: Path, patient: str, task: Task) -> dict[str, str]:
    """The patient's sequences, and always the mask, so that reading says where it is missing."""
    names = {**_sequence_files(raw / patient, task), "mask": "seg.nii.gz"}
    return {role: f"{patient}/{name}" for role, name in names.items()}


def read_case(raw: Path, case: Case, task: Task) -> list[Record]:
    """The patient's sequences and the tumour mask, if there is one, on the task's grid."""
    sequences = sequences_of(task)
    volumes = {name: read_volume(raw, case, name) for name in sequences if name in case.files}
    mask = read_labels(raw, case, "mask")
    case = dataclasses.replace(case, facts={**case.facts, "spacing": NOMINAL})
    return case_record(volumes, mask, case, task, sequences)


def cases_to_predict(path: Path, task: Task) -> list[CaseToPredict]:
    """A patient's folder, a table of patients, or a folder of patients; masks are ignored."""
    names = ", ".join(f"{name}.nii.gz" for name in sequences_of(task))
    form = f"A patient is a folder with at least one of {names}."
    return folders_at(path, partial(_sequence_files, task=task), form)


def _sequence_files(folder: Path, task: Task) -> dict[str, str]:
    """Sequence -> file name of those in a folder."""
    names = {sequence: f"{sequence}.nii.gz" for sequence in sequences_of(task)}
    return {sequence: name for sequence, name in names.items() if (folder / name).is_file()}
