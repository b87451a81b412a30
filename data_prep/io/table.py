"""Reads tables that users write, as spreadsheets save them, and checks patient ids."""

import csv
import io
import itertools
import os
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from data_prep.io.header_line import MOST_TITLES, header_at, without_titles
from data_prep.io.workbook import cells_of_sheet
from mri_tf.core.errors import InputError, first_few
from mri_tf.core.words import composed

SEPARATORS = ",;\t"
MARKS = ((b"\xef\xbb\xbf", "utf-8-sig"), (b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16"))
XLSX = b"PK\x03\x04"  # and other zipped formats, such as .ods
XLS = b"\xd0\xcf\x11\xe0"
READER = re.compile(r"(.+)_reader(\d+)$")  # a column of what one of several readers says
EMPTY = ("", "nan", "na", "n/a", "null", "#n/a")  # what programs write for a missing value


class Row(dict):
    """A row of a table: column -> value without surrounding blanks; `line` is its line in the file.

    Letters with accents are one character each, however the table stores them (`composed`).
    """

    def __init__(self, values: Iterable[tuple[str, str]], line: int):
        super().__init__(values)
        self.line = line


def read_table(path: Path, required: tuple[str, ...]) -> list[Row]:
    """Reads a table with a header line: columns apart by commas, semicolons or tabs, or an .xlsx file.

    UTF-8 and UTF-16 are read, and what is neither as Windows' Latin-1; of a workbook the first sheet.
    Columns may be written in capitals: `required` ones are returned as spelled there, others in lower
    case. Empty lines are left out, and titles above the header.

    Args:
        path: the table, in the raw folder.
        required: columns that it must have; further columns are kept. Columns of readers stand for the
            one that they are named after.

    Returns:
        At least one row.

    Raises:
        InputError: the folder, the file or a column is missing, a column is named twice, a row has more
            cells than there are columns, or there are no rows.
    """
    if not path.parent.is_dir():
        raise InputError("--raw must be a folder.", path.parent, "Give the folder of the raw data.")
    if not path.is_file():
        raise InputError(
            f"The raw folder must contain the table {path.name}.", f"no such file in {path.parent}",
            f"Create {path.name} with the columns {', '.join(required)}.",
        )
    data = path.read_bytes()
    if data.startswith(XLSX):
        lines = cells_of_sheet(data, path)
    else:
        lines = _cells(_text_of(data, path), required, path)
    lines = without_titles(lines, required, path.name)
    columns = _columns(lines[0][1] if lines else [], required, path)
    rows = [_row(cells, columns, line, path) for line, cells in lines[1:]]
    if not rows:
        raise InputError(f"{path.name} has no rows.", path, "Add at least one row.")
    return rows


def table_in(raw: Path, name: str | None, usual: tuple[str, ...]) -> Path:
    """The table of a raw folder, of this name, or the first of the usual ones; it may not exist."""
    names = (name,) if name else usual
    return next((raw / one for one in names if (raw / one).is_file()), raw / names[0])


def is_empty(text: str) -> bool:
    """Whether a cell is empty, or holds what programs write for a missing value.

    >>> is_empty("#N/A"), is_empty(""), is_empty("0")
    (True, True, False)
    """
    return text.strip().lower() in EMPTY


def rows_by(rows: list[Row], key: str, same: tuple[str, ...], table: str) -> dict[str, Row]:
    """The row of each value of a column, where rows of one value agree.

    Args:
        rows: of a table.
        key: the column, such as patient_id; rows where it is empty are left out.
        same: columns that must agree in rows of one value, such as the label.
        table: its name, for messages.

    Raises:
        InputError: two rows of one value differ in one of these columns.
    """
    found: dict[str, Row] = {}
    for row in rows:
        if is_empty(row[key]):
            continue
        first = found.setdefault(row[key], row)
        for column in same:
            if first.get(column, "") != row.get(column, ""):
                raise InputError(
                    f"Two rows of {table} are about one {key}, and differ in {column}.",
                    f"lines {first.line} and {row.line}", "Keep the row that is right.",
                )  # fmt: skip
    return found


def check_patients(rows: list[Row], table: str) -> None:
    """Raises InputError if a row has no patient id, or a word that stands for none."""
    lines = [str(row.line) for row in rows if is_empty(row["patient_id"])]
    if lines:
        raise InputError(
            f"Every row of {table} must have a patient_id.", f"none in line {first_few(lines)}",
            "Fill in the patient ids: the data are split by patient.",
        )


def reader_columns(columns: Iterable[str], column: str) -> tuple[str, ...]:
    """The columns in which several readers give what `column` holds, in the order of their numbers.

    >>> reader_columns(["label_reader10", "label_reader2", "age"], "Label")
    ('label_reader2', 'label_reader10')
    """
    matched = {name: found for name in columns if (found := READER.match(name))}
    of_column = [name for name, found in matched.items() if found[1] == column.lower()]
    return tuple(sorted(of_column, key=lambda name: int(matched[name][2])))


def path_in(raw: Path, text: str) -> str:
    """A path in a table, relative to the raw folder, as the files are named.

    Where no file has this very name, backslashes, as Windows writes them, become slashes, and letters
    with accents are looked for as one character and as two, as macOS may write them.
    """
    if ("\\" not in text and text.isascii()) or os.path.exists(raw / text):
        return text
    text = text.replace("\\", "/")
    found = Path()
    for part in Path(text).parts:
        forms = (part, composed(part), unicodedata.normalize("NFD", part))
        there = next((form for form in forms if os.path.exists(raw / found / form)), None)
        if there is None:
            return text
        found /= there
    return str(found)


def _text_of(data: bytes, path: Path) -> str:
    if data.startswith(XLS):
        raise InputError(
            f"{path.name} is an Excel workbook of the old format (.xls).", path,
            "Save the sheet as .xlsx or as CSV (UTF-8).",
        )  # fmt: skip
    encoding = next((name for mark, name in MARKS if data.startswith(mark)), "")
    zeros = [half.count(0) > len(half) / 2 for half in (data[:200:2], data[1:200:2])]
    if not encoding and any(zeros):  # UTF-16 without a mark: every second byte is 0
        encoding = "utf-16-be" if zeros[0] else "utf-16-le"
    try:
        text = data.decode(encoding or "utf-8")
    except UnicodeDecodeError:
        text = "" if encoding else data.decode("cp1252", errors="replace")
    if not text and data or "\0" in text:
        raise InputError(
            f"Cannot read {path.name} as a CSV file.", f"{path}, which is not text",
            "Save the table again as CSV with UTF-8 encoding.",
        )
    return text


def _cells(text: str, required: tuple[str, ...], path: Path) -> list[tuple[int, list[str]]]:
    """(line, cells) of the header and of each row that is not empty."""
    first, _, rest = text.partition("\n")
    skipped = 0
    if first.strip().lower().startswith("sep="):  # Excel's way to name the separator
        text, skipped = rest, 1
    wanted = {composed(name.lower()) for name in required}
    parsed = []
    try:
        for separator in SEPARATORS:
            reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator)
            rows = list(itertools.islice((cells for cells in reader if any(cells)), MOST_TITLES + 1))
            place = header_at(rows, required)
            header = {composed(name.strip().lower()) for name in rows[place]} if rows else set()
            # A title above several cells may be the header of a table with another separator.
            parsed.append((len(header & wanted), place == 0 and len(header) > 1, len(header), separator))
        best = max(parsed, key=lambda entry: entry[:3])[3]
        reader = csv.reader(io.StringIO(text, newline=""), delimiter=best)
        lines, end = [], skipped
        for cells in reader:
            if any(cell.strip() for cell in cells):
                lines.append((end + 1, cells))
            end = skipped + reader.line_num
    except csv.Error as error:
        raise InputError(
            f"Cannot read {path.name} as a CSV file.", f"{path} ({error})",
            "Save the table again as CSV with UTF-8 encoding.",
        ) from None
    return lines


def _columns(header: list[str], required: tuple[str, ...], path: Path) -> list[str]:
    """The columns as they are returned; a nameless one is empty."""
    spelled = {composed(name.lower()): name for name in required}
    cells = [composed(name.strip().lower()) for name in header]
    columns = [spelled.get(name, name) for name in cells]
    twice = [name for name, count in Counter(columns).items() if name and count > 1]
    if twice:
        raise InputError(
            f"{path.name} has several columns of one name.", first_few(twice),
            "Remove or rename all but one of each.",
        )  # fmt: skip
    missing = [name for name in required if name not in columns and not reader_columns(columns, name)]
    if missing:
        raise InputError(
            f"{path.name} must have the columns {', '.join(required)}.",
            f"columns {', '.join(filter(None, columns)) or 'none'}",
            f"Add {', '.join(missing)}; separate columns by commas.",
        )
    return columns


def _row(cells: list[str], columns: list[str], line: int, path: Path) -> Row:
    values = [composed(cell.strip()) for cell in cells]
    if any(values[len(columns) :]):
        raise InputError(
            f"A row of {path.name} has more cells than there are columns.",
            f"{len(values)} cells for {len(columns)} columns in line {line}",
            "Put values that contain the separator into quotes.",
        )
    values += [""] * (len(columns) - len(values))
    return Row(((name, value) for name, value in zip(columns, values, strict=False) if name), line)
