"""Lower-grade gliomas with tumour masks: FLAIR and T1 before and after contrast, NIfTI a patient.

Raw layout: manifest.csv (patient_id; site and age where known) and, in a folder a patient,
flair.nii.gz, t1pre.nii.gz, t1post.nii.gz (any may be missing) and seg.nii.gz. The prepared grid
stretches each axis: true spacings are unknown, and the record says so.
"""

import dataclasses
from pathlib import Path

from data_prep.cases.to_predict import Unlabelled, folders_at
from data_prep.cases.volume_case import OPERATIONS, check_settings, study_record
from data_prep.cases.volume_case import SETTINGS as STUDY_SETTINGS
from data_prep.io.nifti import read_nifti
from data_prep.io.table import check_labels, check_patients, read_table
from data_prep.phantom.glioma.lgg import write_lgg_phantom
from data_prep.source import Source
from data_prep.volume import three_dimensional
from mri_tf.store.record import NOMINAL, Record
from mri_tf.task import Task

__all__ = [
    "OPERATIONS", "SETTINGS", "list_sources", "read_source", "sources_to_predict", "write_phantom",
]  # fmt: skip
SETTINGS = STUDY_SETTINGS | {"label_column"}
SEQUENCES = ("flair", "t1pre", "t1post")
FACTS = ("site", "age", "sex")


def list_sources(raw: Path, task: Task) -> list[Source]:
    """One source a row of manifest.csv; raises InputError for a table that cannot be used."""
    check_settings(task, SEQUENCES)
    column = task.prep.get("label_column", "")
    rows = read_table(raw / "manifest.csv", ("patient_id", *([column] if column else [])))
    check_patients(rows, "manifest.csv")
    if task.kind == "classification":
        rows = [row for row in rows if row[column]]  # a grade nobody gave is no class
        check_labels([row[column] for row in rows], task, "manifest.csv")
    return [
        Source(
            patient=row["patient_id"],
            files=_files(raw, row["patient_id"]),
            label=row[column] if task.kind == "classification" else "",
            group=row.get("group", ""),
            split=row.get("split", ""),
            facts={key: row[key] for key in FACTS if row.get(key)},
        )
        for row in rows
    ]


def _files(raw: Path, patient: str) -> dict[str, str]:
    """Those that are there; the mask always, so that its lack has a reason."""
    there = {name: f"{patient}/{name}.nii.gz" for name in SEQUENCES}
    there = {name: file for name, file in there.items() if (raw / file).is_file()}
    return {**there, "mask": f"{patient}/seg.nii.gz"}


def read_source(raw: Path, source: Source, task: Task) -> list[Record]:
    """The sequences that are there and the tumour mask, if there is one, on the task's grid."""
    volumes = {
        name: three_dimensional(read_nifti(raw / source.files[name]))
        for name in SEQUENCES
        if name in source.files
    }
    mask = None
    if "mask" in source.files:
        mask = three_dimensional(read_nifti(raw / source.files["mask"]))
    source = dataclasses.replace(source, facts={**source.facts, "spacing": NOMINAL})
    return study_record(volumes, mask, source, task, SEQUENCES)


def sources_to_predict(path: Path, task: Task) -> list[Unlabelled]:
    """A patient's folder, a table of patients, or a folder of patients; masks are not looked at."""
    rule = f"A patient is a folder with one of {', '.join(f'{name}.nii.gz' for name in SEQUENCES)}."
    return folders_at(path, _sequence_files, rule)


def _sequence_files(folder: Path) -> dict[str, str]:
    there = {name: f"{name}.nii.gz" for name in SEQUENCES}
    return {name: file for name, file in there.items() if (folder / file).is_file()}


def write_phantom(folder: Path, patients: int, seed: int, signal: bool, progress=None) -> None:
    """The glioma phantom in this layout."""
    write_lgg_phantom(folder, patients, seed, signal, progress)
