"""What makes a prepared set the same one, and the set that an output folder already holds."""

import json
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

from data_prep.case import Case, main_file
from data_prep.layout import layout_version
from data_prep.prepare.provenance import unchanged
from data_prep.prepare.pseudonyms import Pseudonyms
from data_prep.prepare.shards import drop_journal
from mri_tf.core.errors import InputError, first_few
from mri_tf.core.hashing import fingerprint
from mri_tf.store.fingerprints import prep_fingerprint
from mri_tf.store.prepared import PRIVATE, Prepared, read_private
from mri_tf.task import Task

# What makes a prepared set another one: key of the manifest -> how a message names it.
IDENTITY = {
    "task": "task", "prep": "settings in prep", "layout": "layout or its version",
    "sources": "list of cases", "salt": "salt of the pseudonyms",
}  # fmt: skip


@dataclass(frozen=True)
class Skipped:
    """A case that gave no record: its file and the reason."""

    file: str
    reason: str


def identity_of(task: Task, layout: ModuleType, cases: list[Case], pseudonyms: Pseudonyms) -> dict:
    """What the set depends on, for the manifest: sets with the same values are the same set."""
    return {
        "task": task.name,
        "prep": prep_fingerprint(task),
        "layout": layout_version(task, layout),
        "sources": pseudonyms.keyed(fingerprint([case.as_json() for case in cases])),
        "salt": pseudonyms.fingerprint,
    }


def open_existing(
    out: Path, identity: dict, raw: Path, cases: list[Case], strict: bool
) -> tuple[Prepared, list[Skipped]]:
    """Opens a complete set; raises InputError if it was made from other input."""
    drop_journal(out)
    prepared = Prepared.open(out)
    rows = read_private(out / PRIVATE)
    different = [IDENTITY[key] for key in identity if prepared.manifest.get(key) != identity[key]]
    if not different and rows:
        states = {int(row["source_number"]): json.loads(row["state"]) for row in rows}
        different = [
            f"{main_file(cases[number])} has changed"
            for number, state in states.items()
            if not unchanged(raw, cases[number], state)
        ][:1]
    if different:
        raise InputError(
            "The output folder already holds another prepared set.",
            f"{out}, prepared from other input ({', '.join(different)})",
            "Remove it if it is out of date, or prepare into another folder with "
            "python -m data_prep.write --out DIR and give that folder with --data.",
        )
    skipped = [Skipped(row["source"], row["skipped_because"]) for row in rows if row["skipped_because"]]
    if strict and skipped:
        raise InputError(
            "--strict does not allow a prepared set from which inputs were skipped.",
            first_few(f"{item.file}: {item.reason}" for item in skipped),
            "Correct or remove these files, and prepare into another folder.",
        )
    return prepared, skipped


def check_is_new(out: Path) -> None:
    """Raises InputError for a folder that holds something, or a file."""
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise InputError(
            "The output folder must be new or empty.",
            f"{out}, which is a file or holds other files",
            "Choose another --out folder.",
        )
