"""Tables that lie beside folders which are taken for classes, that cannot be read, or that are missing.

A table whose patients nobody recognised would leave the folders of the patients as the classes.
"""

import re
import sys
from collections import Counter
from pathlib import Path

from data_prep.io.table import Row, read_table
from data_prep.recognised import tables_at, visible_folders
from mri_tf.core.errors import InputError, first_few

OTHER_TABLES = (".xls", ".xlsm", ".xlsb", ".ods")  # that no layout reads
LEAST_MATCHES, LEAST_SHARE = 2, 0.5  # of the values of a column that are names of folders or files
MANY_FOLDERS = 6  # that are numbered alike: P01, P02 ... are patients rather than classes
# Names of patients: P01, sub-003, case 12, or any with a number of three digits, such as TCGA-CS-4941.
NAME_OF_A_PATIENT = re.compile(
    r"(p|pt|pat|patient|s|sub|subj|subject|case|id|mr|ct|exam|study|scan)[-_ ]?\d+|.*\d{3}.*"
)
NAMES = re.compile(r"id\b|_id|pid|patient|subject|case|name|file|image|path|folder|number|^no\b|^nr\b")
PATIENT_ID = "Name the column of the patients patient_id"
MOVE = "move the table out of the raw folder"


def check_tables(raw: Path, labels: Path | None, classes: tuple[str, ...]) -> None:
    """Says on the terminal which tables of a raw folder cannot be read.

    Args:
        raw: the folder.
        labels: the table that --labels names; then the others do not matter.
        classes: the folders in it that are taken for classes; none where a table says the class.

    Raises:
        InputError: folders were taken for classes, and a table beside them cannot be read or is about
            these folders or their files, or there is none and the folders are named as patients are.
    """
    if labels:
        return
    others = [path for path in raw.glob("[!.~]*") if path.suffix.lower() in OTHER_TABLES]
    tables = sorted([*tables_at(raw, None), *others])
    if not tables:
        _check_are_no_patients(classes)
    for table in tables:
        try:
            rows = read_table(table, ())
        except InputError as error:
            if classes:
                raise InputError(
                    f"The table {table.name} cannot be read, and without it each folder is a class.",
                    f"{error.rule.rstrip('.')} ({error.received}); folders "
                    f"{first_few(classes)}",
                    f"{error.hint.rstrip('.')}. If the folders are the classes, {MOVE}.",
                ) from None  # fmt: skip
            print(f"warning: {table.name} is not used: {error}", file=sys.stderr)
            continue
        if classes:
            _check_is_about_others(table.name, rows, raw, classes)


def _check_is_about_others(table: str, rows: list[Row], raw: Path, classes: tuple[str, ...]) -> None:
    """Raises InputError for a table that is about the folders or files, or lies beside folders that are
    numbered as patients are."""
    files = _names_below(raw)
    for column in rows[0]:
        values = {_plain(row[column]) for row in rows} - {""}
        of_files = _matches(column, values, files)
        of_folders = _matches(column, values, {_plain(name) for name in classes})
        if of_files or of_folders and _can_be_labels(rows, column):
            what = "files or patients" if of_files else "folders"
            raise InputError(
                f"The table {table} has a row for each of the {what}, but no column patient_id: without "
                "it each folder is a class.",
                f"the column {column} names {what}; folders {first_few(classes)}",
                f"{PATIENT_ID} (and a column of files by its channel), or {MOVE} if it is about "
                "something else.",
            )  # fmt: skip
    patterns = {re.sub(r"\d+", "0", name.lower()) for name in classes}
    if len(classes) >= MANY_FOLDERS and len(patterns) == 1:
        raise InputError(
            f"The folders are numbered as patients are, and the table {table} beside them has no column "
            "patient_id: each folder would be a class.",
            f"folders {first_few(classes)}; columns {', '.join(rows[0])}",
            f"{PATIENT_ID}, and write the folders' names into it, or {MOVE} if they are classes.",
        )  # fmt: skip


def _check_are_no_patients(classes: tuple[str, ...]) -> None:
    """Raises InputError for folders that are all named as patients are, where no table gives labels."""
    if len(classes) < MANY_FOLDERS:
        return
    if all(NAME_OF_A_PATIENT.fullmatch(name.lower()) for name in classes):
        raise InputError(
            "The folders are named as patients are, and no table says their labels: each folder would "
            "be a class.",
            f"{len(classes)} folders, {first_few(classes)}",
            "Give a table with patient_id and a label with --labels, or put it into the raw folder. If "
            "the folders are the classes, give them names that say so, such as class_1.",
        )


def _matches(column: str, values: set[str], names: set[str]) -> bool:
    """Whether the values of a column are names; mere numbers are only where its own name says so."""
    if not NAMES.search(column):
        values = {value for value in values if not value.isdigit()}
    same = values & names
    return len(same) >= LEAST_MATCHES and len(same) >= LEAST_SHARE * len(values)


def _can_be_labels(rows: list[Row], key: str) -> bool:
    """Whether another column groups the rows, as labels do and as a description of classes does not."""
    counts = [Counter(row[column] for row in rows if row[column]) for column in rows[0] if column != key]
    return any(sum(number > 1 for number in count.values()) > 1 for count in counts)


def _names_below(raw: Path) -> set[str]:
    """Names of files and folders in the class folders, and one level deeper, with and without suffix."""
    homes = [folder for one in visible_folders(raw) for folder in (one, *visible_folders(one))]
    paths = [path for home in homes for path in home.glob("[!.]*")]
    return {_plain(name) for path in paths for name in (path.name, path.name.partition(".")[0])}


def _plain(text: str) -> str:
    """The last part of a path in lower case, without the zeros that tables take from numbers."""
    name = text.replace("\\", "/").rstrip("/").rpartition("/")[2].strip().lower()
    return name.lstrip("0") or name
