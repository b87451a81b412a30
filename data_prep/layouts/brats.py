"""Layout: BraTS cases of T1, T1 with contrast, T2 and FLAIR, with tumour labels, in one of these forms.

    {HGG,LGG}/<case>/<case>_{t1,t1ce,t2,flair,seg}.nii.gz   as in 2017

    <case>/<case>_{t1,t1ce,t2,flair,seg}.nii.gz             as in 2020 and 2021
    <case>/<case>-{t1n,t1c,t2w,t2f,seg}.nii.gz              as in 2023 and 2024
    <case>/{t1,t1ce,t2,flair,seg}.nii.gz                    with plain names
    *name_mapping*.csv                                      Grade, BraTS_2020_subject_ID; as in 2020

    split.csv                                               case, split; optional, beside any of them
    <table>                                                 with --labels: case (or patient_id), the
                                                            label's column and perhaps one of the sides;
                                                            for sets without grades

Files may also end in .nii. The sequences of a case are skull-stripped and on one grid. All tumour
labels become one. Where a name ends in the number of an examination, as in 2017 to 2019 and since 2023,
the patient is the name without it.
"""

import csv
import re
from dataclasses import replace
from pathlib import Path

import numpy as np

from data_prep.case import SPLIT, Case, side_named, split_column_of
from data_prep.cases.any_case import read_volumes
from data_prep.cases.any_to_predict import cases_at, holds_dicom
from data_prep.cases.case_volumes import Masks, read_labels, registered
from data_prep.cases.to_predict import CaseToPredict, folders_at
from data_prep.cases.usual_sequences import files_of_sequences
from data_prep.cases.volume_case import case_record
from data_prep.cases.volume_settings import OPERATIONS, check_settings
from data_prep.cases.volume_settings import SETTINGS as VOLUME_SETTINGS
from data_prep.io.labels import check_labels
from data_prep.io.table import Row, read_table, rows_by
from data_prep.recognised import MOST_FOLDERS_LOOKED_AT, Recognised, rows_of
from data_prep.volume import Volume
from mri_tf.core.errors import InputError, first_few
from mri_tf.core.words import composed
from mri_tf.store.record import Record
from mri_tf.task import Task

__all__ = [
    "MASK_ROLE", "OPERATIONS", "SETTINGS", "VERSION", "cases_to_predict", "list_cases", "read_case",
    "recognise",
]  # fmt: skip
VERSION = 3
SETTINGS = VOLUME_SETTINGS | {"label_column", "split_column"}
MASK_ROLE = "seg"  # the role of a mask given with --mask
SEQUENCES = ("t1", "t1ce", "t2", "flair")
GRADES = ("LGG", "HGG")
SUFFIXES = (".nii.gz", ".nii")
# Names whose last number is that of the examination: Brats18_CBICA_AAB_1, BraTS-GLI-00005-000.
EXAMINATION = re.compile(r"(?i)(brats1[789]_.+)_\d+|(brats-[a-z]+-\d+)-\d+")


def list_cases(raw: Path, task: Task, labels: Path | None = None) -> list[Case]:
    """One case per folder; raises InputError if there is none, or if a needed label is unknown."""
    check_settings(task, SEQUENCES)
    folders = _case_folders(raw)
    if not folders:
        raise InputError(
            "The raw folder holds no BraTS cases.", raw,
            "A case is a folder with <case>_flair.nii.gz (or -t2f, or flair) and its other sequences; "
            "it may lie in a folder HGG or LGG.",
        )  # fmt: skip
    grades, splits = {}, _splits(raw)
    if task.kind == "classification" and labels:
        rows, split = _rows_of_cases(labels, folders, task), split_column_of(task)
        grades = {name: row[task.prep.get("label_column", "label")] for name, row in rows.items()}
        if split in next(iter(rows.values())):
            splits = {composed(name): side_named(row[split]) for name, row in rows.items()}
    elif task.kind == "classification":
        grades = _grades(raw, folders)
    return [
        Case(
            patient=_patient_of(folder.name),
            files=_files(raw, folder),
            label=grades.get(folder.name, ""),
            split=splits.get(composed(folder.name), ""),
        )
        for folder in folders
    ]


def read_case(raw: Path, case: Case, task: Task) -> list[Record]:
    """The sequences of a case on the task's grid, with the whole tumour as mask, if it has one."""
    volumes, facts = read_volumes(raw, case, task)
    tumour = read_labels(raw, case, "seg")
    if tumour is not None:
        tumour = Volume((tumour.array > 0).astype(np.uint8), tumour.affine)
    volumes, tumour, placed = registered(volumes, tumour, task, SEQUENCES)
    case = replace(case, facts={**facts, **placed, **case.facts})
    return case_record(volumes, Masks(tumour), case, task, SEQUENCES)


def cases_to_predict(path: Path, task: Task) -> list[CaseToPredict]:
    """A case's folder, a table of cases (patient_id), or a folder of cases (or of HGG and LGG)."""
    if path.is_dir() and holds_dicom(path):
        return cases_at(path, task)
    form = "A case is a folder with <case>_flair.nii.gz and its other sequences."
    return folders_at(path, _sequence_files, form, depth=2)


def recognise(raw: Path, labels: Path | None) -> Recognised | None:
    """Folders with all four sequences, named as in a BraTS set or in folders of grades."""
    folders = _case_folders(raw)[:MOST_FOLDERS_LOOKED_AT]
    named = [folder for folder in folders
             if folder.name.lower().startswith("brats") or folder.parent.name in GRADES]  # fmt: skip
    if not named or any(len(_part_files(folder, SEQUENCES)) < len(SEQUENCES) for folder in named[:3]):
        return None
    why = f"{len(_case_folders(raw))} folders hold {', '.join(SEQUENCES)} as BraTS sets do"
    if labels:
        return Recognised(why, SEQUENCES, rows=tuple(rows_of(labels)), no_labels=("case",))
    return Recognised(why, SEQUENCES, class_names=GRADES)


def _sequence_files(folder: Path) -> dict[str, str]:
    """Sequence -> file name of those in a folder; a manual segmentation is ignored."""
    return _part_files(folder, SEQUENCES)


def _part_files(folder: Path, parts: tuple[str, ...], warn: bool = True) -> dict[str, str]:
    """Part -> file name of those sequences and labels of a case that are in its folder.

    A file that is there as .nii.gz and as .nii counts once.
    """
    files = [path for path in sorted(folder.glob("[!.]*")) if path.name.endswith(SUFFIXES)]
    stems = {path.name.partition(".nii")[0]: path for path in reversed(files)}
    return files_of_sequences(list(stems.values()), parts, warn)


def _case_folders(raw: Path) -> list[Path]:
    """Folders that hold several sequences, in the raw folder or in its HGG and LGG."""
    folders = [path for home in (raw, *(raw / grade for grade in GRADES)) for path in home.glob("*/")]
    return sorted(folder for folder in folders if _part_files(folder, SEQUENCES, warn=False))


def _patient_of(case: str) -> str:
    """The patient of a case's name.

    >>> _patient_of("BraTS-GLI-00005-001"), _patient_of("BraTS20_Training_001")
    ('BraTS-GLI-00005', 'BraTS20_Training_001')
    """
    found = EXAMINATION.fullmatch(case)
    return next(filter(None, found.groups())) if found else case


def _files(raw: Path, folder: Path) -> dict[str, str]:
    """The sequences in a folder, and always the labels, so that reading says where they are missing."""
    files = _part_files(folder, (*SEQUENCES, "seg"))
    files.setdefault("seg", f"{folder.name}_seg.nii.gz")
    return {part: f"{folder.relative_to(raw)}/{name}" for part, name in files.items()}


def _grades(raw: Path, folders: list[Path]) -> dict[str, str]:
    """Grade by case, from the folder above it or a name-mapping table; raises InputError."""
    grades = {path.name: path.parent.name for path in folders if path.parent.name in GRADES}
    for table in sorted(raw.glob("*name_mapping*.csv")):
        with table.open(newline="", encoding="utf-8-sig") as file:
            for row in csv.DictReader(file):
                for column, name in row.items():
                    if column == "Grade" or not name or row.get("Grade") not in GRADES:
                        continue
                    if grades.setdefault(name, row["Grade"]) != row["Grade"] and name != "NA":
                        raise InputError(
                            "A case has two grades.", f"{name}: {grades[name]} and {row['Grade']}",
                            f"Correct {table.name}, or move the case to the other folder.",
                        )  # fmt: skip
    without = [path.name for path in folders if path.name not in grades]
    if without:
        raise InputError(
            "The grades of the cases are incomplete.", f"no grade for {first_few(without)}",
            "Put each case into a folder HGG or LGG or, as in 2020, into the column Grade of "
            "name_mapping.csv; BraTS 2021 has no grades.",
        )  # fmt: skip
    return grades


def _rows_of_cases(table: Path, folders: list[Path], task: Task) -> dict[str, Row]:
    """Row by case, from a table with the case's name or the patient's; raises InputError."""
    column, split = task.prep.get("label_column", "label"), split_column_of(task)
    needed = (column,) if split == SPLIT else (column, split)
    first = read_table(table, needed)[0]
    key = next((name for name in ("case", "patient_id") if name in first), "")
    rows = read_table(table, (key or "case", *needed))
    check_labels(rows, column, task, table.name)
    told = (column, *({split} & set(rows[0])))
    by_key = rows_by([row for row in rows if row[column]], key, told, table.name)
    found = {
        path.name: by_key.get(name) or by_key.get(_patient_of(name))
        for path in folders for name in [composed(path.name)]
    }
    without = [name for name, row in found.items() if not row]
    if without:
        raise InputError(
            f"{table.name} has no label for some cases.", first_few(without),
            "Add a row for each case, with its folder's name in the column case.",
        )  # fmt: skip
    return found


def _splits(raw: Path) -> dict[str, str]:
    if not (raw / "split.csv").is_file():
        return {}
    rows = read_table(raw / "split.csv", ("case", "split"))
    return {row["case"]: side_named(row["split"]) for row in rows}
