"""The flags that several commands share, and the types of their values. Standard library only."""

import argparse
import math
import os
from pathlib import Path

from mri_tf.core.command_line import Parser

SPLIT_MODES = ("patient", "group", "random", "column")
ENGINES = ("tensorflow", "onnxruntime", "openvino", "auto")


def add_engine(parser: Parser) -> None:
    """Adds --engine, by which a command that runs exported models names the runtime."""
    parser.add_argument(
        "--engine", choices=ENGINES, default=ENGINES[0],
        help="runs the model; auto: the first that is equal and faster (default: tensorflow)",
    )  # fmt: skip


def positive_int(text: str) -> int:
    """argparse type: a whole number of at least 1."""
    return _whole_number(text, 1)


def seed_int(text: str) -> int:
    """argparse type: a seed, 0 to 2**31 - 1."""
    return _whole_number(text, 0)


def _whole_number(text: str, least: int) -> int:
    try:
        value = int(text)
    except ValueError:
        value = -1
    if not least <= value < 2**31:
        raise argparse.ArgumentTypeError(
            f"must be a whole number of at least {least} and below 2**31, not {text[:20]}"
        )
    return value


def minutes(text: str) -> float:
    """argparse type: a time, above 0."""
    value = _number(text)
    if not 0 < value < math.inf:
        raise argparse.ArgumentTypeError(f"must be a number of minutes above 0, not {text[:20]}")
    return value


def share(text: str) -> float:
    """argparse type: a share, 0 to 1."""
    value = _number(text)
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(f"must be a share from 0 to 1, not {text[:20]}")
    return value


def _number(text: str) -> float:
    """The number of a flag; NaN, which no rule allows, for other texts."""
    try:
        return float(text)
    except ValueError:
        return math.nan


def folder_to_write(text: str) -> Path:
    """argparse type: a writable folder, or one that can be made."""
    path = Path(text)
    try:
        folders = (path.absolute(), *path.absolute().parents)
        existing = next(folder for folder in folders if _exists(folder))
        writable = existing.is_dir() and os.access(existing, os.W_OK)
    except (OSError, ValueError):  # a name too long, or no name at all
        writable = False
    if not writable:
        raise argparse.ArgumentTypeError(f"must be a folder where files can be written, not {text!r}")
    return path


def _exists(path: Path) -> bool:
    """Unlike os.path.lexists, raises OSError for a name that no file can have."""
    try:
        os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return False
    return True


def add_task(parser: Parser) -> None:
    """Adds the flag that names the task, for commands that can plan one from a raw folder."""
    parser.add_argument(
        "--task", help="name of a task, or path of a task file (default: planned from --raw)"
    )


def add_variant(parser: Parser) -> None:
    """Adds the flag that names the variants of the task."""
    parser.add_argument(
        "--variant", default="", help="variants of the task, separated by commas: scratch,demo"
    )


def add_set(parser: Parser, note: str = "") -> None:
    """Adds the flag that sets values of the task; `note` ends its help."""
    parser.add_argument(
        "--set", action="extend", nargs="+", default=[], metavar="KEY=VALUE",
        help=f"values of the task, after its variants: --set epochs=3 features.epochs=2{note}",
    )  # fmt: skip


def add_split(parser: Parser, split_help: str, modes: tuple[str, ...] = SPLIT_MODES) -> None:
    """Adds the two flags, of which one can be given, that say who is on which side."""
    split = parser.add_mutually_exclusive_group()
    split.add_argument("--split", choices=modes, help=split_help)
    split.add_argument("--split-file", type=Path, help="JSON file with the patient ids of each side")


def add_listing(parser: Parser) -> None:
    """Adds the flags that say where the labels of a raw folder are and which cases are left out."""
    parser.add_argument(
        "--labels", type=Path, metavar="TABLE",
        help="table of the labels (.csv, .tsv, .xlsx), where it is not in the raw folder",
    )  # fmt: skip
    parser.add_argument(
        "--skip-unlabelled", action="store_true", help="leave out rows of the table without a label"
    )
    parser.add_argument(
        "--ignore", action="extend", nargs="+", default=[], metavar="NAME",
        help="folders of these names in a folder of classes are not looked into",
    )  # fmt: skip


def add_label(parser: Parser) -> None:
    """Adds the flag that names the column of the labels."""
    parser.add_argument(
        "--label", default="", metavar="COLUMN",
        help="column of the table that holds the labels (default: the task's; without a task, the only "
        "one that can be)",
    )  # fmt: skip


def add_max_minutes(parser: Parser) -> None:
    """Adds the flag that ends a command early, at a point from which the same command continues."""
    parser.add_argument(
        "--max-minutes", type=minutes, metavar="N",
        help="stop (exit code 1) before what would take longer than N minutes from the start; the same "
        "command continues (default: no limit)",
    )  # fmt: skip
