"""The parser, the one-line errors and the exit codes of all commands.

0 done; 1 done but some inputs were skipped, or stopped by --max-minutes; 2 bad arguments or data; 3
failed while running; 130 interrupted. Standard library only, so that `--help` answers at once.
"""

import argparse
import difflib
import errno
import math
import os
import sys
import warnings
from collections.abc import Callable
from pathlib import Path

from mri_tf.core.errors import InputError, OutOfTime, RunFailed
from mri_tf.core.system import noting_interrupts

OF_PATHS = (
    PermissionError, FileNotFoundError, NotADirectoryError, IsADirectoryError, FileExistsError
)  # fmt: skip
TRACEBACK = "MRI_TF_TRACEBACK"
STOPPED = "Interrupted. Finished work is kept; run the same command to continue."
DONE, SOME_SKIPPED, BAD_INPUT, FAILED, INTERRUPTED = 0, 1, 2, 3, 130
OUT_OF_TIME = SOME_SKIPPED  # both: done, but something is left
SPLIT_MODES = ("patient", "group", "random", "column")
ENGINES = ("tensorflow", "onnxruntime", "openvino", "auto")


class Parser(argparse.ArgumentParser):
    """An argument parser that raises InputError with one line, and takes no abbreviated flags.

    Its help ends with `examples`, each the arguments of a command that does something useful.
    """

    def __init__(self, prog: str, description: str, examples: tuple[str, ...]):
        lines = "\n".join(f"  {prog} {example}" for example in examples)
        super().__init__(
            prog=prog,
            description=description,
            epilog=f"examples:\n{lines}",
            allow_abbrev=False,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )

    def parse_known_args(self, args=None, namespace=None):
        self._arguments = sys.argv[1:] if args is None else list(args)
        return super().parse_known_args(args, namespace)

    def error(self, message: str):
        # argparse reports a missing flag before it notices a misspelt one.
        flags = [word.partition("=")[0] for word in self._arguments if word.startswith("--")]
        unknown = [flag for flag in flags if flag not in self._option_string_actions]
        if unknown and "required" in message:
            message += f"; unknown flags: {', '.join(unknown)}"
        known = list(self._option_string_actions)
        near = [match for flag in unknown for match in difflib.get_close_matches(flag, known, n=1)]
        hint = f"Did you mean {' and '.join(near)}? " if near else ""
        raise InputError(
            f"Wrong arguments for {self.prog}: {message}.",
            " ".join(map(str, self._arguments)) or "no arguments",
            f"{hint}See {self.prog} --help.",
        )


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
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 < value < math.inf:
        raise argparse.ArgumentTypeError(f"must be a number of minutes above 0, not {text[:20]}")
    return value


def share(text: str) -> float:
    """argparse type: a share, 0 to 1."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(f"must be a share from 0 to 1, not {text[:20]}")
    return value


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


def import_tensorflow() -> None:
    """Imports TensorFlow and finds the devices, without the notices that no log level silences.

    Level 3 also hides lines marked as errors that are none, such as that oneDNN lacks an instruction
    set: what fails raises an exception.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    sys.stderr.flush()
    stderr, devnull = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(devnull, 2)
    try:
        import tensorflow as tf

        tf.config.list_physical_devices()
        tf.get_logger().setLevel("ERROR")
    finally:
        os.dup2(stderr, 2)
        os.close(stderr)
        os.close(devnull)


def run_command(main: Callable[[list[str]], int], arguments: list[str] | None = None) -> int:
    """Runs a command's main; returns its exit code, an exception as one line on stderr and a code."""
    if arguments is None:
        for stream in (sys.stdout, sys.stderr):  # file names may not be valid text
            stream.reconfigure(errors="backslashreplace")
        if not os.environ.get(TRACEBACK):
            warnings.simplefilter("ignore")  # libraries warn of numbers that are checked here
    with noting_interrupts() as interrupted:
        try:
            return main(sys.argv[1:] if arguments is None else arguments)
        except InputError as error:
            return _say(str(error), BAD_INPUT)
        except RunFailed as error:
            return _say(str(error), FAILED)
        except OutOfTime as error:  # no failure
            print(error, file=sys.stderr, flush=True)
            return OUT_OF_TIME
        except KeyboardInterrupt:
            return _say(STOPPED, INTERRUPTED)
        except BrokenPipeError:
            # The reader of the output has ended (`| head`), which is no error of the command.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return FAILED
        except Exception as error:  # a user gets one line, a developer the traceback
            if interrupted:  # TensorFlow answers an interrupt of its tracing by an error of its own
                return _say(STOPPED, INTERRUPTED)
            if isinstance(error, OF_PATHS) and error.filename and not os.environ.get(TRACEBACK):
                return _say(f"Cannot read or write {error.filename}: {error.strerror}.", BAD_INPUT)
            if is_disk_full(error):
                hint = "Finished work is kept; free some space and run the same command again."
                return _say(f"The disk is full. {hint}", FAILED)
            return _unexpected(error)


def is_disk_full(error: BaseException) -> bool:
    """Whether an error of Python or TensorFlow means that the disk is full."""
    full = isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
    return full or "No space left on device" in str(error)


def _say(line: str, code: int) -> int:
    print(f"error: {line}", file=sys.stderr, flush=True)
    return code


def _unexpected(error: Exception) -> int:
    if os.environ.get(TRACEBACK):
        raise error
    text = " ".join(str(error).split())[:400]
    return _say(
        f"Unexpected {type(error).__name__}: {text}. "
        f"Set {TRACEBACK}=1 and run again for the traceback.",
        FAILED,
    )
