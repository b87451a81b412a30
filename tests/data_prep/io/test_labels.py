"""Labels of several readers in a table: what they agree on, misspelt ones, and ties."""

import pytest

from data_prep.io.labels import consensus
from data_prep.layout_calls import ListOptions
from data_prep.layouts import cases_table, sequence_folders
from data_prep.prepare.listed_cases import cases_to_prepare
from mri_tf.core.errors import InputError
from mri_tf.task import Task
from mri_tf.task.overrides import with_values

GRADES = ("I", "II", "III")
TASK = Task(name="grades", channels=("t1",), image_shape=(32, 32), class_names=GRADES, model="vgg")


def table_of(folder, header: str, *rows: str) -> None:
    (folder / "cases.csv").write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")


def listed(folder, task=TASK) -> list:
    return cases_table.list_cases(folder, task)


@pytest.mark.parametrize(
    "labels, plain, ordered",
    [
        (["I", "I", "III"], "I", "I"),
        (["I", "II", "III"], "", "II"),
        (["I", "II"], "", ""),
        (["I", "I", "III", "III"], "", ""),
        (["I", "II", "II", "III"], "II", "II"),
        (["", "III", ""], "III", "III"),
        (["", ""], "", ""),
    ],
)
def test_readers_agree_on_the_majority_and_on_the_median_grade(labels, plain, ordered):
    assert consensus(labels, GRADES) == plain
    assert consensus(labels, GRADES, ordered=True) == ordered


def test_a_label_beside_the_readers_is_the_truth_and_all_are_kept(tmp_path):
    table_of(tmp_path, "patient_id,image,label,label_reader2,Label_Reader1",
             "a,a.png,III,I,I", "b,b.png,I,,II")  # fmt: skip
    first, second = listed(tmp_path)
    assert (first.label, second.label) == ("III", "I")
    assert first.facts == {"label_reader1": "I", "label_reader2": "I"}
    assert second.facts == {"label_reader1": "II"}


def test_without_a_label_the_truth_is_what_the_readers_agree_on(tmp_path):
    table_of(tmp_path, "patient_id,image,label_reader1,label_reader2,label_reader3",
             "a,a.png,II,II,I", "b,b.png,I,,", "c,c.png,I,II,III")  # fmt: skip
    assert [case.label for case in listed(tmp_path)] == ["II", "I", ""]
    ordered = with_values(TASK, dict(ordered=True))
    assert [case.label for case in listed(tmp_path, ordered)] == ["II", "I", "II"]


def test_readers_may_be_named_after_another_column(tmp_path):
    task = with_values(TASK, {"prep.label_column": "Grade"})
    table_of(tmp_path, "patient_id,image,grade_reader1,label_reader1", "a,a.png,II,nothing")
    (case,) = listed(tmp_path, task)
    assert case.label == "II" and case.facts == {"grade_reader1": "II"}


def test_a_misspelt_label_of_a_reader_is_reported_with_its_line_and_column(tmp_path):
    table_of(tmp_path, "patient_id,image,label,label_reader1", "a,a.png,I,I", "b,b.png,II,IIII")
    with pytest.raises(InputError, match="'IIII' in line 3, column label_reader1"):
        listed(tmp_path)


def test_a_case_on_which_readers_do_not_agree_is_said_to_have_no_label(tmp_path, capsys):
    table_of(tmp_path, "patient_id,image,label_reader1,label_reader2", "a,a.png,I,I", "b,b.png,I,II")
    with pytest.raises(InputError, match="line 3, on 1 of which the readers do not agree"):
        cases_to_prepare(cases_table, tmp_path, TASK, ListOptions())
    (case,) = cases_to_prepare(cases_table, tmp_path, TASK, ListOptions(skip_unlabelled=True))
    assert case.patient == "a"
    assert "1 of 2 rows have no label, on 1 of which the readers do not agree" in capsys.readouterr().out


def test_other_layouts_with_a_table_take_readers_too(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "t1.nii.gz").write_bytes(b"")
    (tmp_path / "manifest.csv").write_text("patient_id,grade_reader1\na,II\n", encoding="utf-8")
    task = with_values(TASK, {"layout": "sequence_folders", "image_shape": (16, 16, 16),
                              "model": "grader3d", "prep.label_column": "grade"})  # fmt: skip
    (case,) = sequence_folders.list_cases(tmp_path, task)
    assert case.label == "II" and case.facts == {"grade_reader1": "II"}


def test_without_label_and_readers_the_column_is_missed(tmp_path):
    table_of(tmp_path, "patient_id,image,reader1", "a,a.png,I")
    with pytest.raises(InputError, match="must have the columns patient_id, label"):
        listed(tmp_path)
