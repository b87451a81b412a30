"""What a table says wrongly is refused before anything is read, with the lines to correct."""

import pytest
from raw_folders import HEADER, run_prepare, write_raw_folder, write_task

from data_prep.case import side_named
from mri_tf.store.prepared import Prepared

SPLIT = "image,patient_id,label,split\n"


@pytest.fixture
def refused_table(tmp_path, refused):
    """The table is refused in one line that holds `words`."""

    def run(table: str, *words: str, more=()) -> str:
        write_task(tmp_path)
        write_raw_folder(tmp_path / "raw", table)
        return refused(*words, more=more)

    return run


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ("a.png,p1,left\nb.png,p2,right\na.png,p1,left\n", ("several times", "lines 2, 4")),
        ("a.png,p1,left\nb.png,p2,right\na.png,p3,left\n", ("different patients", "in lines 2, 4")),
        ("a.png,p1,left\n\nb.png,p2,right\na.png,p1,right\n", ("different labels", "lines 2, 5")),
        ("a.png,p1,left\n./a.png,p1,left\n", ("several times", "lines 2, 3")),
        ("a.png,p1,left\n../raw/a.png,p2,left\n", ("must lie in the raw folder", "line 3")),
        ("a.png,p1,left\n/etc/hosts,p2,left\n", ("must lie in the raw folder", "/etc/hosts in line 3")),
        ("a.png,p1,left\nb.png,p2,\nc.png,p3,NaN\n", ("have no label", "line 3, 4", "--skip-unl")),
    ],
)
def test_rows_that_cannot_be_meant_are_refused_with_their_lines(tmp_path, refused, rows, words):
    write_task(tmp_path)
    write_raw_folder(tmp_path / "raw", HEADER + "a.png,p1,left\nb.png,p2,right\nc.png,p3,left\n")
    (tmp_path / "raw" / "manifest.csv").write_text(HEADER + rows)
    refused(*words)


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ("a.png,p1,left,train\nb.png,p2,right,fold 3\n", ("'fold 3' in line 3",)),
        ("a.png,p1,left,train\nb.png,p2,right,\n", ("'' in line 3",)),
        ("a.png,p1,left,Training\nb.png,p1,right,Testing\n", ("one patient", "a.png in line 2")),
    ],
)
def test_a_split_column_is_checked_before_preparing(refused_table, rows, words):
    refused_table(SPLIT + rows, *words)


def test_the_words_that_people_write_for_sides_are_understood(tmp_path):
    write_task(tmp_path)
    rows = "a.png,p1,left,Training\nb.png,p2,right,VAL\nc.png,p3,left,testing\n"
    write_raw_folder(tmp_path / "raw", SPLIT + rows)
    assert run_prepare(tmp_path / "mine.py", tmp_path / "raw", tmp_path / "out") == 0
    assert list(Prepared.open(tmp_path / "out").splits) == ["train", "validation", "test"]
    assert side_named("Hold-out") == "test" and side_named("other") == "other"


def test_unlabelled_rows_are_left_out_where_the_flag_says_so(tmp_path, capsys):
    write_task(tmp_path)
    rows = "a.png,p1,left\nb.png,p2,\nc.png,p3,n/a\nd.png,p4,right\n"
    write_raw_folder(tmp_path / "raw", HEADER + rows)
    command = (tmp_path / "mine.py", tmp_path / "raw", tmp_path / "out")
    assert run_prepare(*command, "--skip-unlabelled") == 0
    assert "2 of 4 rows have no label and are left out" in capsys.readouterr().out
    assert list(Prepared.open(tmp_path / "out").patients) == ["p1", "p4"]


def test_ignore_is_for_class_folders_only(refused_table):
    words, more = "--ignore is for layouts of class folders", ("--ignore", "x")
    refused_table(HEADER + "a.png,p1,left\n", words, more=more)
