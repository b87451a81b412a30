"""Layout: a folder for each patient with a volume file for each sequence, and a table (TCGA-LGG).

    manifest.csv                  patient_id; the label column; optional: site, age, sex, group, split;
                                  another table is named with `prep["table"]` or --labels
    <patient>/<sequence>.nii.gz   named as the channels of the task, also after other words
                                  (P1_t1.nii.gz), or in another format; any may be missing
    <patient>/seg.nii.gz          the tumour's mask, or mask.nii.gz
    <patient>/brainmask.nii.gz    the brain, for `prep["brain_mask"]` "file"

Rows without a label are left out of a classification task. With `prep["nominal_spacing"]` the records
say that the spacing in the headers is not the true one.
"""

import dataclasses
from functools import partial
from pathlib import Path

from data_prep.case import Case, kept_columns, split_column_of
from data_prep.cases.any_case import read_volumes
from data_prep.cases.any_to_predict import cases_at, holds_dicom
from data_prep.cases.case_volumes import first_of, masks_of, read_labels, registered
from data_prep.cases.to_predict import CaseToPredict, folders_at, is_table
from data_prep.cases.usual_sequences import BRAIN_WORDS, files_of_sequences, last_word
from data_prep.cases.volume_case import case_record
from data_prep.cases.volume_settings import OPERATIONS, check_settings, sequences_of
from data_prep.cases.volume_settings import SETTINGS as VOLUME_SETTINGS
from data_prep.io.labels import check_labels
from data_prep.io.table import check_patients, path_in, read_table
from data_prep.recognised import (
    NEARLY_ALL,
    Recognised,
    channels_of_folders,
    is_volume,
    path_columns,
    rows_of,
    tables_at,
)
from mri_tf.core.errors import InputError
from mri_tf.core.progress import say_once
from mri_tf.store.record import NOMINAL, Record
from mri_tf.task import Task

__all__ = [
    "OPERATIONS", "SETTINGS", "VERSION", "cases_to_predict", "list_cases", "read_case", "recognise",
]  # fmt: skip
VERSION = 3
TABLE = "manifest.csv"
SETTINGS = VOLUME_SETTINGS | {
    "label_column", "split_column", "table", "covariates", "nominal_spacing", "brain_mask",
}  # fmt: skip
FACTS = ("site", "scanner", "age", "sex")
MASKS = ("seg", "mask")


def list_cases(raw: Path, task: Task, labels: Path | None = None) -> list[Case]:
    """One case per row of the table; raises InputError for a table that cannot be used."""
    check_settings(task, sequences_of(task))
    column = task.prep.get("label_column", "")
    if task.kind == "classification" and not column:
        raise InputError(
            f"Task {task.name} must say which column of the table holds the labels.",
            "no label_column in prep", "Add it, or give --label COLUMN.",
        )  # fmt: skip
    table = labels or raw / task.prep.get("table", TABLE)
    rows = read_table(table, ("patient_id", *([column] if column else [])))
    check_patients(rows, table.name)
    if task.kind == "classification":
        check_labels(rows, column, task, table.name)
        labelled = [row for row in rows if row[column]]  # only graded patients
        if left_out := len(rows) - len(labelled):
            say_once(f"{left_out} rows of {table.name} have no label and are left out")
        rows = labelled
    return [
        Case.from_row(
            row,
            _files(raw, path_in(raw, row["patient_id"]), task),
            row[column] if task.kind == "classification" else "",
            kept_columns(FACTS, row, task, column),
            split_column_of(task),
        )
        for row in rows
    ]


def recognise(raw: Path, labels: Path | None) -> Recognised | None:
    """A table whose patients have folders of volumes."""
    for table in tables_at(raw, labels):
        rows = rows_of(table)
        if rows and path_columns(raw, rows):
            continue  # a table of files is that of another layout
        folders = [raw / path_in(raw, row["patient_id"]) for row in rows if row.get("patient_id")]
        folders = [folder for folder in folders if folder.is_dir()]
        channels = channels_of_folders(folders)
        if channels and len(folders) >= NEARLY_ALL * len(rows):
            named = {} if labels or table.name == TABLE else {"table": table.name}
            return Recognised(
                f"the patients of {table.name} have folders with {', '.join(channels)}", channels,
                rows=tuple(rows), prep=named,
            )  # fmt: skip
    return None


def _files(raw: Path, patient: str, task: Task) -> dict[str, str]:
    """The patient's sequences, and of a segmentation always the mask, so that reading says where it is
    missing."""
    files = _volumes_in(raw / patient)
    masks = [path.name for word in MASKS for path in files if last_word(path.name) == word]
    names = _sequence_files(raw / patient, task)
    brains = [path.name for path in files if last_word(path.name) in BRAIN_WORDS]
    if brains and task.prep.get("brain_mask") == "file":
        names["brain_mask"] = brains[0]
    if masks or task.kind == "segmentation":
        names["mask"] = masks[0] if masks else "seg.nii.gz"
    names = names or {"image": ""}  # reading it says that there is none
    return {role: f"{patient}/{name}" for role, name in names.items()}


def read_case(raw: Path, case: Case, task: Task) -> list[Record]:
    """The patient's sequences and the tumour mask, if there is one, on the task's grid."""
    sequences = sequences_of(task)
    volumes, facts = read_volumes(raw, case, task)
    mask = read_labels(raw, case, "mask")
    volumes, mask, placed = registered(volumes, mask, task, sequences)
    case = dataclasses.replace(case, facts={**facts, **placed, **case.facts})
    if task.prep.get("nominal_spacing"):
        case = dataclasses.replace(case, facts={**case.facts, "spacing": NOMINAL})
    masks = masks_of(raw, case, task, mask, first_of(volumes, sequences))
    return case_record(volumes, masks, case, task, sequences)


def cases_to_predict(path: Path, task: Task) -> list[CaseToPredict]:
    """A patient's folder, a table of patients, or a folder of patients, with files named as the
    sequences or with DICOM; masks are ignored."""
    if path.is_dir() and holds_dicom(path) or path.is_file() and not is_table(path):
        return cases_at(path, task)
    names = ", ".join(sequences_of(task))
    form = f"A patient is a folder with files named {names} (t1.nii.gz, P01_t1.nii.gz)."
    return folders_at(path, partial(_sequence_files, task=task), form)


def _sequence_files(folder: Path, task: Task) -> dict[str, str]:
    """Sequence -> file name of those in a folder."""
    return files_of_sequences(_volumes_in(folder), sequences_of(task))


def _volumes_in(folder: Path) -> list[Path]:
    return [path for path in sorted(folder.glob("[!.]*")) if is_volume(path.name) and path.is_file()]
