"""Tables as spreadsheets save them: separators, encodings, capitals, blank lines, columns twice."""

import unicodedata

import openpyxl
import pytest
from refused import refusal

from data_prep.case import Case
from data_prep.io.table import path_in, read_table

ROWS = [("a.png", "p1", "left"), ("b.png", "Müller", "right")]
NEEDED = ("image", "patient_id", "label")
PLAIN = "image,patient_id,label\n" + "".join(",".join(row) + "\n" for row in ROWS)


def saved(folder, data: str | bytes):
    path = folder / "manifest.csv"
    path.write_bytes(data if isinstance(data, bytes) else data.encode())
    return path


def values_of(path, needed=NEEDED) -> list[tuple]:
    return [tuple(row[name] for name in needed) for row in read_table(path, needed)]


@pytest.mark.parametrize("separator", [",", ";", "\t"])
@pytest.mark.parametrize(
    "encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "cp1252"]
)
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_a_table_is_read_as_spreadsheets_save_it(tmp_path, separator, encoding, end):
    text = PLAIN.replace(",", separator).replace("\n", end)
    assert values_of(saved(tmp_path, text.encode(encoding))) == ROWS


def test_the_separator_that_excel_names_in_the_first_line_is_no_row(tmp_path):
    rows = read_table(saved(tmp_path, "sep=;\n" + PLAIN.replace(",", ";")), NEEDED)
    assert [row["image"] for row in rows] == ["a.png", "b.png"]
    assert [row.line for row in rows] == [3, 4]


def test_commas_inside_a_table_of_semicolons_are_part_of_the_values(tmp_path):
    text = "image;patient_id;label\na,1.png;p1;left\n"
    assert values_of(saved(tmp_path, text)) == [("a,1.png", "p1", "left")]


def test_columns_may_be_written_in_capitals(tmp_path):
    path = saved(tmp_path, PLAIN.replace("image,patient_id,label", "Image, PATIENT_ID ,Label,Site"))
    assert values_of(path) == ROWS
    assert read_table(path, NEEDED)[0]["site"] == ""
    (row,) = read_table(saved(tmp_path, "bratS21id,SITE\n00001,A\n"), ("BraTS21ID",))
    assert dict(row) == {"BraTS21ID": "00001", "site": "A"}


def test_lines_are_numbered_as_an_editor_numbers_them(tmp_path):
    text = 'image,patient_id,label\n\na.png,p1,left\n , ,\n"b\nc.png",p2,right\nd.png,p3,left\n'
    rows = read_table(saved(tmp_path, text), NEEDED)
    assert [row.line for row in rows] == [3, 5, 7]


@pytest.mark.parametrize("names", ["image,patient_id,label,label", "image,patient_id,label, Label"])
def test_a_column_named_twice_is_refused_by_name(tmp_path, names):
    line = refusal(read_table, saved(tmp_path, names + "\na.png,p1,left,right\n"), NEEDED)
    assert "several columns of one name" in line and "Received: label" in line


def test_columns_without_a_name_are_left_out(tmp_path):
    path = saved(tmp_path, "image,patient_id,label,,\na.png,p1,left,,\n")
    assert dict(read_table(path, NEEDED)[0]) == {"image": "a.png", "patient_id": "p1", "label": "left"}


def test_a_row_of_more_cells_than_columns_is_refused_with_its_line(tmp_path):
    path = saved(tmp_path, PLAIN + "\nc.png,p3,left,12,5\n")
    assert "5 cells for 3 columns in line 5" in refusal(read_table, path, NEEDED)


@pytest.mark.parametrize(
    "start, named", [(b"PK\x03\x04", "(.xlsx)"), (b"\xd0\xcf\x11\xe0", "old format (.xls)")]
)
def test_a_damaged_or_old_workbook_is_told_to_be_saved_as_csv(tmp_path, start, named):
    path = saved(tmp_path, start + b" an Excel workbook \xff\xfe\x00")
    message = refusal(read_table, path, NEEDED)
    assert named in message and "as CSV" in message


def test_a_workbook_gives_the_rows_of_its_first_sheet_with_their_lines(tmp_path):
    book = openpyxl.Workbook()
    for row in (("Image", "patient_id", "LABEL"), ("a.png", 7, "left"), (), ("b.png", "007", None)):
        book.active.append(row)
    book.create_sheet("notes").append(["nothing"])
    book.save(tmp_path / "cases.xlsx")
    rows = read_table(tmp_path / "cases.xlsx", NEEDED)
    assert [dict(row) for row in rows] == [
        {"image": "a.png", "patient_id": "7", "label": "left"},
        {"image": "b.png", "patient_id": "007", "label": ""},
    ]
    assert [row.line for row in rows] == [2, 4]


def test_backslashes_in_paths_are_slashes_unless_a_file_has_that_very_name(tmp_path):
    assert path_in(tmp_path, r"sub\a.png") == "sub/a.png"
    (tmp_path / r"sub\b.png").touch()
    assert path_in(tmp_path, r"sub\b.png") == r"sub\b.png"


def in_two_forms(name: str) -> tuple[str, str]:
    return unicodedata.normalize("NFC", name), unicodedata.normalize("NFD", name)


def test_a_patient_whose_accents_are_stored_in_two_ways_is_one_patient(tmp_path):
    rows = "".join(f"{number}.png,{name},left\n" for number, name in enumerate(in_two_forms("Müller é")))
    read = read_table(saved(tmp_path, "image,patient_id,label\n" + rows), NEEDED)
    assert len({row["patient_id"] for row in read}) == 1
    assert len({Case(name, {}, group=name).patient for name in in_two_forms("Müller é")}) == 1


@pytest.mark.parametrize("stored", in_two_forms("Zoë/Åse.png"))
def test_a_file_whose_accents_are_stored_in_another_way_than_the_table_s_is_found(tmp_path, stored):
    (tmp_path / stored).parent.mkdir()
    (tmp_path / stored).touch()
    for written in (*in_two_forms("Zoë/Åse.png"), *in_two_forms(r"Zoë\Åse.png")):
        assert path_in(tmp_path, written) == stored


@pytest.mark.parametrize("separator", [",", ";", "\t"])
@pytest.mark.parametrize("required", [("patient_id", "label"), ()])
def test_titles_above_the_header_are_left_out_and_told(tmp_path, separator, required, capsys):
    lines = ["Study 7: gliomas", "", "exported by the registry",
             separator.join(["patient_id", "label", "note"]),
             separator.join(["P1", "low", '"a, b; c"'])]  # fmt: skip
    name = f"{ord(separator)}{len(required)}.csv"
    (tmp_path / name).write_text("\n".join(lines))
    (row,) = read_table(tmp_path / name, required)
    assert (dict(row), row.line) == ({"patient_id": "P1", "label": "low", "note": "a, b; c"}, 5)
    assert f"{name}: 2 lines above the names of the columns left out" in capsys.readouterr().err


def test_a_title_of_several_cells_is_left_out_where_the_needed_columns_stand_below(tmp_path):
    (tmp_path / "several.csv").write_text("Study,2024\npatient_id,label\nP1,low\n")
    assert dict(read_table(tmp_path / "several.csv", ("patient_id",))[0]) == {
        "patient_id": "P1", "label": "low",
    }  # fmt: skip


def test_commas_in_the_cells_of_a_table_of_semicolons_make_no_title_of_its_header(tmp_path, capsys):
    (tmp_path / "notes.csv").write_text("patient_id;note\nP1;a,b,c\nP2;d,e,f\n")
    assert read_table(tmp_path / "notes.csv", ())[1] == {"patient_id": "P2", "note": "d,e,f"}
    assert capsys.readouterr().err == ""


def test_a_workbook_with_a_title_is_read_from_its_header_on(tmp_path):
    book = openpyxl.Workbook()
    for cells in (["Study 7"], [], ["patient_id", "label"], ["P1", "low"]):
        book.active.append(cells)
    book.save(tmp_path / "titled.xlsx")
    (row,) = read_table(tmp_path / "titled.xlsx", ("patient_id", "label"))
    assert dict(row) == {"patient_id": "P1", "label": "low"} and row.line == 4


@pytest.mark.parametrize("text", ["", "\n\n", "Study 7\n"])
def test_a_table_without_columns_is_refused(tmp_path, text):
    (tmp_path / "empty.csv").write_text(text)
    message = refusal(read_table, tmp_path / "empty.csv", ("patient_id",))
    assert "must have the columns patient_id" in message
