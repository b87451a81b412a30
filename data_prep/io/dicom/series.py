"""Reads DICOM folders as Volumes in RAS, one per stack of slices, with the reasons for unused files.

Files are grouped by SeriesInstanceUID; the names of files and subfolders do not matter. Every file
ends up either in a series or in one entry of `refused`.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np

from data_prep.case import Unreadable
from data_prep.io.dicom.companions import separate
from data_prep.io.dicom.header import Header, read_header
from data_prep.io.dicom.pixels import values_of
from data_prep.io.dicom.slices import Slice
from data_prep.io.dicom.stack import lps_to_indices, split_into_stacks
from data_prep.io.folders import files_below
from data_prep.volume import LPS_TO_RAS, Volume, to_ras_volume

NO_SERIES = "no SeriesInstanceUID, which says which slices belong together"


class Refused(NamedTuple):
    """Files that give no Volume, and why; the reason contains no path, name, date or UID."""

    reason: str
    files: tuple[Path, ...]


@dataclass(frozen=True)
class Series:
    """A stack of slices whose pixel data are not read yet.

    `patient_id` enters records only as a pseudonym (data_prep/prepare/pseudonyms.py). `description`
    is free text that may contain names: it helps to choose a sequence and is not stored.
    """

    facts: dict
    patient_id: str = field(repr=False)
    description: str = field(repr=False)
    institution: str = field(repr=False)
    stack: tuple[Slice, ...] = field(repr=False)

    @property
    def files(self) -> tuple[Path, ...]:
        """Each file once, in the order of its slices."""
        return tuple(dict.fromkeys(item.file for item in self.stack))

    @property
    def affine(self) -> np.ndarray:
        """(4, 4), from (column, row, slice) to RAS mm."""
        return LPS_TO_RAS @ lps_to_indices(list(self.stack))

    def read(self) -> Volume:
        """Reads the pixel data as a Volume with the series' facts; raises Unreadable."""
        affine = self.affine
        values = values_of(list(self.stack))  # (slices, rows, columns)
        return to_ras_volume(values.transpose(2, 1, 0), affine, dict(self.facts))


@dataclass(frozen=True)
class FolderContents:
    """The series of a folder, from headers alone, and the files that belong to none."""

    series: tuple[Series, ...]
    refused: tuple[Refused, ...]


class DicomFolder(list):
    """The Volumes of a folder; the i-th was read from `series[i]`."""

    def __init__(self, volumes: list[Volume], series: list[Series], refused: list[Refused]):
        super().__init__(volumes)
        self.series = series
        self.refused = refused

    def __repr__(self) -> str:
        return f"DicomFolder({len(self)} volumes, {len(self.refused)} refused)"


def read_dicom(folder: Path, site: Callable[[str], str] | None = None) -> DicomFolder:
    """Reads all series of a folder with its subfolders, or of one file.

    A series that cannot be used is in `refused`; Unreadable is raised only if there is no file.
    `site` turns the institution's name into `facts["site"]`, for example `Pseudonyms(salt).of`;
    without it no site is stored.
    """
    contents = find_series(folder, site)
    volumes, series, refused = [], [], list(contents.refused)
    for item in contents.series:
        try:
            volumes.append(item.read())
            series.append(item)
        except Unreadable as reason:
            refused.append(Refused(str(reason), item.files))
    return DicomFolder(volumes, series, refused)


def find_series(
    folder: Path, site: Callable[[str], str] | None = None, files: list[Path] | None = None
) -> FolderContents:
    """Lists the series of a folder as `read_dicom`, but from headers alone.

    They are ordered by SeriesNumber and UID. With `files`, only these of the folder are looked at.
    Raises Unreadable if there is no file.
    """
    folder = Path(folder)
    headers_of: dict[str, list[Header]] = {}  # by SeriesInstanceUID
    by_reason: dict[str, list[Path]] = {}
    for path in _files(folder) if files is None else files:
        try:
            header = read_header(path)
        except Unreadable as reason:
            by_reason.setdefault(str(reason), []).append(path)
            continue
        if header.series:
            headers_of.setdefault(header.series, []).append(header)
        else:
            reason = header.other_kind or header.problem or NO_SERIES
            by_reason.setdefault(reason, []).append(path)
    series, refused = [], []
    for uid in sorted(headers_of, key=lambda uid: (headers_of[uid][0].series_number, uid)):
        headers, companions = separate(headers_of[uid])
        for reason, path in companions:
            by_reason.setdefault(reason, []).append(path)
        if not headers:
            continue
        try:
            series += _series(headers, site)
        except Unreadable as reason:
            refused.append(Refused(str(reason), tuple(header.file for header in headers)))
    refused += [Refused(reason, tuple(paths)) for reason, paths in by_reason.items() if paths]
    return FolderContents(tuple(series), tuple(refused))


def _files(folder: Path) -> list[Path]:
    """All regular files below a folder, sorted, or the one file; raises Unreadable for none."""
    if folder.is_file():
        return [folder]
    if not folder.is_dir():
        raise Unreadable("the folder does not exist")
    paths = files_below(folder)
    if not paths:
        raise Unreadable("the folder contains no files")
    return paths


def _series(headers: list[Header], site) -> list[Series]:
    """The stacks of one SeriesInstanceUID; raises Unreadable."""
    problems = [header.problem for header in headers if header.problem]
    if problems:
        # Without this file the stack might be too short at its end, which would not show as a gap.
        share = f" ({len(problems)} of {len(headers)} files)" if len(problems) < len(headers) else ""
        raise Unreadable(problems[0] + share)
    patients = sorted({header.patient_id for header in headers if header.patient_id})
    if len(patients) > 1:
        raise Unreadable(f"{len(patients)} patients in one series")
    first, series = headers[0], []
    for stack in split_into_stacks([item for header in headers for item in header.slices]):
        lps_to_indices(stack)  # reports a wrong geometry before pixel data are decoded
        facts = _common_facts(stack)
        if site is not None and first.institution:
            facts["site"] = site(first.institution)
        series.append(
            Series(
                facts=facts,
                patient_id=patients[0] if patients else "",
                description=first.description,
                institution=first.institution,
                stack=tuple(stack),
            )
        )
    return series


def _common_facts(stack: list[Slice]) -> dict:
    """The facts that are the same in all slices, and the number of slices."""
    first, *others = [item.facts for item in stack]
    same = {name: first[name] for name in first if all(o.get(name) == first[name] for o in others)}
    return {**same, "slices": len(stack)}
