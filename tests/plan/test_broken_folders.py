"""Folders that people really have, with one thing wrong: said in one line, and nothing read wrong."""

import gzip
import os
import shutil

import nibabel
import numpy as np
import pytest
from openpyxl import Workbook
from refused import refusal

from data_prep.case import Unreadable
from data_prep.io.image import read_image
from data_prep.io.volume_file import read_volume_file
from data_prep.layout import find_layout
from data_prep.layout_calls import ListOptions
from data_prep.phantom.forms import write_patients
from data_prep.prepare.listed_cases import cases_to_prepare
from data_prep.prepare.prepare import prepare
from mri_tf.plan.planned import plan_folder

NONE = ListOptions()


@pytest.fixture(scope="module")
def patients(tmp_path_factory):
    raw = tmp_path_factory.mktemp("broken") / "scans"
    write_patients(raw, 8, 0, "nifti")
    return raw


@pytest.fixture
def table(patients, here):
    """A folder with a table of the t1 of eight patients."""
    raw = here / "scans"
    raw.mkdir()
    for number in range(1, 9):
        shutil.copy(patients / f"P00{number}" / "t1.nii.gz", raw / f"{number}.nii.gz")
    write_table(raw)
    return raw


def write_table(raw, masks=(), labels=None, name="cases.csv"):
    labels = labels or ["low", "high"] * 4
    rows = [
        f"P{n},{n}.nii.gz,{labels[n - 1]},{f'{n}.nii.gz' if n in masks else ''}" for n in range(1, 9)
    ]
    (raw / name).write_text("patient_id,t1,grade,mask\n" + "\n".join(rows), encoding="utf-8")


def listed(raw, planned):
    return cases_to_prepare(find_layout(planned.task, planned.file), raw, planned.task, NONE)


@pytest.mark.parametrize("masks", [(3,), (1, 2, 3, 4, 5, 6, 7)])
def test_a_mask_of_some_patients_only_is_left_out_of_a_classifier(table, masks, capsys):
    write_table(table, masks)
    planned = plan_folder(table, NONE, "grade")
    assert f"{len(masks)} of 8 cases have a mask" in capsys.readouterr().err
    prepared, skipped = prepare(planned.task, planned.file, table, table.parent / "set")
    assert len(prepared) == 8 and not skipped and prepared.record(0).mask is None


def test_masks_of_all_patients_are_kept(table):
    write_table(table, range(1, 9))
    planned = plan_folder(table, NONE, "grade")
    assert all("mask" in case.files for case in listed(table, planned))


def test_the_file_that_cannot_be_read_is_the_one_that_is_named(patients, here):
    raw = here / "scans"
    shutil.copytree(patients, raw)
    (raw / "P002" / "flair.nii.gz").write_bytes(b"")
    planned = plan_folder(raw, NONE)
    prepared, (skipped,) = prepare(planned.task, planned.file, raw, here / "set")
    assert skipped.file.startswith("P002") and skipped.reason.startswith("flair: ")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="Windows has no pipes in folders")
@pytest.mark.parametrize("read", [read_volume_file, lambda path: read_image(path, 1)])
def test_a_pipe_and_a_device_are_no_files(here, read):
    os.mkfifo(here / "pipe.nii.gz")
    (here / "endless.nii.gz").symlink_to("/dev/zero")
    for name in ("pipe.nii.gz", "endless.nii.gz"):
        with pytest.raises(Unreadable, match="not a regular file"):
            read(here / name)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="Windows has no pipes in folders")
def test_a_case_that_is_a_pipe_is_skipped_and_not_waited_for(table):
    (table / "3.nii.gz").unlink()
    os.mkfifo(table / "3.nii.gz")
    planned = plan_folder(table, NONE, "grade")
    prepared, (skipped,) = prepare(planned.task, planned.file, table, table.parent / "set")
    assert len(prepared) == 7 and skipped.reason == "it is not a regular file"
    again, _ = prepare(planned.task, planned.file, table, table.parent / "set")
    assert again.content_fingerprint() == prepared.content_fingerprint()


@pytest.mark.parametrize("packed", [True, False])
def test_a_volume_of_billions_of_voxels_is_refused_before_it_is_read(here, packed):
    header = nibabel.Nifti1Header()
    header.set_data_dtype(np.uint8)
    header.set_data_shape((2200, 2200, 2200))
    header.set_sform(np.eye(4), 1)
    data = header.binaryblock + bytes(4)
    path = here / ("large.nii.gz" if packed else "large.nii")
    if packed:
        path.write_bytes(gzip.compress(data + bytes(100_000)))
    else:
        path.write_bytes(data)
        os.truncate(path, 352 + 2200**3)  # a sparse file, which takes no space
    with pytest.raises(Unreadable, match="2200 x 2200 x 2200 voxels, more than 1 billion"):
        read_volume_file(path)


def test_a_path_of_thousands_of_letters_is_one_case_that_cannot_be_read(table, capsys):
    text = (table / "cases.csv").read_text().replace("3.nii.gz", "x" * 5000 + ".nii.gz", 1)
    (table / "cases.csv").write_text(text)
    planned = plan_folder(table, NONE, "grade")
    _, (skipped,) = prepare(planned.task, planned.file, table, table.parent / "set")
    assert skipped.reason.startswith("the file cannot be opened")


def test_a_misspelled_label_is_named_with_its_line(table):
    write_table(table, labels=["low", "hihg", "low", "high", "low", "high", "low", "high"])
    assert "'hihg' in line 3" in refusal(plan_folder, table, NONE)


def test_files_that_do_not_exist_are_named_where_they_are_many(table):
    for number in (1, 2, 5):
        (table / f"{number}.nii.gz").unlink()
    said = refusal(plan_folder, table, NONE)
    assert "names 3 of 8 files that do not exist: 1.nii.gz in line 2" in said


def test_two_tables_of_files_and_two_sheets_of_rows_are_refused(table):
    write_table(table, labels=["high", "low"] * 4, name="manifest.csv")
    assert "Several tables of the raw folder name files" in refusal(plan_folder, table, NONE)
    (table / "manifest.csv").unlink()
    rows = [line.split(",") for line in (table / "cases.csv").read_text().splitlines()]
    book = Workbook()
    for sheet, some in ((book.active, rows[:6]), (book.create_sheet("more"), [rows[0], *rows[6:]])):
        for row in some:
            sheet.append(row)
    (table / "cases.csv").unlink()
    book.save(table / "cases.xlsx")
    assert "Several sheets of cases.xlsx have the same columns" in refusal(
        plan_folder, table, ListOptions(labels=table / "cases.xlsx")
    )


@pytest.mark.parametrize("label", ["patient_id", "t1"])
def test_patients_and_files_are_no_label(table, label):
    assert "not of patients or files" in refusal(plan_folder, table, NONE, label)


def test_labels_that_are_the_same_number_are_refused(table):
    write_table(table, labels=["0", "0.0", "1", "1.0"] * 2)
    assert "the same number" in refusal(plan_folder, table, NONE, "grade")


@pytest.mark.parametrize("ending", ["", "_t1"])
def test_class_folders_may_hold_a_volume_of_each_patient(patients, here, ending, capsys):
    raw = here / "scans"
    for number in range(1, 9):
        home = raw / ("low", "high")[number % 2]
        home.mkdir(parents=True, exist_ok=True)
        shutil.copy(patients / f"P00{number}" / "t1.nii.gz", home / f"P0{number}{ending}.nii.gz")
    planned = plan_folder(raw, NONE)
    assert planned.task.layout == "class_folders" and len(planned.task.channels) == 1
    assert planned.facts.cases == 8 and "several files fit" not in capsys.readouterr().err


def test_class_folders_that_differ_in_capitals_are_refused(patients, here):
    raw = here / "scans"
    for number in range(1, 9):
        home = raw / ("High", "high")[number % 2]
        home.mkdir(parents=True, exist_ok=True)
        shutil.copy(patients / f"P00{number}" / "t1.nii.gz", home / f"P0{number}.nii.gz")
    assert "High and high, two folders" in refusal(plan_folder, raw, NONE)


def test_what_a_folder_holds_is_said_where_it_is_not_recognised(patients, here):
    raw = here / "scans"
    for number in range(1, 5):
        (raw / "high").mkdir(parents=True, exist_ok=True)
        shutil.copy(patients / f"P00{number}" / "t1.nii.gz", raw / "high" / f"P0{number}.nii.gz")
    assert "volumes, in the folders high (4), and no table" in refusal(plan_folder, raw, NONE)


def test_two_rows_of_a_participant_are_named(here):
    raw = here / "bids"
    write_patients(raw, 6, 0, "bids")
    lines = (raw / "participants.tsv").read_text().splitlines()
    (raw / "participants.tsv").write_text("\n".join([*lines, lines[1]]) + "\n")
    assert "Two rows of participants.tsv are about one participant" in refusal(plan_folder, raw, NONE)


def test_a_misspelt_label_does_not_make_another_column_the_label(table):
    grades = ["low", "high"] * 3 + ["lwo", "high"]
    rows = [f"P{n},{n}.nii.gz,{grade},{'LR'[n % 2]}" for n, grade in enumerate(grades, 1)]
    text = "patient_id,t1,grade,hand\n" + "\n".join(rows)
    (table / "cases.csv").write_text(text, encoding="utf-8")
    message = refusal(lambda: plan_folder(table, NONE))
    assert "Several columns of the table can be the label" in message
    assert "hand (L, R)" in message and "grade (but for 'lwo' in line 8)" in message
