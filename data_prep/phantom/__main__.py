"""Writes a task's synthetic raw data: python -m data_prep.phantom --task T --out DIR."""

import sys
from pathlib import Path

from mri_tf.core.command_line import Parser, folder_to_write, positive_int, run_command, seed_int


def main(arguments: list[str]) -> int:
    """Writes the phantom of a task; returns the exit code."""
    flags = _parser().parse_args(arguments)
    from data_prep.phantom.write import write_fake_raw
    from mri_tf.task.files import find_task_file

    write_fake_raw(
        find_task_file(flags.task), flags.out, flags.patients, flags.seed, not flags.no_signal
    )
    print(f"{flags.out}: {flags.patients} patients of {Path(flags.task).stem}, seed {flags.seed}")
    return 0


def _parser() -> Parser:
    parser = Parser(
        "python -m data_prep.phantom", __doc__,
        examples=(
            "--task glioma_grading --out phantom --patients 12",
            "--kind bids --out phantom_bids --patients 24 --seed 1",
        ),
    )  # fmt: skip
    parser.add_argument("--task", required=True, help="name of a task, or path of a task file")
    parser.add_argument("--out", required=True, type=folder_to_write, help="folder to write into")
    parser.add_argument("--patients", type=positive_int, default=24, help="(default 24)")
    parser.add_argument("--seed", type=seed_int, default=0, help="random seed (default 0)")
    parser.add_argument(
        "--no-signal", action="store_true", help="give labels that have nothing to do with the images"
    )
    return parser


if __name__ == "__main__":
    sys.exit(run_command(main))
