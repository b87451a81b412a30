"""Writes synthetic raw data: python -m data_prep.phantom (--task T | --kind K [--dose P]) --out DIR."""

import sys
from pathlib import Path

from mri_tf.core.command_flags import folder_to_write, positive_int, seed_int, share
from mri_tf.core.command_line import Parser, run_command
from mri_tf.core.errors import InputError


def main(arguments: list[str]) -> int:
    """Writes the phantom of a task, or of a kind; returns the exit code."""
    flags = _parser().parse_args(arguments)
    from data_prep.phantom.write import kind_names, write_fake_raw, write_kind
    from mri_tf.task.files import find_task_file

    drawn = (flags.out, flags.patients, flags.seed, not flags.no_signal)
    if flags.task and flags.dose is not None:
        raise InputError(
            "--dose is about a phantom with a planted trick, which no task has.", f"--task {flags.task}",
            "Leave out --dose, or give --kind instead of --task, for example shortcut_corner.",
        )  # fmt: skip
    if flags.task:
        write_fake_raw(find_task_file(flags.task), *drawn)
    elif flags.kind in kind_names():
        write_kind(flags.kind, *drawn, flags.dose)
    else:
        raise InputError(
            "There is no phantom of that kind.", flags.kind, f"One of: {', '.join(kind_names())}."
        )
    name = Path(flags.task).stem if flags.task else flags.kind
    print(f"{flags.out}: {flags.patients} patients of {name}, seed {flags.seed}")
    return 0


def _parser() -> Parser:
    parser = Parser(
        "python -m data_prep.phantom", __doc__,
        examples=(
            "--task glioma_grading --out phantom --patients 12",
            "--kind shortcut_corner --dose 0.9 --out phantom_corner --patients 60 --seed 1",
        ),
    )  # fmt: skip
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--task", help="name of a task, or path of a task file")
    what.add_argument("--kind", help="name of a phantom, for example bids, clean_3d or shifted_scanner")
    parser.add_argument("--out", required=True, type=folder_to_write, help="folder to write into")
    parser.add_argument("--patients", type=positive_int, default=24, help="(default 24)")
    parser.add_argument("--seed", type=seed_int, default=0, help="random seed (default 0)")
    parser.add_argument(
        "--dose", type=share,
        help="of kinds with a planted trick: the share of patients in whom it agrees with the label "
        "(default 1)",
    )  # fmt: skip
    parser.add_argument(
        "--no-signal", action="store_true", help="give labels that have nothing to do with the images"
    )
    return parser


if __name__ == "__main__":
    sys.exit(run_command(main))
