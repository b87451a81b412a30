"""The small task, prepared and trained once from the command line, without features."""

from contextlib import chdir
from pathlib import Path

from small import write_small

from data_prep.write import main as write
from mri_tf.core.command_line import run_command
from mri_tf.train.__main__ import main as train

RUN = Path("runs/one")
QUICK = ("--task", "thirds.py", "--data", "data/thirds", "--variant", "scratch", "--set", "epochs=1",
         "--no-export")  # fmt: skip


def trained_once(folder: Path) -> Path:
    """The folder with the small task, its prepared set and the run."""
    write_small(folder)
    with chdir(folder):
        for command, flags in (
            (write, ("--task", "thirds.py", "--raw", "raw", "--out", "data/thirds")),
            (train, (*QUICK, "--out", str(RUN))),
        ):
            assert run_command(command, list(flags)) == 0
    return folder
