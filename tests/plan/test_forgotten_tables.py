"""Folders of patients are no classes where a table beside them is broken or has other columns."""

import numpy as np
import pytest
from openpyxl import Workbook
from PIL import Image
from refused import refusal

from data_prep.layout_calls import ListOptions
from mri_tf.plan.planned import plan_folder

NONE = ListOptions()


def folders(raw, names, images=3):
    for name in names:
        (raw / name).mkdir(parents=True)
        for number in range(images):
            seed = [*name.encode(), number]
            pixels = np.random.default_rng(seed).integers(0, 250, (40, 40), dtype=np.uint8)
            Image.fromarray(pixels).save(raw / name / f"{name}_s{number}.png")
    return raw


PATIENTS = [f"P{number:02d}" for number in range(8)]


@pytest.fixture
def patients(here):
    return folders(here / "raw", PATIENTS)


def rows_of(ids):
    return "".join(f"{name},{'ab'[number % 2]}\n" for number, name in enumerate(ids))


@pytest.mark.parametrize(
    "text", ["patient_id,grade,grade\nP00,a,b\n", "patient_id,grade\nP00,a,b\n", "patient_id,grade\n"]
)
def test_a_table_that_cannot_be_read_is_refused_before_folders_are_classes(patients, text):
    (patients / "cases.csv").write_text(text)
    message = refusal(plan_folder, patients, NONE)
    assert "The table cases.csv cannot be read, and without it each folder is a class" in message
    assert "P00" in message and "move the table out" in message


def test_an_excel_table_of_the_old_format_is_refused_before_folders_are_classes(patients):
    (patients / "labels.xls").write_bytes(b"\xd0\xcf\x11\xe0" + b"0" * 2000)
    assert "labels.xls is an Excel workbook of the old format" in refusal(plan_folder, patients, NONE)


@pytest.mark.parametrize("column", ["ID", "PatientID", "who"])
def test_a_table_whose_column_of_patients_has_another_name_is_refused(patients, column):
    (patients / "labels.csv").write_text(f"{column},grade\n" + rows_of(PATIENTS))
    message = refusal(plan_folder, patients, NONE)
    assert "no column patient_id" in message and f"the column {column.lower()} names folders" in message


def test_a_table_whose_ids_are_written_otherwise_is_refused_beside_numbered_folders(patients):
    (patients / "labels.csv").write_text("ID,grade\n" + rows_of(range(8)))
    assert "numbered as patients are" in refusal(plan_folder, patients, NONE)


def test_a_table_of_the_files_is_refused_where_it_does_not_say_whose_they_are(here):
    raw = folders(here / "raw", ["low", "high"], 8)
    names = [path.name for path in sorted(raw.glob("*/*.png"))]
    (raw / "list.csv").write_text("file,age\n" + rows_of(names))
    assert "the column file names files or patients" in refusal(plan_folder, raw, NONE)


def test_a_table_of_something_else_does_not_keep_folders_from_being_classes(here):
    raw = folders(here / "raw", ["low", "high"], 8)
    (raw / "readme.csv").write_text("class,count,source\nlow,8,north\nhigh,8,north\n")
    (raw / "scanners.csv").write_text("scanner,field\nA,1.5\nB,3\nC,3\n")
    assert plan_folder(raw, NONE).task.class_names == ("high", "low")


def test_a_table_that_cannot_be_read_beside_the_one_that_is_used_is_said(patients, capsys):
    lines = [f"{name},{name}/{name}_s0.png,{'ab'[number % 2]}\n" for number, name in enumerate(PATIENTS)]
    (patients / "cases.csv").write_text("patient_id,image,grade\n" + "".join(lines))
    (patients / "more.csv").write_text("patient_id,age,age\n")
    assert plan_folder(patients, NONE).task.layout == "cases_table"
    assert "warning: more.csv is not used" in capsys.readouterr().err


def test_a_workbook_with_macros_is_looked_at_too(patients):
    book = Workbook()
    for row in [("ID", "grade"), *((name, "ab"[n % 2]) for n, name in enumerate(PATIENTS))]:
        book.active.append(row)
    book.save(patients / "labels.xlsm")
    assert "The table labels.xlsm has a row for each of the folders" in refusal(
        plan_folder, patients, NONE
    )


@pytest.mark.parametrize("name", ["P{:02d}", "case-{:02d}", "{:03d}", "TCGA-CS-{:04d}", "Patient {}"])
def test_folders_named_as_patients_are_no_classes_where_there_is_no_table(here, name):
    raw = folders(here / "raw", [name.format(number) for number in range(8)])
    message = refusal(plan_folder, raw, NONE)
    assert "named as patients are, and no table says their labels" in message
    assert "--labels" in message


@pytest.mark.parametrize("name", ["{}", "class_{}", "grade {}", "level-{:02d}"])
def test_numbered_classes_stay_classes(here, name):
    names = tuple(sorted(name.format(number) for number in range(8)))
    assert plan_folder(folders(here / "raw", names), NONE).task.class_names == names
