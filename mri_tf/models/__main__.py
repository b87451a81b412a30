"""Lists the networks that a task can name in `model`."""

import sys

from mri_tf.core.catalogue import show
from mri_tf.core.command_line import run_command
from mri_tf.models.registry import docstrings


def main(arguments: list[str]) -> int:
    """Prints the networks, or the description of one with its arguments; returns the exit code."""
    return show("model", docstrings(), arguments)


if __name__ == "__main__":
    sys.exit(run_command(main))
