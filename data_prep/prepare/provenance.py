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
from mri_tf.core.hashing import file_hash

PRIVATE_COLUMNS = (
    "record_id", "source", "patient_id", "source_number", "skipped_because", "state", "group",
)  # fmt: skip


def file_states(raw: Path, case: Case) -> list:
    """[bytes, modified (ns), SHA-256] of each file of a case; [-1, 0, ""] of one that is missing."""
    states = []
    for path in case.files.values():
        try:
            facts = (raw / path).stat()
            states.append([facts.st_size, facts.st_mtime_ns, file_hash(raw / path)])
        except OSError:
            states.append([-1, 0, ""])
    return states


def unchanged(raw: Path, case: Case, state: list) -> bool:
    """Whether a case's files are as they were when `file_states` gave `state`.

    Contents are compared only where the time of modification differs.
    """
    for path, (size, modified, digest) in zip(case.files.values(), state, strict=True):
        try:
            facts = (raw / path).stat()
            if facts.st_size != size:
                return False
            if facts.st_mtime_ns != modified and file_hash(raw / path) != digest:
                return False
        except OSError:
            if size != -1:
                return False
    return True


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
