"""The commands where nothing is trained yet: names, misspelt flags, sets that are small or damaged."""

import subprocess
import sys
from pathlib import Path

import pytest
from refused import error_line
from small import write_raw, write_task_files

from mri_tf.cli import find_commands
from mri_tf.core.command_line import run_command
from mri_tf.evaluate.__main__ import main as evaluate
from mri_tf.train.__main__ import main as train


def test_a_misspelt_flag_is_named_where_the_right_one_is_required(capsys):
    line = error_line(capsys, evaluate, "--runs", "x")
    assert "required: --run; unknown flags: --runs" in line


@pytest.fixture
def elsewhere(tmp_path, monkeypatch) -> Path:
    """The test runs in a folder that holds the task files only."""
    write_task_files(tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_fewer_patients_than_sides_are_refused(elsewhere, capsys):
    raw = write_raw(elsewhere / "raw", patients=2)
    message = error_line(capsys, train, "--task", "thirds.py", "--variant", "scratch", "--raw", raw)
    assert "at least 3 patients" in message


def test_an_unreadable_image_is_named_and_the_rest_is_trained(elsewhere, capsys):
    raw = write_raw(elsewhere / "raw", patients=6)
    broken = sorted((raw / "images").iterdir())[0]
    broken.write_bytes(broken.read_bytes()[:200])
    flags = ("--variant", "scratch", "--raw", "raw", "--set", "epochs=1", "--no-export")
    assert run_command(train, ["--task", "thirds.py", *flags]) == 1
    assert f"skipped images/{broken.name}: not a complete PNG" in capsys.readouterr().err


def test_mri_tf_lists_its_commands_and_runs_them_by_name():
    assert {"train", "evaluate", "export", "write", "phantom"} <= set(find_commands())
    command = [sys.executable, "-c", "import sys, mri_tf.cli; sys.exit(mri_tf.cli.main())"]
    for name in find_commands():
        done = subprocess.run([*command, name, "--help"], capture_output=True, text=True, check=True)
        assert "usage: python -m" in done.stdout or f"usage: mri-tf {name}" in done.stdout
    wrong = subprocess.run([*command, "tarin"], capture_output=True, text=True, check=False)
    assert wrong.returncode == 2 and "One of:" in wrong.stderr and wrong.stderr.count("\n") == 1
