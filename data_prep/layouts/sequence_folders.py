"""Layout: a folder a patient with a NIfTI file a sequence, and a table (TCGA-LGG).

    manifest.csv                  patient_id; the label column; site, age, sex, group, split if known
    <patient>/<sequence>.nii.gz   as the channels of the task are called; any may be missing
    <patient>/seg.nii.gz          the tumour's mask

The spacing in the headers of this set is nominal, and the records say so.
"""

import dataclasses
from functools import partial
from pathlib import Path

from data_prep.case import Case
from data_prep.cases.to_predict import CaseToPredict, folders_at
from data_prep.cases.volume_case import OPERATIONS, check_settings, sequences_of, study_record
from data_prep.cases.volume_case import SETTINGS as STUDY_SETTINGS
from data_prep.io.nifti import read_nifti
from data_prep.io.table import check_labels, check_patients, read_table
from data_prep.volume import three_dimensional
from mri_tf.store.record import NOMINAL, Record
from mri_tf.task import Task

__all__ = ["OPERATIONS", "SETTINGS", "VERSION", "cases_to_predict", "list_cases", "read_case"]
VERSION = 1
SETTINGS = STUDY_SETTINGS | {"label_column"}
FACTS = ("site", "age", "sex")


def list_cases(raw: Path, task: Task) -> list[Case]:
    """One source a row of manifest.csv; raises InputError for a table that cannot be used."""
    check_settings(task, sequences_of(task))
    column = task.prep.get("label_column", "")
    rows = read_table(raw / "manifest.csv", ("patient_id", *([column] if column else [])))
    check_patients(rows, "manifest.csv")
    if task.kind == "classification":
        rows = [row for row in rows if row[column]]  # a grade nobody gave is no class
        check_labels([row[column] for row in rows], task, "manifest.csv")
    return [
        Case(
            patient=row["patient_id"],
            files=_files(raw, row["patient_id"], task),
            label=row[column] if task.kind == "classification" else "",
            group=row.get("group", ""),
            split=row.get("split", ""),
            facts={key: row[key] for key in FACTS if row.get(key)},
        )
        for row in rows
    ]


def _files(raw: Path, patient: str, task: Task) -> dict[str, str]:
    """Those that are there; the mask always, so that its lack has a reason."""
    there = _sequence_files(raw / patient, task)
    there = {name: f"{patient}/{file}" for name, file in there.items()}
    return {**there, "mask": f"{patient}/seg.nii.gz"}


def read_case(raw: Path, case: Case, task: Task) -> list[Record]:
    """The sequences that are there and the tumour mask, if there is one, on the task's grid."""
    volumes = {
        name: three_dimensional(read_nifti(raw / case.files[name]))
        for name in sequences_of(task)
        if name in case.files
    }
    mask = None
    if "mask" in case.files:
        mask = three_dimensional(read_nifti(raw / case.files["mask"]))
    case = dataclasses.replace(case, facts={**case.facts, "spacing": NOMINAL})
    return study_record(volumes, mask, case, task, sequences_of(task))


def cases_to_predict(path: Path, task: Task) -> list[CaseToPredict]:
    """A patient's folder, a table of patients, or a folder of patients; masks are not looked at."""
    names = ", ".join(f"{name}.nii.gz" for name in sequences_of(task))
    rule = f"A patient is a folder with one of {names}."
    return folders_at(path, partial(_sequence_files, task=task), rule)


def _sequence_files(folder: Path, task: Task) -> dict[str, str]:
    """Sequence -> file name of those that are there."""
    there = {name: f"{name}.nii.gz" for name in sequences_of(task)}
    return {name: file for name, file in there.items() if (folder / file).is_file()}
