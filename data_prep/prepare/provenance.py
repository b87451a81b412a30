"""The private sidecar: which file each record came from, and whether that file has changed since.

`sources.private.csv` (mode 0600) is the only file that maps a record to its file and original patient
id (of joined patients, the first's). It also keeps the state of each file, so that an edited file is
recognised.
"""

import csv
import json
import os
from pathlib import Path

from data_prep.case import Case, main_file
from data_prep.io.folders import files_below
from mri_tf.core.hashing import file_hash, fingerprint

PRIVATE_COLUMNS = (
    "record_id", "source", "patient_id", "source_number", "skipped_because", "state", "group",
)  # fmt: skip


def file_states(raw: Path, case: Case) -> list:
    """[bytes, modified (ns), SHA-256] of each file of a case; [-1, 0, ""] of one that is missing.

    Of the folder of a DICOM series: its bytes in all, the last change and a hash of all its hashes.
    """
    states = []
    for path in case.files.values():
        try:
            size, modified = _size_and_time(raw / path)
            states.append([size, modified, _digest(raw / path)])
        except OSError:
            states.append([-1, 0, ""])
    return states


def unchanged(raw: Path, case: Case, state: list) -> bool:
    """Whether a case's files are as they were when `file_states` gave `state`.

    Contents are compared only where the time of modification differs.
    """
    for path, (size, modified, digest) in zip(case.files.values(), state, strict=True):
        try:
            size_now, modified_now = _size_and_time(raw / path)
            if size_now != size:
                return False
            if modified_now != modified and _digest(raw / path) != digest:
                return False
        except OSError:
            if size != -1:
                return False
    return True


def _size_and_time(path: Path) -> tuple[int, int]:
    """Bytes and last change (ns) of a file, or of all files below a folder."""
    facts = [file.stat() for file in _files(path)]
    return sum(one.st_size for one in facts), max((one.st_mtime_ns for one in facts), default=0)


def _digest(path: Path) -> str:
    hashes = [file_hash(file) for file in _files(path)]
    return hashes[0] if not path.is_dir() else fingerprint(hashes)


def _files(path: Path) -> list[Path]:
    """The file at a path, or those below a folder; raises OSError for a pipe, a device or nothing."""
    if os.path.isdir(path):
        return files_below(path)
    if not os.path.isfile(path):
        raise FileNotFoundError(path)
    return [path]


def private_rows(
    record_ids: list[str], case_of: list[int], skipped: dict[int, str], states: list[list],
    cases: list[Case],
) -> list[dict]:  # fmt: skip
    """Rows of the private sidecar: one for each record, then one for each case that gave none.

    `case_of` is the number of each record's case; `skipped` is number -> reason; `states` and `cases`
    are in the order of the numbers.
    """

    def row(record_id: str, number: int, reason: str) -> dict:
        case = cases[number]
        state = json.dumps(states[number])
        values = (record_id, main_file(case), case.patient, number, reason, state, case.group)
        return dict(zip(PRIVATE_COLUMNS, values, strict=True))

    return [
        *(row(record_id, number, "") for record_id, number in zip(record_ids, case_of, strict=True)),
        *(row("", number, reason) for number, reason in skipped.items()),
    ]


def write_private(path: Path, rows: list[dict]) -> None:
    """Writes the private sidecar, readable by its owner only."""
    path.unlink(missing_ok=True)  # the mode is given only to a new file
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    # File names are bytes: those that are not valid UTF-8 are kept as they are.
    with os.fdopen(descriptor, "w", newline="", encoding="utf-8", errors="surrogateescape") as file:
        writer = csv.DictWriter(file, PRIVATE_COLUMNS)
        writer.writeheader()
        writer.writerows(rows)
