"""DICOM folders to Volumes in RAS, one a stackable series; what cannot be used, with its reason.

Series are found by SeriesInstanceUID in whatever folders and under whatever names their files
lie. Every file ends in exactly one place: in a series, or in one entry of `refused`.
"""

import filecmp
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np

from data_prep.case import Unreadable
from data_prep.io.dicom.header import Header, Slice, read_header
from data_prep.io.dicom.pixels import values_of
from data_prep.io.dicom.stack import lps_to_indices, split_into_stacks
from data_prep.volume import Volume, in_ras

LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])
NO_SERIES = "no SeriesInstanceUID: it cannot be told which slices belong together"
COPY = "a copy of another file of the folder"


class Refused(NamedTuple):
    """Files that give no Volume, and why; the reason holds no path, name, date or UID."""

    reason: str
    files: tuple[Path, ...]


@dataclass(frozen=True)
class Series:
    """A stack of slices whose pixel data are not read yet.

    `patient_id` goes into records through data_prep/prepare/pseudonyms.py only. `description` is free
    text in which names occur: it serves to choose a sequence and is not kept.
    """

    label: str  # for messages on the terminal: the first file and numbers
    facts: dict
    patient_id: str = field(repr=False)
    description: str = field(repr=False)
    institution: str = field(repr=False)
    stack: tuple[Slice, ...] = field(repr=False)

    @property
    def files(self) -> tuple[Path, ...]:
        """Each file once, in the order of its slices."""
        return tuple(dict.fromkeys(item.file for item in self.stack))

    def read(self) -> Volume:
        """The Volume, facts with it; raises Unreadable."""
        affine = LPS_TO_RAS @ lps_to_indices(list(self.stack))
        values = values_of(list(self.stack))  # (slices, rows, columns)
        return in_ras(values.transpose(2, 1, 0), affine, dict(self.facts))


@dataclass(frozen=True)
class Found:
    """The series of a folder, known by their headers, and the files that are in none."""

    series: tuple[Series, ...]
    refused: tuple[Refused, ...]


class DicomFolder(list):
    """The Volumes of a folder; `series[i]` is where the i-th came from."""

    def __init__(self, volumes: list[Volume], series: list[Series], refused: list[Refused]):
        super().__init__(volumes)
        self.series = series
        self.refused = refused

    @property
    def patient_ids(self) -> tuple[str, ...]:
        """Ids of the headers, each once: identities, for data_prep/prepare/pseudonyms.py only."""
        return tuple(sorted({item.patient_id for item in self.series}))

    def __repr__(self) -> str:
        return f"DicomFolder({len(self)} volumes, {len(self.refused)} refused)"


def read_dicom(folder: Path, site: Callable[[str], str] | None = None) -> DicomFolder:
    """Every stackable series of a folder (or of one file) as a Volume; raises Unreadable.

    Unreadable is raised only where there is no file at all; a series that cannot be used is in
    `refused`. `site` turns the institution's name into `facts["site"]`: `Pseudonyms(salt).of`
    for a pseudonym, `str` for the name itself. Without it no site is kept.
    """
    found = find_series(folder, site)
    volumes, series, refused = [], [], list(found.refused)
    for item in found.series:
        try:
            volumes.append(item.read())
            series.append(item)
        except Unreadable as reason:
            refused.append(Refused(str(reason), item.files))
    return DicomFolder(volumes, series, refused)


def find_series(folder: Path, site: Callable[[str], str] | None = None) -> Found:
    """The series of a folder by their headers alone, in the order of SeriesNumber and UID.

    Raises Unreadable where there is no file.
    """
    folder = Path(folder)
    series: dict[str, list[Header]] = {}
    by_reason: dict[str, list[Path]] = {}
    for path in _files(folder):
        try:
            header = read_header(path)
        except Unreadable as reason:
            by_reason.setdefault(str(reason), []).append(path)
            continue
        if header.series:
            series.setdefault(header.series, []).append(header)
        else:
            by_reason.setdefault(header.problem or NO_SERIES, []).append(path)
    found, refused = [], []
    for _, headers in sorted(series.items(), key=lambda item: (item[1][0].series_number, item[0])):
        headers, copies = _without_copies(headers)
        by_reason.setdefault(COPY, []).extend(copies)
        try:
            found += _series(folder, headers, site)
        except Unreadable as reason:
            refused.append(Refused(str(reason), tuple(header.file for header in headers)))
    refused += [Refused(reason, tuple(paths)) for reason, paths in by_reason.items() if paths]
    return Found(tuple(found), tuple(refused))


def _files(folder: Path) -> list[Path]:
    if folder.is_file():
        return [folder]
    if not folder.is_dir():
        raise Unreadable("the folder does not exist")
    paths = [Path(parent, name) for parent, _, names in os.walk(folder) for name in names]
    paths = sorted(path for path in paths if path.is_file())  # no sockets, no broken links
    if not paths:
        raise Unreadable("the folder holds no file")
    return paths


def _without_copies(headers: list[Header]) -> tuple[list[Header], list[Path]]:
    """A series without the files that equal another of it byte by byte."""
    kept: dict[str, Header] = {}
    single, copies = [], []
    for header in headers:
        first = kept.setdefault(header.image, header)
        if header.image and first is not header and filecmp.cmp(first.file, header.file, False):
            copies.append(header.file)
        else:
            single.append(header)
    return single, copies


def _series(folder: Path, headers: list[Header], site) -> list[Series]:
    """The stacks of one SeriesInstanceUID; raises Unreadable."""
    problems = [header.problem for header in headers if header.problem]
    if problems:
        # Leaving such a file out could shorten the stack at its end, which no gap would show.
        share = f" ({len(problems)} of {len(headers)} files)" if len(problems) < len(headers) else ""
        raise Unreadable(problems[0] + share)
    patients = sorted({header.patient_id for header in headers if header.patient_id})
    if len(patients) > 1:
        raise Unreadable(f"{len(patients)} patients in one series")
    stacks = split_into_stacks([item for header in headers for item in header.slices])
    first = headers[0]
    found = []
    for stack in stacks:
        lps_to_indices(stack)  # raises what is wrong with its geometry before anything is decoded
        facts = _common_facts(stack)
        if site is not None and first.institution:
            facts["site"] = site(first.institution)
        found.append(
            Series(
                label=_label(folder, stack, facts),
                facts=facts,
                patient_id=patients[0] if patients else "",
                description=first.description,
                institution=first.institution,
                stack=tuple(stack),
            )
        )
    return found


def _common_facts(stack: list[Slice]) -> dict:
    """The facts on which all slices agree, and how many slices there are."""
    first, *others = [item.facts for item in stack]
    agreed = {
        name: value for name, value in first.items() if all(o.get(name) == value for o in others)
    }
    return {**agreed, "slices": len(stack)}


def _label(folder: Path, stack: list[Slice], facts: dict) -> str:
    file = stack[0].file
    shown = file.relative_to(folder) if file != folder else Path(file.name)
    numbers = [f"{len(stack)} slices"]
    for name, text in (("tr_ms", "TR {:g} ms"), ("te_ms", "TE {:g} ms"), ("ti_ms", "TI {:g} ms")):
        if name in facts:
            numbers.append(text.format(facts[name]))
    if facts.get("contrast_agent"):
        numbers.append("contrast agent")
    return f"{shown} ({', '.join(numbers)})"
