"""Which layout a raw folder has."""

import importlib
import inspect
import itertools
import os
from dataclasses import replace
from pathlib import Path

from data_prep.cases.mask_names import is_mask
from data_prep.io.folders import files_below
from data_prep.io.labels import consensus, labels_in
from data_prep.io.table import Row, path_in, read_table, reader_columns
from data_prep.io.volume_file import is_dicom, may_be_dicom
from data_prep.layout import layout_names
from data_prep.layout_calls import ListOptions
from data_prep.recognised import (
    Recognised,
    is_image,
    is_volume,
    path_columns,
    rows_of,
    tables_at,
    visible_folders,
)
from mri_tf.core.errors import InputError, first_few
from mri_tf.core.words import spelled_otherwise
from mri_tf.plan.forgotten_table import check_tables
from mri_tf.plan.label_column import read_by_several

MOST_FILES_LOOKED_AT = 200


def recognise(raw: Path, options: ListOptions) -> tuple[str, Recognised]:
    """The name of the layout that a raw folder has, and what the layout found.

    Raises:
        InputError: no layout or several recognise the folder, or folders would be classes although a
            table is about them.
    """
    labels = options.labels
    if not raw.is_dir():
        raise InputError("--raw must be a folder.", raw, "Give the folder of the raw data.")
    if labels is not None and not labels.is_file():
        raise InputError("The table after --labels does not exist.", labels, "Correct the path.")
    found: dict[str, Recognised] = {}
    general: dict[str, Recognised] = {}
    for name in layout_names():
        module = importlib.import_module(f"data_prep.layouts.{name}")
        if not hasattr(module, "recognise"):
            continue
        takes_ignore = "ignore" in inspect.signature(module.recognise).parameters
        further = {"ignore": options.ignore} if takes_ignore else {}
        if seen := module.recognise(raw, labels, **further):
            (general if getattr(module, "GENERAL", False) else found)[name] = seen
    found = found or general
    if not found:
        raise InputError(
            "No known layout fits the way the raw folder is organised.",
            f"{raw}, {_what_is_there(raw, labels)}",
            "If the table of labels lies elsewhere, name it with --labels. Otherwise write a table "
            "cases.csv with patient_id, a label and a column of paths, or make a folder for each class "
            "with two patients or images at least (docs/own-data.md).",
        )  # fmt: skip
    if len(found) > 1:
        raise InputError(
            "The raw folder can be read in several ways.",
            "; ".join(f"{name} ({seen.why})" for name, seen in found.items()),
            "Move away the table that is not meant, or name the layout in a task file.",
        )  # fmt: skip
    ((name, seen),) = found.items()
    if not seen.channels:
        raise InputError(
            "No sequence is common to enough cases.", f"layout {name} ({seen.why})",
            "Name the files by their sequences, or write the rules of prep.sequences in a task file.",
        )  # fmt: skip
    # Where folders are classes in general, and not in a set of a known form.
    check_tables(raw, labels, seen.class_names if name in general else ())
    return name, _with_agreed_labels(seen)


def _with_agreed_labels(found: Recognised) -> Recognised:
    """With a column of what the readers agree on, where a table has only columns of readers."""
    columns = tuple(found.rows[0]) if found.rows else ()
    stems = {stem for name in columns if (stem := read_by_several(name)) and stem not in columns}
    readers = {stem: reader_columns(columns, stem) for stem in stems}
    known = {stem: labels_in(row[name] for row in found.rows for name in names)
             for stem, names in readers.items()}  # fmt: skip
    rows = []
    for row in found.rows:
        agreed = {}
        for stem, names in readers.items():
            labels = [row[name] if row[name] in known[stem] else "" for name in names]
            agreed[stem] = consensus(labels, ())
        rows.append(Row({**row, **agreed}.items(), row.line))
    return replace(found, rows=tuple(rows), agreed=tuple(sorted(stems)))


def _what_is_there(raw: Path, labels: Path | None) -> str:
    """What a folder holds that is recognised as nothing, for the message."""
    tables = tables_at(raw, labels)
    for table in tables:
        try:
            rows = read_table(table, ())
        except InputError as error:
            return f"in which {table.name} cannot be read: {error.rule} ({error.received})"
        named = [(row[column], row.line) for row in rows for column in row if is_image(row[column]) or
                 is_volume(row[column])]  # fmt: skip
        lost = [f"{name} in line {line}" for name, line in named
                if not os.path.exists(raw / path_in(raw, name))]  # fmt: skip
        if lost:
            count = "" if len(lost) == len(named) else f"{len(lost)} of {len(named)} "
            return f"in which {table.name} names {count}files that do not exist: {first_few(lost)}"
        if named and all(is_mask(name) for name in path_columns(raw, rows)):
            columns = first_few(path_columns(raw, rows))
            return f"in which the columns of files of {table.name} are named as masks: {columns}"
    files = [path for path in itertools.islice(files_below(raw), MOST_FILES_LOOKED_AT)]
    kinds = {
        "DICOM files": any(may_be_dicom(path.name) and is_dicom(path) for path in files),
        "volumes": any(is_volume(path.name) for path in files),
        "images": any(is_image(path.name) for path in files),
    }
    found = [kind for kind, there in kinds.items() if there]
    folders = [f"{folder.name} ({len(list(folder.glob('[!.]*')))})" for folder in visible_folders(raw)]
    inside = f", in the folders {first_few(folders)}" if folders else ""
    table = f"the table {tables[0].name}" if tables else "no table"
    if kinds["DICOM files"] and tables and _names_patients(tables[0]):
        table += ", in which no PatientID or AccessionNumber of the headers stands"
    elif tables and (nearly := _folders_but_for(raw, tables[0])):
        table += f", whose patients are called as the folders but for {nearly}"
    return f"which holds {' and '.join(found) or 'no images'}{inside}, and {table}"


def _folders_but_for(raw: Path, table: Path) -> str:
    """How a patient of the table is spelled otherwise than a folder; "" where none is."""
    folders = {folder.name for folder in visible_folders(raw)}
    ids = (row.get("patient_id", "") for row in rows_of(table))
    return next(filter(None, (spelled_otherwise(name, folders) for name in ids)), "")


def _names_patients(table: Path) -> bool:
    rows = rows_of(table)
    return bool(rows) and bool({"patient_id", "accession_number"} & set(rows[0]))


