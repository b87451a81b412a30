"""BraTS studies: T1, T1 with contrast, T2 and FLAIR on one grid, skull-stripped, with tumour labels.

Raw layouts, told apart by what is there:
  2017         {HGG,LGG}/<case>/<case>_{t1,t1ce,t2,flair,seg}.nii.gz
  2020         <case>/<case>_*.nii.gz and a name-mapping CSV with the columns Grade and
               BraTS_2020_subject_ID
  2021         <case>/<case>_*.nii.gz without grades: for segmentation only
A table split.csv (case, split) beside them names who is trained on. Files may end in .nii too.
All tumour labels are one.
"""

import csv
from pathlib import Path

import numpy as np

from data_prep.case import Case
from data_prep.cases.to_predict import CaseToPredict, folders_at
from data_prep.cases.volume_case import OPERATIONS, SETTINGS, check_settings, study_record
from data_prep.io.nifti import read_nifti
from data_prep.io.table import read_table
from data_prep.volume import Volume, three_dimensional
from mri_tf.core.errors import InputError, first_few
from mri_tf.store.record import Record
from mri_tf.task import Task

__all__ = [
    "MASK_ROLE", "OPERATIONS", "SETTINGS", "VERSION", "cases_to_predict", "list_cases", "read_case",
]  # fmt: skip
VERSION = 1
MASK_ROLE = "seg"  # of a mask that a user gives
SEQUENCES = ("t1", "t1ce", "t2", "flair")
GRADES = ("LGG", "HGG")
SUFFIXES = (".nii.gz", ".nii")


def list_cases(raw: Path, task: Task) -> list[Case]:
    """One source a case; raises InputError if there is none, or if a grade is needed and unknown."""
    check_settings(task, SEQUENCES)
    folders = _case_folders(raw)
    if not folders:
        raise InputError(
            f"The raw folder of {task.name} holds BraTS cases.", f"{raw} without any",
            "A case is a folder with <case>_flair.nii.gz and its other sequences; it may lie in "
            "HGG or LGG.",
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
    volumes = {
        name: three_dimensional(read_nifti(raw / case.files[name]))
        for name in SEQUENCES
        if name in case.files
    }
    tumour = None
    if "seg" in case.files:
        labels = three_dimensional(read_nifti(raw / case.files["seg"]))
        tumour = Volume((labels.array > 0).astype(np.uint8), labels.affine)
    return study_record(volumes, tumour, case, task, SEQUENCES)


def cases_to_predict(path: Path, task: Task) -> list[CaseToPredict]:
    """A case's folder, a table of cases (patient_id), or a folder of cases (or of HGG and LGG)."""
    rule = "A case is a folder with <case>_flair.nii.gz and its other sequences."
    return folders_at(path, _sequence_files, rule, depth=2)


def _sequence_files(folder: Path) -> dict[str, str]:
    """Those that are there; a manual segmentation is not looked at."""
    name, files = folder.resolve().name, {}
    for sequence in SEQUENCES:
        for file in (f"{name}_{sequence}{suffix}" for suffix in SUFFIXES):
            if (folder / file).is_file():
                files.setdefault(sequence, file)
    return files


def _case_folders(raw: Path) -> list[Path]:
    """Folders that hold files of their own name, in the raw folder or in its HGG and LGG."""
    folders = [path for home in (raw, *(raw / grade for grade in GRADES)) for path in home.glob("*/")]
    return sorted(folder for folder in folders if any(folder.glob(f"{folder.name}_*.nii*")))


def _files(raw: Path, folder: Path) -> dict[str, str]:
    """Those that are there; the labels always, so that their lack has a reason."""
    files = {}
    for name in (*SEQUENCES, "seg"):
        there = [folder / f"{folder.name}_{name}{suffix}" for suffix in SUFFIXES]
        there = [path for path in there if path.is_file()]
        if there or name == "seg":
            path = there[0] if there else folder / f"{folder.name}_{name}.nii.gz"
            files[name] = str(path.relative_to(raw))
    return files


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
                            "A case has one grade.", f"{name}: {grades[name]} and {row['Grade']}",
                            f"Correct {table.name}, or move the case.",
                        )  # fmt: skip
    without = [path.name for path in folders if path.name not in grades]
    if without:
        raise InputError(
            "A grade is the folder above a case (HGG, LGG) or the column Grade of "
            "name_mapping.csv; BraTS 2021 gives none.",
            f"no grade for {first_few(without)}",
            "Add the table, or remove these cases.",
        )
    return grades


def _splits(raw: Path) -> dict[str, str]:
    if not (raw / "split.csv").is_file():
        return {}
    return {row["case"]: row["split"] for row in read_table(raw / "split.csv", ("case", "split"))}
