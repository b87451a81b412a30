"""Looks at a raw folder and writes a task file for it: python -m mri_tf.plan --raw DIR."""

import sys
from pathlib import Path

from mri_tf.core.command_flags import add_label, add_listing
from mri_tf.core.command_line import DONE, Parser, run_command


def main(arguments: list[str]) -> int:
    """Plans a folder and prints what it holds; returns the exit code."""
    flags = _parser().parse_args(arguments)
    from data_prep.layout_calls import listing_of
    from mri_tf.plan.planned import FINGERPRINT, plan_folder
    from mri_tf.plan.table import fingerprint_lines

    plan = plan_folder(flags.raw, listing_of(flags), flags.label, flags.out)
    print("\n".join(fingerprint_lines(plan.facts)))
    print(f"wrote {plan.file}, {plan.file.with_suffix(FINGERPRINT)}")
    return DONE


def _parser() -> Parser:
    parser = Parser(
        "python -m mri_tf.plan", __doc__,
        examples=("--raw scans", "--raw scans --labels grades.xlsx --label grade --out grade.toml"),
    )  # fmt: skip
    parser.add_argument("--raw", required=True, type=Path, help="folder of raw data")
    add_listing(parser)
    add_label(parser)
    parser.add_argument(
        "--out", type=Path, help="task file, .toml or .py (default: FOLDER_LABEL.toml in this folder)"
    )
    return parser


if __name__ == "__main__":
    sys.exit(run_command(main))
