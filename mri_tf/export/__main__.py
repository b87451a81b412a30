"""Exports a finished run for TF Serving, or as ONNX: python -m mri_tf.export --run RUN."""

import sys
from pathlib import Path

from mri_tf.core.command_flags import folder_to_write, positive_int
from mri_tf.core.command_line import Parser, import_tensorflow, run_command
from mri_tf.core.errors import InputError


def main(arguments: list[str]) -> int:
    """Exports a finished run; returns the exit code."""
    flags = _parser().parse_args(arguments)
    from mri_tf.store.prepared import Prepared
    from mri_tf.store.run import open_finished

    run = open_finished(flags.run)
    check_members(run, flags.members)
    prepared = Prepared.open(run.data_folder)
    import_tensorflow()
    from mri_tf.evaluate.ensemble import with_fewer_members
    from mri_tf.export.onnx import check_onnx
    from mri_tf.export.publish import FOLDERS, ONNX, export_run

    if flags.format == ONNX:
        check_onnx()
    of_all = len(run.members)
    if flags.members and flags.members < of_all:
        run = with_fewer_members(run, flags.members)
    folder = export_run(run, prepared, flags.out or FOLDERS[flags.format], flags.format)
    print(f"wrote {folder}")
    if len(run.members) < of_all:
        print(
            f"It is {len(run.members)} of the {of_all} members, and the newest version in "
            f"{folder.parent}, with which predict and TF Serving answer; --out keeps it elsewhere."
        )
    return 0


def check_members(run, count: int) -> None:
    """Raises InputError where the run has not so many members; 0 is all of them."""
    if not count:
        return
    if not run.has_members:
        raise InputError(
            "--members is for models that train --folds made.", f"{run.folder}, a run of one network",
            "Leave out --members.",
        )  # fmt: skip
    if count > len(run.members):
        raise InputError(
            "The model has fewer members.", f"--members {count} of {len(run.members)}",
            f"Give 1 to {len(run.members)}, or leave out --members for all.",
        )  # fmt: skip


def _parser() -> Parser:
    parser = Parser(
        "python -m mri_tf.export", __doc__,
        examples=(
            "--run runs/grade/manual-s0",
            "--run runs/grade/manual-5folds-s0 --format onnx --out exports",
        ),
    )  # fmt: skip
    parser.add_argument("--run", required=True, type=Path, help="folder of a finished run")
    parser.add_argument(
        "--out", type=folder_to_write,
        help="folder of the exported models (default: saved_models; onnx_models for --format onnx)",
    )  # fmt: skip
    parser.add_argument(
        "--format", default="savedmodel", choices=["savedmodel", "onnx"],
        help="format of the exported model (default: savedmodel)",
    )  # fmt: skip
    parser.add_argument(
        "--members", type=positive_int, default=0, metavar="N",
        help="of a model that train --folds made: export its first N members (default: all)",
    )  # fmt: skip
    return parser


if __name__ == "__main__":
    sys.exit(run_command(main))
