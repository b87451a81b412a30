"""Exports a finished run for TF Serving, or as ONNX: python -m mri_tf.export --run RUN."""

import sys
from pathlib import Path

from mri_tf.core.command_line import Parser, folder_to_write, import_tensorflow, run_command


def main(arguments: list[str]) -> int:
    """Exports a finished run; returns the exit code."""
    flags = _parser().parse_args(arguments)
    from mri_tf.store.prepared import Prepared
    from mri_tf.store.run import open_finished

    run = open_finished(flags.run)
    prepared = Prepared.open(run.data_folder)
    import_tensorflow()
    from mri_tf.export.onnx import check_onnx
    from mri_tf.export.publish import FOLDERS, ONNX, export_run

    if flags.format == ONNX:
        check_onnx()
    folder = export_run(run, prepared, flags.out or FOLDERS[flags.format], flags.format)
    print(f"wrote {folder}")
    return 0


def _parser() -> Parser:
    parser = Parser(
        "python -m mri_tf.export", __doc__,
        examples=(
            "--run runs/grade/manual-s0",
            "--run runs/grade/manual-s0 --format onnx --out exports",
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
    return parser


if __name__ == "__main__":
    sys.exit(run_command(main))
