"""Writes the card of a run or a study, a page a reviewer can read: python -m mri_tf.report --run RUN."""

import argparse
import sys
from pathlib import Path

from mri_tf.core.command_flags import positive_int
from mri_tf.core.command_line import DONE, Parser, import_tensorflow, run_command


def main(arguments: list[str]) -> int:
    """Writes the card; returns the exit code."""
    flags = _parser().parse_args(arguments)
    import_tensorflow()
    from mri_tf.report.card import card_of_run, card_of_study
    from mri_tf.report.options import Options

    options = Options(flags.merge_small_cells, flags.thumbnails)
    if flags.run:
        card = card_of_run(flags.run, flags.out, options)
    else:
        card = card_of_study(flags.study, flags.out, options)
    print(f"wrote {card}")
    return DONE


def page_to_write(text: str) -> Path:
    """argparse type: an HTML file in a folder that exists."""
    path = Path(text)
    named = path.suffix.lower() in (".html", ".htm")
    if not named or not path.absolute().parent.is_dir() or path.is_dir():
        raise argparse.ArgumentTypeError(f"must be an .html file in a folder that exists, not {text!r}")
    return path


def _parser() -> Parser:
    parser = Parser(
        "python -m mri_tf.report", __doc__,
        examples=(
            "--run runs/lgg_grade/manual-s0",
            "--study studies/lgg --out card.html --merge-small-cells 5",
        ),
    )  # fmt: skip
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--run", type=Path, help="folder of a finished run")
    what.add_argument("--study", type=Path, help="folder of a study")
    parser.add_argument(
        "--out", type=page_to_write, help="the page (default: card.html in the run or study)"
    )
    parser.add_argument(
        "--merge-small-cells", type=positive_int, default=0, metavar="N",
        help="do not show counts of fewer than N patients, nor curves from which they follow (default: "
        "all are shown)",
    )  # fmt: skip
    parser.add_argument(
        "--thumbnails", action="store_true",
        help="show images of patients: examples, and every patient with a wrong answer (default: none)",
    )  # fmt: skip
    return parser


if __name__ == "__main__":
    sys.exit(run_command(main))
