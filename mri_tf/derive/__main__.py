"""Adds the masks a segmentation run predicts to a prepared set: python -m mri_tf.derive --run RUN."""

import sys
from pathlib import Path

from mri_tf.core.command_flags import folder_to_write
from mri_tf.core.command_line import Parser, import_tensorflow, run_command


def main(arguments: list[str]) -> int:
    """Writes the derived set; returns the exit code."""
    flags = _parser().parse_args(arguments)
    from mri_tf.store.prepared import Prepared
    from mri_tf.store.run import open_finished

    run, prepared = open_finished(flags.run), Prepared.open(flags.data)
    import_tensorflow()
    from mri_tf.derive.predicted_masks import derive_set

    derived = derive_set(run, prepared, flags.out)
    print(f"wrote {flags.out}: {len(derived)} records with predicted masks")
    return 0


def _parser() -> Parser:
    parser = Parser(
        "python -m mri_tf.derive", __doc__,
        examples=(
            "--run runs/tumour/manual-s0 --data data/grade --out data/grade_boxes",
            "--run runs/structures/manual-s1 --data data/heads --out data/heads_with_masks",
        ),
    )  # fmt: skip
    parser.add_argument("--run", required=True, type=Path, help="finished run of a segmentation task")
    parser.add_argument("--data", required=True, type=Path, help="folder of the prepared set")
    parser.add_argument("--out", required=True, type=folder_to_write, help="folder of the derived set")
    return parser


if __name__ == "__main__":
    sys.exit(run_command(main))
