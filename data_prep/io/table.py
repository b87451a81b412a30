"""CSV tables that users write: column names checked, values stripped."""

import csv
from pathlib import Path

from mri_tf.core.errors import InputError, first_few
from mri_tf.task import Task


def read_table(path: Path, required: tuple[str, ...]) -> list[dict[str, str]]:
    """The rows of a CSV file as dictionaries; raises InputError if it or a column is missing."""
    if not path.parent.is_dir():
        raise InputError("--raw takes a folder.", path.parent, "Give the folder of the raw data.")
    if not path.is_file():
        raise InputError(
            f"The raw folder of this task holds {path.name}.",
            f"{path.parent} without it",
            f"Write {path.name} with the columns {', '.join(required)}.",
        )
    try:
        # utf-8-sig: spreadsheets put a byte order mark before the first column's name.
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file)
            columns = [name.strip() for name in reader.fieldnames or []]
            reader.fieldnames = columns
            rows = [
                {key: (value or "").strip() for key, value in row.items() if key} for row in reader
            ]
        if any("\0" in value for row in rows for value in row.values()):
            raise csv.Error("it holds a NUL")
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError(
            f"{path.name} is a CSV file in UTF-8.", f"{path} ({error})", "Save it as CSV, UTF-8."
        ) from None
    missing = [name for name in required if name not in columns]
    if missing:
        raise InputError(
            f"{path.name} needs the columns {', '.join(required)}.",
            f"columns {', '.join(columns) or 'none'}",
            f"Add {', '.join(missing)}; columns are separated by commas.",
        )
    if not rows:
        raise InputError(f"{path.name} has at least one row.", f"{path} without rows", "Add rows.")
    return rows


def check_patients(rows: list[dict[str, str]], table: str) -> None:
    """Raises InputError if a row names no patient."""
    nameless = [str(number) for number, row in enumerate(rows, 2) if not row["patient_id"]]
    if nameless:
        raise InputError(
            f"Every row of {table} names its patient.",
            f"no patient_id in line {first_few(nameless)}",
            "Fill it in: splits are by patient.",
        )


def check_labels(labels: list[str], task: Task, table: str) -> None:
    """Raises InputError if a label is not a class of the task."""
    unknown = sorted(set(labels) - set(task.class_names))
    if unknown:
        raise InputError(
            f"Labels in {table} are classes of task {task.name}: {', '.join(task.class_names)}.",
            first_few(repr(label) for label in unknown),
            "Correct the table or class_names in the task file.",
        )
