"""Layout: a BIDS data set (https://bids-specification.readthedocs.io).

    participants.tsv                            participant_id and the label's column; optional: age,
                                                sex, site, group, split
    sub-<P>[/ses-<S>]/anat/*_<suffix>.nii[.gz]  the channels of the task: t1w, flair ... by their suffix,
                                                or by another usual name of the sequence
    sub-<P>/sub-<P>_sessions.tsv                session_id and the label's column, where the label
                                                differs between sessions; optional
    derivatives/**/sub-<P>[_ses-<S>]*_mask.nii[.gz]   or _dseg, one for each session; for segmentation
                                                tasks

A session is a case, a participant a patient. With contrast agent (entity ce) T1w is the channel t1ce.
Of several files of one suffix the one with the fewest entities is read, then the first by name; the
record says how many were left out. --labels names another table with participant_id and, where it has
one, session_id.
"""

import re
from collections import Counter
from dataclasses import replace
from pathlib import Path

from data_prep.case import SPLIT, Case, Unreadable, kept_columns, split_column_of
from data_prep.cases.any_case import (
    MASK,
    VOLUME,
    check_settings,
    form_of,
    operations_of,
)
from data_prep.cases.any_case import SETTINGS as CASE_SETTINGS
from data_prep.cases.any_case import read_case as read_any_case
from data_prep.cases.any_to_predict import cases_at
from data_prep.cases.dicom_case import identities
from data_prep.cases.mask_names import is_mask
from data_prep.cases.to_predict import CaseToPredict
from data_prep.cases.usual_sequences import usual_name
from data_prep.cases.volume_settings import sequences_of
from data_prep.io.labels import check_labels
from data_prep.io.table import Row, is_empty, read_table
from data_prep.recognised import LEAST_SHARE, MOST_FOLDERS_LOOKED_AT, Recognised, rows_of
from mri_tf.core.errors import InputError, first_few
from mri_tf.core.progress import say_once
from mri_tf.core.words import composed, spelled_otherwise
from mri_tf.store.record import Record
from mri_tf.task import Task

__all__ = [
    "SETTINGS", "VERSION", "cases_to_predict", "identities", "list_cases", "operations_of", "read_case",
    "recognise",
]  # fmt: skip
VERSION = 1
OWN_SETTINGS = {"label_column", "split_column", "covariates"}
SETTINGS = CASE_SETTINGS | OWN_SETTINGS
TABLE = "participants.tsv"
FACTS = ("site", "scanner", "age", "sex")
NO_FILE = "no file"  # the role of a session's folder that holds none of the channels
NIFTI = (".nii", ".nii.gz")
MASKS = tuple(f"_{word}{end}" for word in ("mask", "dseg") for end in NIFTI)
ONE_OF_MASKS = f"{MASK} "  # the roles of masks begin so where several fit a session
ENTITY = re.compile(r"([a-z]+)-([a-zA-Z0-9+]+)")


def list_cases(raw: Path, task: Task, labels: Path | None = None) -> list[Case]:
    """One case per session, or per participant without sessions; raises InputError for a table that
    cannot be used, or if there are no participants."""
    check_settings(task, OWN_SETTINGS)
    sessions = session_folders(raw)
    if not sessions:
        raise InputError(
            "The raw folder holds no BIDS participants.", raw,
            "A participant is a folder sub-<name> with anat/*.nii.gz, or with folders ses-<name>.",
        )  # fmt: skip
    if task.kind != "classification":
        return [_case(raw, folder, Row({}, 0), task) for folder in sessions]
    column = task.prep.get("label_column", "label")
    rows = read_table(labels or raw / TABLE, ("participant_id", column))
    _check_twice(rows, (labels or raw / TABLE).name)
    row_of = {(_word(row["participant_id"], "sub"), _word(row.get("session_id", ""), "ses")): row
              for row in rows}  # fmt: skip
    cases, used = [], set()
    for folder in sessions:
        subject, session = names_of(folder)
        named, visit = composed(subject), composed(session)
        row = row_of.get((named, visit)) or row_of.get((named, ""))
        if row is not None:
            used.add(row.line)
            own = _session_row(raw, subject, session, column)
            # In BIDS the column group is what is compared, not what must stay on one side.
            values = {name: value for name, value in row.items() if name != "group" or name == column}
            cases.append((folder, Row({**values, **own}.items(), row.line)))
    if left_out := len(sessions) - len(cases):
        say_once(f"{left_out} sessions of participants without a row are left out")
    if without := [row for row in rows if row.line not in used]:
        there = {names_of(folder)[0] for folder in sessions}
        nearly = spelled_otherwise(_word(without[0]["participant_id"], "sub"), there)
        raise InputError(
            "Rows of the table name participants who have no folder.",
            f"line {first_few(str(row.line) for row in without)}"
            + (f"; a folder's name differs only in {nearly}" if nearly else ""),
            "Write the participants as their folders are named."
            if nearly else "Remove these rows, or add the folders.",
        )  # fmt: skip
    check_labels([row for _, row in cases], column, task, (labels or raw / TABLE).name)
    return [_case(raw, folder, row, task) for folder, row in cases]


def _check_twice(rows: list[Row], table: str) -> None:
    """Raises InputError where two rows are about one participant's session."""
    first: dict[tuple[str, str], int] = {}
    for row in rows:
        key = _word(row["participant_id"], "sub"), _word(row.get("session_id", ""), "ses")
        if first.setdefault(key, row.line) != row.line:
            raise InputError(
                f"Two rows of {table} are about one participant.",
                f"lines {first[key]} and {row.line}", "Keep the row that is right.",
            )  # fmt: skip


def read_case(raw: Path, case: Case, task: Task) -> list[Record]:
    """The records of a session; raises Unreadable."""
    masks = sum(role.startswith(ONE_OF_MASKS) for role in case.files)
    if masks:
        raise Unreadable(
            f"{masks} mask files fit this session: keep the one that is meant, and move the others out "
            "of derivatives/"
        )
    return read_any_case(raw, case, task)


def recognise(raw: Path, labels: Path | None) -> Recognised | None:
    """Folders sub-* beside a participants.tsv or a dataset_description.json."""
    folders = session_folders(raw)
    table = labels or raw / TABLE
    marked = [name for name in (TABLE, "dataset_description.json") if (raw / name).is_file()]
    if not folders or not marked:
        return None
    counts, some = Counter(), folders[:MOST_FOLDERS_LOOKED_AT]
    for folder in some:
        suffixes = {sequence_words(file)[0] for file in image_files(folder)}
        counts.update(suffix for suffix in suffixes if not is_mask(suffix))
    words = [word for word, count in counts.items() if count >= LEAST_SHARE * len(some)]
    return Recognised(
        f"{marked[0]} and folders sub-*: a BIDS data set", tuple(sorted(words)),
        rows=tuple(rows_of(table)) if table.is_file() else (),
        no_labels=("participant_id", "session_id"), may_be_label=("group",),
    )  # fmt: skip


def cases_to_predict(path: Path, task: Task) -> list[CaseToPredict]:
    """A BIDS root, a participant's or a session's folder, or whatever else shows a case."""
    folders = session_folders(path) if path.is_dir() else []
    if not folders and path.is_dir() and _files_of_sequences(path, task)[0]:
        folders = [path]
    if not folders:
        return cases_at(path, task)
    return [
        CaseToPredict(
            folder.name if folder == path else str(folder.relative_to(path)), folder,
            Case(folder.name, {name: str(file.relative_to(folder)) for name, file in files.items()}),
        )
        for folder in folders
        if (files := _files_of_sequences(folder, task)[0])
    ]  # fmt: skip


def session_folders(root: Path) -> list[Path]:
    """The folders of all sessions, and of participants without, below a root or a participant's."""
    if not root.is_dir():
        return []
    own = [root] if root.name.startswith("sub-") else []
    participants = own or sorted(path for path in root.glob("sub-*/") if path.is_dir())
    return [
        folder
        for participant in participants
        for folder in sorted(participant.glob("ses-*/")) or [participant]
    ]


def names_of(folder: Path) -> tuple[str, str]:
    """Participant and session of a session's folder, the session empty where there is none."""
    if folder.name.startswith("ses-"):
        return folder.parent.name, folder.name
    return folder.name, ""


def sequence_words(file: Path) -> tuple[str, int]:
    """The word that names a file's sequence, such as "t1w" or "t1wce", and how many entities it has."""
    stem = file.name.partition(".")[0]
    entities = dict(ENTITY.findall(stem))
    suffix = stem.rpartition("_")[2].lower()
    return suffix + ("ce" if "ce" in entities and suffix == "t1w" else ""), len(entities)


def image_files(folder: Path) -> list[Path]:
    """The NIfTI files of a session, without hidden ones such as those that macOS writes."""
    return sorted(path for path in folder.glob("*/*.nii*")
                  if path.name.endswith(NIFTI) and not path.name.startswith("."))  # fmt: skip


def _files_of_sequences(folder: Path, task: Task) -> tuple[dict[str, Path], int]:
    """Channel -> its file, of those that the session has; and how many others fit a channel as well."""
    found, others = {}, 0
    files = image_files(folder)
    words = {file: sequence_words(file) for file in files}
    for channel in sequences_of(task):
        fitting = [file for file in files if words[file][0] == channel.lower()]
        usual = [file for file in files if usual_name(words[file][0]) == usual_name(channel)]
        ranked = sorted(fitting or usual, key=lambda file: (words[file][1], file.name))
        if ranked:
            found[channel] = ranked[0]
            others += len(ranked) - 1
    return found, others


def _case(raw: Path, folder: Path, row: Row, task: Task) -> Case:
    found, others = _files_of_sequences(folder, task)
    files = {name: str(file.relative_to(raw)) for name, file in found.items()}
    subject, session = names_of(folder)
    if task.kind == "segmentation" and form_of(task) == VOLUME:
        stem = "_".join(filter(None, (subject, session)))
        below = sorted(raw.glob(f"derivatives/**/{stem}_*"))
        masks = [path for path in below if path.name.endswith(MASKS)]
        for number, path in enumerate(masks, 1):
            role = MASK if len(masks) == 1 else f"{ONE_OF_MASKS}{number}"
            files[role] = str(path.relative_to(raw))
    # Reading a case without files gives the reason; messages name it by this path.
    files = files or {NO_FILE: str(folder.relative_to(raw))}
    column = task.prep.get("label_column", "label")
    label = row.get(column, "") if task.kind == "classification" else ""
    values = {name: value for name, value in row.items() if name != "group"}
    row = Row({**values, "patient_id": subject}.items(), row.line)
    covariates = kept_columns(FACTS, row, task, column)
    side = split_column_of(task) if task.kind == "classification" else SPLIT
    case = Case.from_row(row, files, label, covariates, side)
    return replace(case, facts={**case.facts, "files_left_out": others}) if others else case


def _session_row(raw: Path, subject: str, session: str, column: str) -> dict[str, str]:
    """What the participant's table of sessions says of a session; empty without a row."""
    table = raw / subject / f"{subject}_sessions.tsv"
    if not session or not table.is_file():
        return {}
    has_label = any(name.lower() == column.lower() for name in read_table(table, ("session_id",))[0])
    for row in read_table(table, ("session_id", column) if has_label else ("session_id",)):
        if _word(row["session_id"], "ses") == session:
            known = {name: value for name, value in row.items() if not is_empty(value)}
            return {name: value for name, value in known.items() if name not in ("session_id", "group")}
    return {}


def _word(text: str, entity: str) -> str:
    """A participant's or session's name with its entity: "01" and "sub-01" are one."""
    return text if not text or text.startswith(f"{entity}-") else f"{entity}-{text}"
