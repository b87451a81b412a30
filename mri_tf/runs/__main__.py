"""Lists the runs in a folder with their results: mri-tf runs [DIR] [--compare A B]."""

import sys
from pathlib import Path

from mri_tf.core.command_line import DONE, Parser, run_command


def main(arguments: list[str]) -> int:
    """Prints a table of runs, or the differences between two; returns the exit code."""
    flags = _parser().parse_args(arguments)
    from mri_tf.runs.listed import compare, list_runs, table_of

    if flags.compare:
        print(compare(*flags.compare))
    else:
        print(table_of(list_runs(flags.folder)))
    return DONE


def _parser() -> Parser:
    parser = Parser(
        "mri-tf runs", __doc__,
        examples=("", "--compare runs/grade/manual-s0 runs/grade/scratch-s0"),
    )  # fmt: skip
    parser.add_argument(
        "folder", nargs="?", type=Path, default=Path("runs"), help="folder of runs (default: runs)"
    )
    parser.add_argument(
        "--compare", nargs=2, type=Path, metavar="RUN",
        help="two runs: the first's numbers minus the second's, on the patients that both hold out",
    )  # fmt: skip
    return parser


if __name__ == "__main__":
    sys.exit(run_command(main))
