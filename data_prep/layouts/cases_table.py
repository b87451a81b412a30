"""Layout: a table with a row for each case, 2D or 3D; the layout of a task that names none.

    cases.csv      (or .tsv or .xlsx; manifest.csv as well) patient_id; the label (column label, or
                   `prep["label_column"]`), or those of several readers (label_reader1 ...); a column for
                   each channel of the task (t1, flair ...), or image where one file has all of them;
                   optional: mask, brain_mask, site, scanner, modality, group, split, age, sex
    <any path>     the files at the paths in the table, relative to the raw folder: images, NIfTI, MGH,
                   NRRD, MetaImage or ANALYZE volumes, DICOM files, or folders of one DICOM series

An empty cell is a missing sequence, and several rows of a patient are several cases. Further settings in
`prep`: table, its name where it has another; label_column; split_column, that of the sides; covariates,
further columns that the records keep; slice_column and stack_columns, by which single images are slices
of a stack (data_prep/cases/neighbours.py); and those of data_prep/cases/any_case.py.
"""

from pathlib import Path

from data_prep.case import Case, kept_columns, split_column_of
from data_prep.cases.any_case import (
    IMAGE,
    MASK,
    check_settings,
    form_of,
    operations_of,
    read_case,
)
from data_prep.cases.any_case import SETTINGS as CASE_SETTINGS
from data_prep.cases.any_to_predict import cases_at
from data_prep.cases.dicom_case import identities
from data_prep.cases.image_case import check_one_image
from data_prep.cases.mask_names import is_mask
from data_prep.cases.neighbours import SETTINGS as STACK_SETTINGS
from data_prep.cases.neighbours import cases_with_neighbours
from data_prep.cases.to_predict import CaseToPredict
from data_prep.cases.volume_settings import BRAIN_MASK, sequences_of
from data_prep.io.labels import check_labels
from data_prep.io.table import Row, check_patients, is_empty, path_in, read_table, table_in
from data_prep.recognised import Recognised, is_image, only_table_of_files
from mri_tf.core.errors import InputError, first_few
from mri_tf.task import Task

__all__ = [
    "SETTINGS", "VERSION", "cases_to_predict", "identities", "list_cases", "operations_of", "read_case",
    "recognise",
]  # fmt: skip
VERSION = 2
OWN_SETTINGS = {"table", "label_column", "split_column", "covariates"} | STACK_SETTINGS
SETTINGS = CASE_SETTINGS | OWN_SETTINGS
TABLES = tuple(f"{stem}.{suffix}" for stem in ("cases", "manifest") for suffix in ("csv", "tsv", "xlsx"))
MASKS = {name: name for name in (MASK, BRAIN_MASK)}  # columns, beside those of the channels
FACTS = ("site", "scanner", "modality", "age", "sex")


def list_cases(raw: Path, task: Task, labels: Path | None = None) -> list[Case]:
    """One case per row of the table; raises InputError for a table that cannot be used.

    `labels` is a table elsewhere, whose paths are relative to the raw folder all the same.
    """
    check_settings(task, OWN_SETTINGS)
    _check_stack(task)
    table = labels or table_in(raw, task.prep.get("table"), TABLES)
    if raw.is_dir() and not table.is_file():
        raise InputError(
            "The raw folder must hold a table with a row for each case, or --labels must name one.",
            table, f"Create {TABLES[0]} (or .tsv, .xlsx) with the columns patient_id, "
            f"{task.prep.get('label_column', 'label')} and {', '.join(sequences_of(task))} or image.",
        )  # fmt: skip
    label_column = task.prep.get("label_column", "label")
    needed = label_column if task.kind == "classification" else MASK
    rows = read_table(table, ("patient_id", needed))
    roles = _roles(rows[0], task, table.name)
    check_patients(rows, table.name)
    imageless = [
        str(row.line) for row in rows if all(is_empty(row[column]) for column in roles.values())
    ]
    if imageless:
        raise InputError(
            f"Rows of {table.name} name no image.", f"no image in line {first_few(imageless)}",
            f"Fill in the column {' or '.join(roles.values())}, or remove these rows.",
        )  # fmt: skip
    if task.kind == "classification":
        check_labels(rows, label_column, task, table.name)
    covariates = kept_columns(FACTS, rows[0], task, label_column)
    cases = [
        Case.from_row(
            row,
            _files(raw, row, roles),
            row[label_column] if task.kind == "classification" else "",
            covariates,
            split_column_of(task),
        )
        for row in rows
    ]
    return cases_with_neighbours(cases, rows, task, table.name) if form_of(task) == IMAGE else cases


def _check_stack(task: Task) -> None:
    """Raises InputError for columns of a stack where the slices come from volumes."""
    named = sorted(STACK_SETTINGS & set(task.prep))
    if named and form_of(task) != IMAGE:
        raise InputError(
            "slice_column and stack_columns in prep are for single images: slices of a volume have "
            "their neighbours in it.", ", ".join(named), "Remove them from prep.",
        )  # fmt: skip


def recognise(raw: Path, labels: Path | None) -> Recognised | None:
    """A table with a column of paths; raises InputError for one that does not say whose they are."""
    found = only_table_of_files(raw, labels)
    if found is None:
        return None
    table, rows, paths = found
    channels = tuple(name for name in paths if not is_mask(name) and name != "patient_id")
    if not channels:
        return None
    if "patient_id" not in rows[0]:
        raise InputError(
            f"The table {table.name} names images, but not whose they are.",
            f"columns {', '.join(rows[0])}",
            "Name the column of the patients patient_id: the data are split by patient.",
        )  # fmt: skip
    first = next(row[channels[0]] for row in rows if not is_empty(row[channels[0]]))
    usual = next((raw / name for name in TABLES if (raw / name).is_file()), None)
    named = {} if labels or table == usual else {"table": table.name}
    masks = [name for name in paths if is_mask(name) and name not in MASKS]
    left_out = f"; left out as masks: {', '.join(masks)}" if masks else ""
    return Recognised(
        f"the column {' and '.join(channels)} of {table.name} names files{left_out}", channels,
        images=is_image(first), rows=tuple(rows), prep=named, no_labels=paths,
    )  # fmt: skip


def cases_to_predict(path: Path, task: Task) -> list[CaseToPredict]:
    """A file, a folder of files or DICOM, a folder of cases, or a table like that of the raw folder."""
    return cases_at(path, task, TABLES)


def _roles(row: Row, task: Task, table: str) -> dict[str, str]:
    """Role of an image in a case -> the column that names it; raises InputError for missing columns."""
    sequences = sequences_of(task)
    here = {name: name.lower() for name in sequences if name.lower() in row}
    if here and (len(here) == len(sequences) or task.prep.get("missing", "fail") != "fail"):
        return here
    if IMAGE in row and form_of(task) == IMAGE:
        check_one_image(task)
        return {IMAGE: IMAGE}
    if IMAGE in row and len(sequences) == 1:
        return {sequences[0]: IMAGE}
    needed = ", ".join(name for name in sequences if name not in here)
    needed = f"image or {needed}" if len(sequences) == 1 else needed
    raise InputError(
        f"{table} must have a column for each channel of task {task.name}, or image.",
        f"columns {', '.join(row)}", f"Add {needed}: the paths of the files.",
    )  # fmt: skip


def _files(raw: Path, row: Row, roles: dict[str, str]) -> dict[str, str]:
    """Role -> path of the cells that are filled in."""
    cells = {role: row.get(column, "") for role, column in {**roles, **MASKS}.items()}
    return {role: path_in(raw, cell) for role, cell in cells.items() if not is_empty(cell)}
