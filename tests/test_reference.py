"""The pages that are written from the code are current, and every command's help ends with examples."""

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

from mri_tf.cli import find_commands

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="module")
def make_task():
    spec = importlib.util.spec_from_file_location("make_task", ROOT / "docs/reference/make_task.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_page_of_task_keys_is_current(make_task):
    assert make_task.PAGE.read_text(encoding="utf-8") == make_task.reference(), (
        "run python docs/reference/make_task.py"
    )


def test_every_key_of_a_task_has_a_meaning(make_task):
    without = [
        f"{prefix}{name}"
        for kind, prefix in make_task.PARTS.values()
        for name, _, _, meaning in make_task.fields_of(kind)
        if not meaning
    ]
    assert not without


@pytest.mark.parametrize("command", sorted(find_commands()))
def test_the_help_of_every_command_ends_with_two_examples(command):
    module = find_commands()[command][0]
    run = subprocess.run(
        [sys.executable, "-m", module, "--help"], capture_output=True, text=True, cwd=ROOT, check=True
    )
    examples = run.stdout.rstrip().rpartition("examples:\n")[2].splitlines()
    assert len(examples) == 2 and all(line.startswith("  ") for line in examples)
