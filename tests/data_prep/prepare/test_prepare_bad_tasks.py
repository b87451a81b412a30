"""A task, layout or scheduler that cannot be used is refused in one line before anything is written."""

import pytest
from raw_folders import TASK, write_task

from mri_tf.task.files import task_names

pytestmark = pytest.mark.usefixtures("small_raw")


def _task(more: str) -> str:
    return TASK.format(name="mine", more=more)


def test_a_scheduler_that_does_not_answer_is_one_line_and_leaves_nothing(refused):
    pytest.importorskip("distributed")
    line = refused("Received: http://nowhere", more=["--scheduler", "http://nowhere"])
    assert line.startswith("error: --scheduler")


def test_an_unknown_task_lists_the_tasks(refused):
    refused("Received: cardiac_level.", *task_names(), task="cardiac_level")


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("TASK = Task(\n", "SyntaxError"),
        ("raise RuntimeError('first line\\nsecond line')\n", "first line second line"),
        ("import not_installed_anywhere\n", "not_installed_anywhere"),
        ("import sys\nsys.exit('bye')\n", "mine.py"),
        ("TASK = 3\n", "TASK = Task"),
        (TASK.format(name="other", more=""), "'other'"),
        (_task("kind='segment'"), "kind"),
        (_task("prep=dict(dtype='unit8')"), "unit8"),
        (_task("prep=dict(dytpe='int16')"), "dytpe"),
        ("\x00", "mine.py"),
        (_task("image_shape=(8, 16, 16)"), "image_shape"),
        (_task("channels=('t1', 't2')"), "channels"),
        (_task("layout='tables'"), "one of brats, cases_table"),
    ],
)
def test_a_task_file_that_cannot_be_used_is_one_line(tmp_path, refused, text, named):
    (tmp_path / "mine.py").write_text(text)
    refused(named)


def test_a_layout_file_without_its_functions_is_one_line(tmp_path, refused):
    write_task(tmp_path, 'layout="mine_layout.py"')
    refused("The layout file does not exist")
    (tmp_path / "mine_layout.py").write_text("OPERATIONS = ()\n")
    refused("without VERSION, list_cases, read_case, SETTINGS")


@pytest.mark.parametrize(
    "text, advice",
    [
        ("from data_prep.class_folders import *\n", 'layout="class_folders" in mine.py and remove'),
        ("from data_prep.csv_manifest import *\n", 'layout="cases_table" in mine.py and remove'),
        ("def list_sources(raw, task): ...\n", 'Write layout="mine_prep.py" in mine.py, rename'),
    ],
)
def test_a_prep_file_of_an_earlier_version_is_told_the_line_to_write(tmp_path, refused, text, advice):
    (tmp_path / "mine_prep.py").write_text(text)
    refused(advice)
