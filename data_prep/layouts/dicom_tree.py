"""Layout: DICOM files in folders of any names and depth; the headers say who and which examination.

    <any>/**/<any>   DICOM files: PatientID says whose, StudyInstanceUID of which examination
    labels.csv       (or .tsv, .xlsx; cases and patients as well; or --labels TABLE) patient_id or
                     accession_number, as in the headers; the label (column label, or
                     `prep["label_column"]`); optional: site, scanner, group, split, age, sex

An examination is a case, and its sequences are found by the rules in `prep["sequences"]`, or by the
usual ones for the names of the task's channels. Patients get pseudonyms unless --keep-ids is given.
Examinations that no row of the table names are left out.
"""

import itertools
import sys
from pathlib import Path

from data_prep.case import Case, kept_columns, split_column_of
from data_prep.cases.any_case import (
    SETTINGS as CASE_SETTINGS,
)
from data_prep.cases.any_case import check_settings, operations_of, read_case
from data_prep.cases.any_to_predict import MOST_FILES_LOOKED_AT, cases_at
from data_prep.cases.dicom_case import identities
from data_prep.cases.examinations import Examination, examinations
from data_prep.cases.to_predict import CaseToPredict
from data_prep.io.folders import files_below
from data_prep.io.labels import check_labels
from data_prep.io.table import Row, is_empty, read_table, rows_by, table_in
from data_prep.io.volume_file import is_dicom, may_be_dicom
from data_prep.recognised import Recognised, dicom_sequences, rows_of, tables_at
from mri_tf.core.errors import InputError
from mri_tf.core.progress import say_once
from mri_tf.core.words import spelled_otherwise
from mri_tf.task import Task

__all__ = [
    "IDS_FROM_HEADERS", "SETTINGS", "VERSION", "cases_to_predict", "identities", "list_cases",
    "operations_of", "read_case", "recognise",
]  # fmt: skip
VERSION = 1
GENERAL = True  # where another layout recognises a folder too, that one is meant
IDS_FROM_HEADERS = True
OWN_SETTINGS = {"table", "label_column", "split_column", "covariates"}
SETTINGS = CASE_SETTINGS | OWN_SETTINGS
TABLES = tuple(
    f"{stem}.{suffix}"
    for stem in ("labels", "cases", "patients")
    for suffix in ("csv", "tsv", "xlsx")
)
FACTS = ("site", "scanner", "age", "sex")
COLUMNS = {"accession_number": "AccessionNumber", "patient_id": "PatientID"}


def list_cases(raw: Path, task: Task, labels: Path | None = None) -> list[Case]:
    """One case per examination with a row in the table; raises InputError if there is none."""
    check_settings(task, OWN_SETTINGS)
    found = examinations(raw)
    column = task.prep.get("label_column", "label")
    table = labels or table_in(raw, task.prep.get("table"), TABLES)
    rows = read_table(table, (column,))
    keys = key_columns(rows[0])
    check_labels(rows, column, task, table.name)
    side = split_column_of(task)
    by_key = _rows_by_key(rows, keys, (column, side, "group", "site"), table.name)
    chosen = [_row_of(one, keys, by_key) for one in found]
    used = {row.line for row in chosen if row is not None}
    if not used:
        named = " or ".join(COLUMNS[key] for key in keys)
        raise InputError(
            f"No row of the table names an examination by its {named}.",
            f"{len(rows)} rows, {len(found)} examinations{_but_for(rows, keys, found)}",
            f"Write the {named} of the headers into the column {' or '.join(keys)}.",
        )  # fmt: skip
    if left_out := sum(row is None for row in chosen):
        say_once(f"{left_out} examinations without a row are left out")
    covariates = kept_columns(FACTS, rows[0], task, column)
    cases = []
    for one, row in zip(found, chosen, strict=True):
        if row is not None:
            # Of headers that name nobody the table says whose they are, where it can.
            patient = row.get("patient_id", "") if one.anonymous else one.patient
            values = Row({**row, "patient_id": "" if is_empty(patient) else patient}.items(), row.line)
            files = {path: path for path in one.files}
            cases.append(Case.from_row(values, files, row[column], covariates, side))
    # Reading a case without files gives the reason, so that nothing is left out in silence.
    unused = [row for row in rows if row.line not in used]
    if unused and (nearly := _but_for(unused, keys, found)):
        print(f"{len(unused)} rows of {table.name} name no examination{nearly}", file=sys.stderr)
    lost = [
        Row({**row, "patient_id": row.get("patient_id") or f"line {row.line}"}.items(), row.line)
        for row in unused
    ]  # fmt: skip
    return cases + [Case.from_row(row, {}, row[column], covariates, side) for row in lost]


def _but_for(rows: list[Row], keys: tuple[str, ...], found: list[Examination]) -> str:
    """How the first row that is nearly spelled as a header differs from it; "" where none is."""
    there = {"patient_id": {one.patient for one in found},
             "accession_number": {one.accession for one in found}}  # fmt: skip
    for row in rows:
        for key in keys:
            if not is_empty(row[key]) and (nearly := spelled_otherwise(row[key], there[key])):
                return f"; line {row.line} differs from a header only in {nearly}"
    return ""


def _rows_by_key(
    rows: list[Row], keys: tuple[str, ...], same: tuple[str, ...], table: str
) -> dict[str, dict[str, Row]]:
    """Key column -> its value -> row. A patient's rows without an accession number must agree in the
    columns `same`."""
    found = {}
    for key in keys:
        others = rows
        if key == "patient_id":
            others = [row for row in rows if is_empty(row.get("accession_number", ""))]
        found[key] = rows_by(others, key, same, table) if others else {}
    return found


def _row_of(one: Examination, keys: tuple[str, ...], rows: dict[str, dict[str, Row]]) -> Row | None:
    """The row of an examination: by its accession number where the table has it, else by patient."""
    if "accession_number" in keys and one.accession in rows["accession_number"]:
        return rows["accession_number"][one.accession]
    return rows["patient_id"].get(one.patient) if "patient_id" in keys and not one.anonymous else None


def recognise(raw: Path, labels: Path | None) -> Recognised | None:
    """DICOM files, and a table with patient_id or accession_number."""
    tables = [
        table for table in tables_at(raw, labels)
        if (rows := rows_of(table)) and set(rows[0]) & set(COLUMNS)
    ]  # fmt: skip
    some = (path for path in files_below(raw) if may_be_dicom(path.name))
    if not tables or not any(is_dicom(path) for path in itertools.islice(some, MOST_FILES_LOOKED_AT)):
        return None
    rows = rows_of(tables[0])
    keys = key_columns(rows[0])
    column = " or ".join(COLUMNS[key] for key in keys)
    found = examinations(raw)
    values = {text for one in found for text in (one.accession, one.patient) if text}
    if not values & {row[key] for row in rows for key in keys}:
        if nearly := _but_for(rows, keys, found):
            raise InputError(
                f"No row of {tables[0].name} names an examination by its {column}.",
                nearly.removeprefix("; "), "Write the ids as the headers have them.",
            )  # fmt: skip
        return None
    rules = dicom_sequences((raw, [raw / path for path in one.files]) for one in found)
    named = {} if labels else {"table": tables[0].name}
    return Recognised(
        f"DICOM files whose {column} stands in {tables[0].name}", tuple(rules), rows=tuple(rows),
        prep={"sequences": rules, **named}, no_labels=tuple(COLUMNS),
    )  # fmt: skip


def cases_to_predict(path: Path, task: Task) -> list[CaseToPredict]:
    """A folder of DICOM of one patient or of several, a folder of files named as the channels, or a
    table."""
    return cases_at(path, task)


def key_columns(row: Row) -> tuple[str, ...]:
    """The columns that say which examination a row is about; raises InputError if there is none."""
    names = tuple(name for name in COLUMNS if name in row)
    if names:
        return names
    raise InputError(
        "The table of labels must have a column patient_id or accession_number.",
        f"columns {', '.join(row)}", "Rename the column that holds them.",
    )  # fmt: skip
