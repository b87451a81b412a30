"""Finds the examinations among DICOM files of any folders, by their headers alone."""

import functools
import os
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

from data_prep.cases.dicom_case import NO_PATIENT
from data_prep.io.dicom.header import read_identities
from data_prep.io.folders import files_below
from data_prep.io.volume_file import may_be_dicom
from mri_tf.core.errors import InputError
from mri_tf.core.progress import progress
from mri_tf.core.words import composed

KEYWORDS = ("PatientID", "StudyInstanceUID", "AccessionNumber")


@dataclass(frozen=True)
class Examination:
    """The files of one StudyInstanceUID of one patient, by their headers."""

    patient: str  # PatientID; empty where it names nobody
    accession: str
    files: tuple[str, ...]  # relative to the raw folder

    @property
    def anonymous(self) -> bool:
        """Whether the headers do not say whose it is."""
        return not self.patient

    @property
    def folder(self) -> str:
        """The deepest folder that holds all its files, relative to the raw folder; may be empty."""
        return os.path.commonpath([os.path.dirname(file) for file in self.files])


def examinations(raw: Path) -> list[Examination]:
    """The examinations in a raw folder, in the order of their files; raises InputError for none."""
    if not raw.is_dir():
        raise InputError("--raw must be a folder.", raw, "Give the folder of the raw data.")
    files = [path for path in files_below(raw) if may_be_dicom(path.name)]
    newest = max((path.stat().st_mtime_ns for path in files), default=0)
    found = _examinations(raw, len(files), newest)
    if not found:
        raise InputError(
            "The raw folder holds no DICOM files.", raw, "Give the folder that holds them, at any depth."
        )
    return list(found)


@functools.lru_cache(maxsize=4)  # a command asks several times
def _examinations(raw: Path, count: int, newest: int) -> tuple[Examination, ...]:
    files_of: dict[tuple[str, str], list[str]] = defaultdict(list)
    accessions: dict[tuple[str, str], str] = {}
    files = [path for path in files_below(raw) if may_be_dicom(path.name)]
    with progress("reading DICOM headers", count) as advance:
        for number, path in enumerate(files):
            values = read_identities(path, KEYWORDS)
            study = values.get("StudyInstanceUID", "")
            patient = composed(values.get("PatientID", ""))
            if study or patient:
                named = patient and patient.lower() not in NO_PATIENT
                key = (patient if named else "", study)
                files_of[key].append(str(path.relative_to(raw)))
                accessions.setdefault(key, values.get("AccessionNumber", ""))
            advance(number + 1)
    return tuple(Examination(key[0], accessions[key], tuple(paths)) for key, paths in files_of.items())
