"""Layout: DICOM files in folders of any names and depth; the headers say who and which examination.

    <any>/**/<any>   DICOM files: PatientID says whose, StudyInstanceUID of which examination
    labels.csv       (or .tsv, .xlsx; cases and patients as well; or --labels TABLE) patient_id or
                     accession_number, as in the headers; the label (column label, or
                     `prep["label_column"]`); optional: site, scanner, group, split, age, sex

An examination is a case, and its sequences are found by the rules in `prep["sequences"]`, or by the
usual ones for the names of the task's channels. Patients get pseudonyms unless --keep-ids is given.
Examinations that no row of the table names are left out.
"""

import functools
import itertools
import sys
from pathlib import Path

from data_prep.case import Case
from data_prep.cases.any_case import (
    SETTINGS as CASE_SETTINGS,
)
from data_prep.cases.any_case import check_settings, identities, operations_of, read_case
from data_prep.cases.any_to_predict import cases_at
from data_prep.cases.examinations import examinations
from data_prep.cases.to_predict import CaseToPredict
from data_prep.io.folders import files_below
from data_prep.io.table import Row, check_labels, read_table
from data_prep.io.volume_file import is_dicom, may_be_dicom
from data_prep.recognised import Recognised, dicom_sequences, rows_of, tables_at
from mri_tf.core.errors import InputError
from mri_tf.task import Task

__all__ = [
    "IDS_FROM_HEADERS", "SETTINGS", "VERSION", "cases_to_predict", "identities", "list_cases",
    "operations_of", "read_case", "recognise",
]  # fmt: skip
VERSION = 1
GENERAL = True  # where another layout recognises a folder too, that one is meant
IDS_FROM_HEADERS = True
OWN_SETTINGS = {"table", "label_column", "covariates"}
SETTINGS = CASE_SETTINGS | OWN_SETTINGS
TABLES = tuple(
    f"{stem}.{suffix}"
    for stem in ("labels", "cases", "patients")
    for suffix in ("csv", "tsv", "xlsx")
)
FACTS = ("site", "scanner", "age", "sex")
MOST_FILES_LOOKED_AT = 20
COLUMNS = {"patient_id": "PatientID", "accession_number": "AccessionNumber"}


def list_cases(raw: Path, task: Task, labels: Path | None = None) -> list[Case]:
    """One case per examination with a row in the table; raises InputError if there is none."""
    check_settings(task, OWN_SETTINGS)
    found = examinations(raw)
    column = task.prep.get("label_column", "label")
    rows = read_table(labels or table_in(raw, task), (column,))
    key = key_column(rows[0])
    check_labels(rows, column, task, (labels or table_in(raw, task)).name)
    row_of = {row[key]: row for row in rows if row[key]}
    texts = [getattr(one, "accession" if key == "accession_number" else "patient") for one in found]
    if not set(texts) & set(row_of):
        raise InputError(
            f"No row of the table names an examination by its {COLUMNS[key]}.",
            f"{len(rows)} rows, {len(found)} examinations",
            f"Write the {COLUMNS[key]} of the headers into the column {key}.",
        )  # fmt: skip
    _say_what_has_no_partner(len(set(row_of) - set(texts)), sum(text not in row_of for text in texts))
    covariates = (*FACTS, *task.prep.get("covariates", ()))
    cases = []
    for one, text in zip(found, texts, strict=True):
        if text in row_of:
            row = Row({**row_of[text], "patient_id": one.patient}.items(), row_of[text].line)
            files = {path: path for path in one.files}
            cases.append(Case.from_row(row, files, row[column], covariates))
    return cases


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
    column = COLUMNS[key_column(rows[0])]
    found = examinations(raw)
    values = {one.accession if column == "AccessionNumber" else one.patient for one in found}
    if not values & {row[key_column(rows[0])] for row in rows}:
        return None
    rules = dicom_sequences((raw, [raw / path for path in one.files]) for one in found)
    named = {} if labels or tables[0].name in TABLES else {"table": tables[0].name}
    return Recognised(
        f"DICOM files whose {column} stands in {tables[0].name}", tuple(rules), rows=tuple(rows),
        prep={"sequences": rules, **named}, no_labels=tuple(COLUMNS),
    )  # fmt: skip


def cases_to_predict(path: Path, task: Task) -> list[CaseToPredict]:
    """A folder of DICOM of one patient or of several, a folder of files named as the channels, or a
    table."""
    return cases_at(path, task)


def table_in(raw: Path, task: Task) -> Path:
    """The table of a raw folder, as the task or the layout names it; it may not exist."""
    names = (task.prep["table"],) if "table" in task.prep else TABLES
    return next((raw / name for name in names if (raw / name).is_file()), raw / names[0])


def key_column(row: Row) -> str:
    """The column that says which examination a row is about; raises InputError if there is none."""
    for name in COLUMNS:
        if name in row:
            return name
    raise InputError(
        "The table of labels must have a column patient_id or accession_number.",
        f"columns {', '.join(row)}", "Rename the column that holds them.",
    )  # fmt: skip


@functools.cache  # once, although the cases are listed several times
def _say_what_has_no_partner(rows: int, examinations: int) -> None:
    if rows:
        print(f"{rows} rows of the table name no examination in the raw folder", file=sys.stderr)
    if examinations:
        print(f"{examinations} examinations without a row are left out", file=sys.stderr)
