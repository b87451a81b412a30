"""Reads the first sheet of an .xlsx file, and says what a reader of the sheet would not expect."""

import io
import zipfile
from collections import Counter
from pathlib import Path
from xml.etree import ElementTree

from data_prep.io.header_line import header_at
from mri_tf.core.errors import InputError, first_few
from mri_tf.core.progress import say_once


def cells_of_sheet(data: bytes, path: Path) -> list[tuple[int, list[str]]]:
    """(line, cells) of each row of the first sheet that is not empty.

    Formulas whose result is not stored, as programs leave them that write a workbook without calculating
    it, are empty cells; hidden rows are rows as others are. The terminal says both.

    Args:
        data: of the file.
        path: its path, for messages.

    Raises:
        InputError: it is no workbook, or several sheets have the same columns.
    """
    import pandas

    try:
        sheets = pandas.read_excel(
            io.BytesIO(data), header=None, dtype=str, na_filter=False, sheet_name=None
        )
    except (ValueError, KeyError, OSError, ImportError, zipfile.BadZipFile, ElementTree.ParseError):
        raise InputError(
            f"{path.name} cannot be read as an Excel workbook (.xlsx).", path,
            "Save the sheet as CSV (UTF-8).",
        ) from None  # fmt: skip
    (_, sheet), *others = sheets.items()
    lines = sheet.values.tolist()
    header = _header_of(lines)
    further = [name for name, other in others if header and _header_of(other.values.tolist()) == header]
    if further:
        raise InputError(
            f"Several sheets of {path.name} have the same columns; only the first would be read.",
            f"sheets {', '.join(sheets)}", "Put all rows into one sheet.",
        )  # fmt: skip
    rows = [(line, cells) for line, cells in enumerate(lines, 1) if any(cell.strip() for cell in cells)]
    for text in _surprises(data, rows):
        say_once(f"warning: {path.name}: {text}")
    return rows


def _header_of(lines: list[list[str]]) -> list[str]:
    """The filled cells of the row that names the columns."""
    rows = [cells for cells in lines if any(cell.strip() for cell in cells)]
    return [cell for cell in rows[header_at(rows, ())] if cell.strip()] if rows else []


def _surprises(data: bytes, rows: list[tuple[int, list[str]]]) -> list[str]:
    """What the terminal says of the first sheet; nothing of a workbook of another format."""
    import openpyxl

    try:
        sheet = openpyxl.load_workbook(io.BytesIO(data)).worksheets[0]
    except (ValueError, KeyError, OSError, TypeError, zipfile.BadZipFile, ElementTree.ParseError):
        return []
    lost: Counter[str] = Counter()
    for line, cells in rows:
        for place, text in enumerate(cells):
            if not text.strip() and sheet.cell(line, place + 1).data_type == "f":
                lost[rows[0][1][place].strip() or f"number {place + 1}"] += 1
    texts = [
        f"{count} cells of the column {column} hold a formula without a stored result, and count as "
        "empty. Open the table in Excel or LibreOffice and save it, or save it as CSV."
        for column, count in lost.items()
    ]
    hidden = [line for line, _ in rows[1:] if line in sheet.row_dimensions
              and sheet.row_dimensions[line].hidden]  # fmt: skip
    if hidden:
        texts.append(
            f"{len(hidden)} hidden rows are used as the others are (line {first_few(hidden)}). Delete "
            "the rows that are not meant."
        )
    return texts
