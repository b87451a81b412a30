"""The study that the tests of the study command share, and its rows."""

from contextlib import chdir
from pathlib import Path

import pandas as pd
import pytest

from mri_tf.core.command_line import run_command
from mri_tf.study.__main__ import main as study
from mri_tf.train.__main__ import main as train

COMMON = ("--task", "thirds.py", "--folds", "2", "--workers", "2", "--seed", "3")
SET = ("--set", "epochs=2", "features.epochs=1")
STUDY = Path("study")  # two folds of manual and scratch, in the folder of the tests


def run_study(*arguments) -> int:
    return run_command(study, [*COMMON, *map(str, arguments)])


def train_here(arguments: list[str], child) -> str:
    """In place of `run_module`: a cell's training in this process, which saves the start of another."""
    module, *flags = arguments
    assert module == "mri_tf.train"
    code = run_command(train, flags)
    return "" if code == 0 else f"exit code {code}"


def train_folds_here(folder: Path, command: tuple[str, ...]) -> Path:
    """Runs a command of train --folds in a folder, its networks in this process; returns the folder."""
    with chdir(folder), pytest.MonkeyPatch.context() as patch:
        patch.setattr("mri_tf.folds.cell.run_module", train_here)
        assert run_command(train, list(command)) == 0
    return folder


def rows_of(folder: Path, variant: str = "") -> pd.DataFrame:
    table = pd.read_parquet(folder / "results.parquet")
    return table[table["variant"] == variant].reset_index(drop=True) if variant else table
