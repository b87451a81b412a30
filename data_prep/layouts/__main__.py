"""Lists the ways in which a raw folder can be organised."""

import sys
from pathlib import Path

from mri_tf.core.catalogue import docstring_of, show
from mri_tf.core.command_line import run_command


def main(arguments: list[str]) -> int:
    """Prints the layouts, or the folders that one reads; returns the exit code."""
    files = sorted(Path(__file__).parent.glob("[!_]*.py"))
    texts = {file.stem: docstring_of(file).removeprefix("Layout: ") for file in files}
    return show("layout", texts, arguments)


if __name__ == "__main__":
    sys.exit(run_command(main))
