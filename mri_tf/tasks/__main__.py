"""Lists the tasks that come with mri_tf."""

import sys

from mri_tf.core.catalogue import docstring_of, show
from mri_tf.core.command_line import run_command
from mri_tf.task.files import FOLDER, task_names


def main(arguments: list[str]) -> int:
    """Prints the tasks with their questions, or the description of one; returns the exit code."""
    texts = {name: docstring_of(FOLDER / f"{name}.py") for name in task_names()}
    return show("task", texts, arguments)


if __name__ == "__main__":
    sys.exit(run_command(main))
