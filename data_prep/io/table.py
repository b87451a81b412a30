"""Reads CSV tables that users write, and checks their columns, patient ids and labels."""

import csv
from pathlib import Path

from mri_tf.core.errors import InputError, first_few
from mri_tf.task import Task


def read_table(path: Path, required: tuple[str, ...]) -> list[dict[str, str]]:
    """Reads a CSV file (UTF-8, commas) with a header line.

    Args:
        path: the table, in the raw folder.
        required: columns that it must have; further columns are kept.

    Returns:
        One dictionary per row, column -> value without surrounding blanks; at least one.

    Raises:
        InputError: the folder, the file or a column is missing, or there are no rows.
    """
    if not path.parent.is_dir():
        raise InputError("--raw must be a folder.", path.parent, "Give the folder of the raw data.")
    if not path.is_file():
        raise InputError(
            f"The raw folder must contain the table {path.name}.", f"no such file in {path.parent}",
            f"Create {path.name} with the columns {', '.join(required)}.",
        )
    try:
        # utf-8-sig: spreadsheets write a byte order mark before the first column's name.
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file)
            columns = [name.strip() for name in reader.fieldnames or []]
            reader.fieldnames = columns
            rows = [{key: (text or "").strip() for key, text in row.items() if key} for row in reader]
        if any("\0" in value for row in rows for value in row.values()):
            raise csv.Error("it contains a NUL character")
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError(
            f"Cannot read {path.name} as a CSV file in UTF-8.", f"{path} ({error})",
            "Save the table again as CSV with UTF-8 encoding.",
        ) from None
    missing = [name for name in required if name not in columns]
    if missing:
        raise InputError(
            f"{path.name} must have the columns {', '.join(required)}.",
            f"columns {', '.join(columns) or 'none'}",
            f"Add {', '.join(missing)}; separate columns by commas.",
        )
    if not rows:
        raise InputError(f"{path.name} has no rows.", path, "Add at least one row.")
    return rows


def check_patients(rows: list[dict[str, str]], table: str) -> None:
    """Raises InputError if a row has no patient id."""
    lines = [number for number, row in enumerate(rows, 2) if not row["patient_id"]]
    if lines:
        raise InputError(
            f"Every row of {table} must have a patient_id.", f"none in line {first_few(lines)}",
            "Fill in the patient ids: the data are split by patient.",
        )


def check_labels(labels: list[str], task: Task, table: str) -> None:
    """Raises InputError if a label is not a class name of the task."""
    unknown = sorted(set(labels) - set(task.class_names))
    if unknown:
        raise InputError(
            f"Labels in {table} must be classes of task {task.name}: {', '.join(task.class_names)}.",
            first_few(repr(label) for label in unknown),
            "Correct the table, or class_names in the task file.",
        )
