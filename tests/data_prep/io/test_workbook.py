"""What a reader of a workbook would not expect of its rows is said."""

import pytest
from openpyxl import Workbook

from data_prep.io.table import read_table


@pytest.fixture
def book(tmp_path):
    """Saves a workbook with a row for each of ten patients, after a change of its sheet."""

    def save(name, change):
        book = Workbook()
        book.active.append(["patient_id", "score", "grade"])
        for number in range(10):
            book.active.append([f"P{number}", number, "ab"[number % 2]])
        change(book.active)
        book.save(tmp_path / name)
        return tmp_path / name

    return save


def test_formulas_without_a_stored_result_are_named_with_their_column(book, capsys):
    def change(sheet):
        for line in range(2, 12):
            sheet.cell(line, 3).value = f'=IF(B{line}>4,"high","low")'

    path = book("formulas.xlsx", change)
    assert {row["grade"] for row in read_table(path, ())} == {""}
    said = capsys.readouterr().err
    assert "formulas.xlsx: 10 cells of the column grade hold a formula without a stored result" in said
    read_table(path, ())
    assert not capsys.readouterr().err


def test_hidden_rows_are_used_and_counted(book, capsys):
    def change(sheet):
        for line in (3, 4, 5):
            sheet.row_dimensions[line].hidden = True

    assert len(read_table(book("hidden.xlsx", change), ())) == 10
    assert "3 hidden rows are used as the others are (line 3, 4, 5)" in capsys.readouterr().err


def test_nothing_is_said_of_a_usual_workbook_with_rows_and_cells_that_are_empty(book, capsys):
    rows = read_table(book("usual.xlsx", lambda sheet: sheet.append([None, None, None])), ())
    assert len(rows) == 10 and not capsys.readouterr().err
