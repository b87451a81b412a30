"""Layout: BraTS cases of T1, T1 with contrast, T2 and FLAIR, with tumour labels, in one of these forms.

    {HGG,LGG}/<case>/<case>_{t1,t1ce,t2,flair,seg}.nii.gz   as in 2017

    <case>/<case>_{t1,t1ce,t2,flair,seg}.nii.gz             as in 2020 and 2021
    *name_mapping*.csv                                      Grade, BraTS_2020_subject_ID; as in 2020:
                                                            2021 has no grades, for segmentation only

    split.csv                                               case, split; optional, beside either of them

Files may also end in .nii. The sequences of a case are skull-stripped and on one grid. All tumour
labels become one.
"""

import csv
from pathlib import Path

import numpy as np

from data_prep.case import Case, side_named
from data_prep.cases.to_predict import CaseToPredict, folders_at
from data_prep.cases.volume_case import (
    OPERATIONS,
    SETTINGS,
    case_record,
    check_settings,
    read_labels,
    read_volume,
)
from data_prep.io.table import read_table
from data_prep.volume import Volume
from mri_tf.core.errors import InputError, first_few
from mri_tf.store.record import Record
from mri_tf.task import Task

__all__ = [
    "MASK_ROLE", "OPERATIONS", "SETTINGS", "VERSION", "cases_to_predict", "list_cases", "read_case",
]  # fmt: skip
VERSION = 2
MASK_ROLE = "seg"  # the role of a mask given with --mask
SEQUENCES = ("t1", "t1ce", "t2", "flair")
GRADES = ("LGG", "HGG")
SUFFIXES = (".nii.gz", ".nii")


def list_cases(raw: Path, task: Task) -> list[Case]:
    """One case per folder; raises InputError if there is none, or if a needed grade is unknown."""
    check_settings(task, SEQUENCES)
    folders = _case_folders(raw)
    if not folders:
        raise InputError(
            "The raw folder holds no BraTS cases.", raw,
            "A case is a folder with <case>_flair.nii.gz and its other sequences; it may lie in "
            "a folder HGG or LGG.",
        )  # fmt: skip
    grades = _grades(raw, folders) if task.kind == "classification" else {}
    splits = _splits(raw)
    return [
        Case(
            patient=folder.name,
            files=_files(raw, folder),
            label=grades.get(folder.name, ""),
            split=splits.get(folder.name, ""),
        )
        for folder in folders
    ]


def read_case(raw: Path, case: Case, task: Task) -> list[Record]:
    """The sequences of a case on the task's grid, with the whole tumour as mask, if it has one."""
    volumes = {name: read_volume(raw, case, name) for name in SEQUENCES if name in case.files}
    tumour = read_labels(raw, case, "seg")
    if tumour is not None:
        tumour = Volume((tumour.array > 0).astype(np.uint8), tumour.affine)
    return case_record(volumes, tumour, case, task, SEQUENCES)


def cases_to_predict(path: Path, task: Task) -> list[CaseToPredict]:
    """A case's folder, a table of cases (patient_id), or a folder of cases (or of HGG and LGG)."""
    form = "A case is a folder with <case>_flair.nii.gz and its other sequences."
    return folders_at(path, _sequence_files, form, depth=2)


def _sequence_files(folder: Path) -> dict[str, str]:
    """Sequence -> file name of those in a folder; a manual segmentation is ignored."""
    return _part_files(folder, folder.resolve().name, SEQUENCES)


def _part_files(folder: Path, case: str, parts: tuple[str, ...]) -> dict[str, str]:
    """Part -> file name of those sequences and labels of a case that are in its folder."""
    files = {}
    for part in parts:
        for name in (f"{case}_{part}{suffix}" for suffix in SUFFIXES):
            if (folder / name).is_file():
                files.setdefault(part, name)
    return files


def _case_folders(raw: Path) -> list[Path]:
    """Folders that hold files named as the folder, in the raw folder or in its HGG and LGG."""
    folders = [path for home in (raw, *(raw / grade for grade in GRADES)) for path in home.glob("*/")]
    return sorted(folder for folder in folders if any(folder.glob(f"{folder.name}_*.nii*")))


def _files(raw: Path, folder: Path) -> dict[str, str]:
    """The sequences in a folder, and always the labels, so that reading says where they are missing."""
    files = _part_files(folder, folder.name, (*SEQUENCES, "seg"))
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


def _splits(raw: Path) -> dict[str, str]:
    if not (raw / "split.csv").is_file():
        return {}
    rows = read_table(raw / "split.csv", ("case", "split"))
    return {row["case"]: side_named(row["split"]) for row in rows}
