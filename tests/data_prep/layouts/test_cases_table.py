"""Tables with a row for each case: which cells name files."""

import pytest

from data_prep.layouts import cases_table
from mri_tf.core.errors import InputError
from mri_tf.task import Task

TASK = Task(
    name="mine", channels=("t1", "flair"), image_shape=(8, 8, 8), class_names=("a", "b"),
    model="cnn3d", prep=dict(missing="skip"),
)  # fmt: skip


@pytest.fixture
def raw(tmp_path):
    for name in ("1_t1.nii", "1_flair.nii", "2_flair.nii"):
        (tmp_path / name).touch()
    (tmp_path / "cases.csv").write_text(
        "patient_id,label,t1,flair,mask\nP1,a,1_t1.nii,1_flair.nii,NA\nP2,b,NA,2_flair.nii,NA\n"
    )
    return tmp_path


def test_a_word_for_a_missing_value_in_a_column_of_paths_is_no_file(raw):
    both = {"t1": "1_t1.nii", "flair": "1_flair.nii"}, {"flair": "2_flair.nii"}
    assert [case.files for case in cases_table.list_cases(raw, TASK)] == list(both)
    asked = cases_table.cases_to_predict(raw / "cases.csv", TASK)
    assert [one.case.files for one in asked] == list(both)


def test_a_column_of_paths_is_recognised_where_many_cells_say_that_there_is_none(raw):
    rows = "".join(f"P{number},b,NA,2_flair.nii,NA\n" for number in range(3, 30))
    table = raw / "cases.csv"
    table.write_text(table.read_text() + rows)
    assert cases_table.recognise(raw, None).channels == ("t1", "flair")


def test_a_row_whose_images_are_all_missing_is_named(raw):
    table = raw / "cases.csv"
    table.write_text(table.read_text() + "P3,b,NA,n/a,NA\n")
    with pytest.raises(InputError, match="no image in line 4"):
        cases_table.list_cases(raw, TASK)
