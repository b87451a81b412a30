"""A user's own layout: what it must give, and what is said where it fails or gives something else."""

import numpy as np
import pytest
from raw_folders import write_task

LAYOUT = '''
import numpy as np
from data_prep.case import Case, Unreadable, record_of
from mri_tf.store.record import Record

VERSION, OPERATIONS, SETTINGS = 1, (), set()


def image(task, shape=(16, 16, 1)):
    return np.arange(np.prod(shape), dtype=np.uint8).reshape(shape)


def list_cases(raw, task):
    patients = ("p1", "p2")
    return {cases}


def read_case(raw, case, task):
    if case.patient == "p2":
        raise Unreadable("it is the second")
    return {records}
'''
CASES = '[Case(patient, {"image": patient}, "left") for patient in patients]'
RECORDS = "[record_of(case, task, image(task))]"


def _write(folder, cases: str = CASES, records: str = RECORDS) -> None:
    write_task(folder, 'layout="own.py"')
    (folder / "own.py").write_text(LAYOUT.format(cases=cases, records=records), encoding="utf-8")
    (folder / "raw").mkdir()


def test_a_layout_beside_the_task_file_is_used(tmp_path, said):
    _write(tmp_path)
    code, lines = said()
    assert code == 1 and "skipped p2: it is the second" in lines


@pytest.mark.parametrize(
    ("cases", "words"),
    [
        ("None", "list_cases must return a list of Case"),
        ("(Case(p, {}) for p in patients)", "Received: generator"),
        ('["a"]', "Received: str"),
        ('[Case(3, {"image": "a"}, "left")]', "must be texts"),
        ('[Case("p", {"image": 3}, "left")]', "files of a case"),
        ('[Case("p", ["a"], "left")]', "files of a case"),
        ('[Case("p", {"image": "a"}, "middle")]', "left, right"),
        ('[Case("p", {"image": "a"}, "left", split="trian")]', "'trian'"),
        ('{}["Maier"]', "own.py: KeyError"),
        ("exit(0)", "own.py: SystemExit"),
    ],
)
def test_cases_that_are_none_are_refused_without_the_text_of_an_error(tmp_path, refused, cases, words):
    _write(tmp_path, cases=cases)
    line = refused(words)
    assert "Maier" not in line


@pytest.mark.parametrize(
    ("records", "words"),
    [
        ("Record('', 'p', image(task))", "list of Record. Received: Record"),
        ("[image(task)]", "Received: ndarray"),
        ("[record_of(case, task, image(task, (8, 16, 1)))]", "shape (16, 16, 1). Received: (8, 16, 1)"),
        ("[record_of(case, task, [[1]])]", "Received: list"),
        ("[Record('', 'p', image(task), label=9)]", "number of a class. Received: 9"),
        ("[Record('', 'p', image(task), label=0.7)]", "number of a class. Received: 0.7"),
        ("1 / 0", "read_case of the layout failed. Received: own.py: ZeroDivisionError"),
    ],
)
def test_records_that_are_none_are_refused(tmp_path, said, records, words):
    _write(tmp_path, records=records)
    code, lines = said()
    assert code == 2 and len(lines) == 1 and words in lines[0] and not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("stats", "words"),
    [("None", "Received: no intensity_stats"), ("np.ones((2, 1, 2))", "Received: other intensity_stats"),
     ("np.array([[[0, 1]], [[0, 1]]])", "")],
)  # fmt: skip
def test_a_users_layout_standardises_its_records_where_the_task_says_so(tmp_path, said, stats, words):
    _write(tmp_path, records=f"[record_of(case, task, image(task), stats={stats})]")
    write_task(tmp_path, 'layout="own.py", normalize=dict(method="zscore", region="mask")')
    code, lines = said()
    assert (code == 2 and words in lines[0]) if words else code == 1


def test_with_the_traceback_asked_for_the_error_is_shown_as_it_is(tmp_path, said, monkeypatch):
    monkeypatch.setenv("MRI_TF_TRACEBACK", "1")
    _write(tmp_path, records="1 / 0")
    with pytest.raises(ZeroDivisionError):
        said()


@pytest.mark.parametrize("name", ["thesis.docx", "records-old.tfrecord", "folder"])
def test_files_of_another_kind_are_not_removed_from_unfinished_work(tmp_path, small_raw, one_line, name):
    other = tmp_path / "out.partial" / name
    other.parent.mkdir()
    other.mkdir() if name == "folder" else other.write_text("my only copy")
    assert name in one_line(2) and other.exists()
    assert len(list(other.parent.iterdir())) == 1


def test_a_file_where_unfinished_work_would_lie_is_kept(tmp_path, small_raw, one_line):
    (tmp_path / "out.partial").write_bytes(np.arange(3).tobytes())
    assert "out.partial" in one_line(2) and (tmp_path / "out.partial").stat().st_size == 24
