"""One class has one spelling, and a word for an unknown label is no class."""

import unicodedata

import pytest
from refused import refusal

from data_prep.io.labels import check_labels
from data_prep.io.table import Row
from data_prep.recognised import Recognised
from mri_tf.core.errors import InputError
from mri_tf.plan.class_spelling import exact
from mri_tf.plan.label_column import classes_of
from mri_tf.task import Task


def table(labels, column="grade", **columns):
    """What a layout recognises in a table with a patient for each label."""
    rows = []
    for number, label in enumerate(labels):
        others = {name: values[number % len(values)] for name, values in columns.items()}
        rows.append(Row({"patient_id": f"P{number}", column: label, **others}.items(), number + 2))
    return Recognised("a table", ("t1",), rows=tuple(rows))


@pytest.mark.parametrize(
    "pair",
    [
        ("high grade", "high  grade"), ("low grade", "low\u00a0grade"), ("low grade", "low-grade"),
        ("low_grade", "lowgrade"), ("Low-grade", "low grade"),
        (unicodedata.normalize("NFC", "bösartig"), unicodedata.normalize("NFD", "bösartig")),
    ],
)  # fmt: skip
def test_classes_that_differ_only_in_how_they_are_written_are_refused(pair):
    message = refusal(classes_of, table([*pair, "other"] * 4), "")
    assert "Two classes differ only in blanks, hyphens, underscores or the code of a letter" in message
    assert exact(pair[0]) in message and exact(pair[1]) in message


@pytest.mark.parametrize("pair", [("1", "1,0"), ("1.0", "1,0"), ("2", "2.")])
def test_a_number_with_a_comma_is_the_same_number(pair):
    assert "the same number" in refusal(classes_of, table([*pair, "3"] * 4), "grade")


def test_a_folder_whose_name_ends_in_a_blank_is_no_class_of_its_own():
    found = Recognised("folders", ("image",), images=True, class_names=("high", "low", "low "))
    assert "'low' and 'low ', two folders" in refusal(classes_of, found, "")


@pytest.mark.parametrize("labels", [("HER2-", "HER2+"), ("1-2", "12"), ("T1", "T2"), ("-", "+")])
def test_signs_and_numbers_still_tell_classes_apart(labels):
    assert set(classes_of(table(labels * 4), "grade").names) == set(labels)


@pytest.mark.parametrize(
    "word", ["[Not Available]", "unknown", "Unknown", "?", "-", "missing", "not reported"]
)
def test_a_word_for_an_unknown_label_is_no_class(word):
    found = table(["low", "high", word] * 4)
    assert classes_of(found, "").names == ("high", "low")
    assert classes_of(found, "grade").names == ("high", "low")


def test_none_is_a_class():
    assert classes_of(table(["none", "mild"] * 4), "").names == ("mild", "none")


def test_a_task_with_a_class_called_unknown_keeps_it_and_another_has_no_label_there():
    for classes, kept in ((("low", "unknown"), "unknown"), (("low", "high"), "")):
        rows = [Row({"grade": word}.items(), 2) for word in ("low", "unknown")]
        task = Task(
            name="t", channels=("t1",), image_shape=(32, 32), class_names=classes, model="vgg"
        )
        check_labels(rows, "grade", task, "cases.csv")
        assert [row["grade"] for row in rows] == ["low", kept]


def test_other_words_that_are_no_classes_are_still_refused():
    rows = [Row({"grade": "lwo"}.items(), 2)]
    task = Task(
        name="t", channels=("t1",), image_shape=(32, 32), class_names=("low", "high"), model="vgg"
    )
    with pytest.raises(InputError, match="'lwo' in line 2"):
        check_labels(rows, "grade", task, "cases.csv")
