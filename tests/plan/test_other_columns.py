"""Columns beside the label's: the sides of the split, the label once more, and who looked."""

import numpy as np
import pytest
from PIL import Image
from refused import refusal

from data_prep.case import Case
from data_prep.io.table import Row
from data_prep.layout import find_layout
from data_prep.layout_calls import ListOptions
from data_prep.prepare.listed_cases import cases_to_prepare
from data_prep.recognised import Recognised
from mri_tf.core.command_line import run_command
from mri_tf.plan.__main__ import main as plan
from mri_tf.plan.label_column import classes_of
from mri_tf.plan.other_columns import other_columns
from mri_tf.plan.planned import plan_folder
from mri_tf.plan.split_column import split_column

NONE = ListOptions()
SIDES = ["train", "train", "Training", "val", "test", "TEST"]


def table(**columns):
    """What a layout recognises in a table of twelve patients with grades low, high, low ..."""
    columns = {"grade": ["low", "high"], **columns}
    rows = []
    for n in range(12):
        cells = {name: values[n % len(values)] for name, values in columns.items()}
        rows.append(Row({"patient_id": f"P{n}", **cells}.items(), n + 2))
    return Recognised("a table", ("t1",), rows=tuple(rows))


def scans(home, header, cells):
    home.mkdir()
    rows = [f"patient_id,image,grade,{header}"]
    for number in range(12):
        pixels = np.random.default_rng(number).integers(0, 250, (40, 40), dtype=np.uint8)
        Image.fromarray(pixels).save(home / f"{number}.png")
        rows.append(f"P{number},{number}.png,{['low', 'high'][number % 2]},{cells(number)}")
    (home / "cases.csv").write_text("\n".join(rows))
    return home


@pytest.mark.parametrize("column", ["set", "fold", "partition", "subset", "dataset"])
def test_a_column_whose_cells_are_all_sides_is_the_split_and_no_covariate(column):
    found = table(**{column: SIDES})
    classes = classes_of(found, "")
    assert classes.column == "grade" and split_column(found, classes.column) == column
    assert other_columns(found, classes, column).covariates == ()


def test_patients_are_on_the_sides_of_a_split_of_another_name_and_the_terminal_says_so(here, capsys):
    raw = scans(here / "raw", "Set", lambda number: SIDES[number // 2])
    assert run_command(plan, ["--raw", str(raw)]) == 0
    assert "the column set says which side each case is on" in capsys.readouterr().out
    planned = plan_folder(raw, NONE)
    assert planned.task.prep["split_column"] == "set" and "covariates" not in planned.task.prep
    cases = cases_to_prepare(find_layout(planned.task, planned.file), raw, planned.task, NONE)
    assert [case.split for case in cases] == ["train"] * 6 + ["validation"] * 2 + ["test"] * 4


@pytest.mark.parametrize("cells", [["train"], ["train", "A"], ["1", "2"], ["", ""]])
def test_a_column_of_one_side_or_of_other_words_is_no_split(cells):
    assert split_column(table(set=cells), "grade") == ""


def test_a_column_called_split_is_the_usual_one():
    assert split_column(table(split=["train", "test"], set=SIDES), "grade") == ""


def test_two_columns_that_say_different_sides_are_asked_about():
    found = table(set=["train", "test"], fold=["train", "train", "test"])
    message = refusal(classes_of, found, "")
    assert "which side of the split" in message and "set, fold" in message
    assert split_column(table(set=SIDES, fold=SIDES), "grade") == "set"


def test_a_split_column_that_the_table_does_not_have_is_refused():
    row = Row({"patient_id": "P1", "side": "train"}.items(), 2)
    message = refusal(Case.from_row, row, {}, split="set")
    assert "prep.split_column" in message and "patient_id, side" in message


def test_a_column_that_is_the_label_once_more_is_not_kept_and_said(here, capsys):
    cells = ("2,no", "3,yes")  # of a low and a high grade
    raw = scans(here / "raw", "who,died,field", lambda number: f"{cells[number % 2]},{number // 6}")
    assert run_command(plan, ["--raw", str(raw), "--label", "grade"]) == 0
    assert "who, died: each value goes with one class" in capsys.readouterr().out
    assert "each value of who and died goes with one class" in (here / "raw_grade.toml").read_text()
    assert plan_folder(raw, NONE, "grade").task.prep["covariates"] == ("field",)


def test_a_column_of_finer_classes_is_the_label_once_more():
    found = table(who=["1", "3", "2", "4"], field=["1.5", "1.5", "3"])
    others = other_columns(found, classes_of(found, "grade"), "")
    assert others.like_label == ("who",) and others.covariates == ("field",)


def test_a_shortcut_of_how_the_images_were_taken_is_kept_for_the_audit_and_said(here, capsys):
    cells = ("2,SIEMENS", "3,GE")  # of a low and a high grade
    raw = scans(here / "raw", "te_ms,manufacturer", lambda number: cells[number % 2])
    assert run_command(plan, ["--raw", str(raw), "--label", "grade"]) == 0
    assert "shortcuts    te_ms, manufacturer: each value goes" in capsys.readouterr().out
    assert plan_folder(raw, NONE, "grade").task.prep["covariates"] == ("te_ms", "manufacturer")


@pytest.mark.parametrize("column", ["reader", "radiologist", "second_rater", "operator_code"])
def test_who_looked_at_the_images_is_not_kept(column):
    found = table(**{column: ["Dr. A", "Dr. A", "Dr. B"]})
    assert other_columns(found, classes_of(found, "grade"), "").covariates == ()
