"""What every command shares: the parser, one-line errors and the exit codes of the contract.

0 done; 1 done but some inputs were skipped; 2 bad arguments or data; 3 failed while running;
130 interrupted. Standard library only, so that `--help` answers at once.
"""

import argparse
import errno
import os
import sys
import warnings
from collections.abc import Callable
from pathlib import Path

from mri_tf.core.errors import InputError, RunFailed

TRACEBACK = "MRI_TF_TRACEBACK"
DONE, SOME_SKIPPED, BAD_INPUT, FAILED, INTERRUPTED = 0, 1, 2, 3, 130


class Parser(argparse.ArgumentParser):
    """argparse that says one line and exits 2, and takes no abbreviated flag."""

    def __init__(self, prog: str, description: str):
        super().__init__(
            prog=prog,
            description=description,
            allow_abbrev=False,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )

    def parse_known_args(self, args=None, namespace=None):
        self._given = sys.argv[1:] if args is None else list(args)
        return super().parse_known_args(args, namespace)

    def error(self, message: str):
        # argparse misses a flag before it sees that it is there, misspelt.
        flags = [word.partition("=")[0] for word in self._given if word.startswith("--")]
        unknown = [flag for flag in flags if flag not in self._option_string_actions]
        if unknown and "required" in message:
            message += f"; it knows no {', '.join(unknown)}"
        raise InputError(
            f"The arguments of {self.prog} do not fit: {message}.",
            " ".join(map(str, self._given)) or "no arguments",
            f"See {self.prog} --help.",
        )


def positive_int(text: str) -> int:
    """argparse type: a whole number of at least 1."""
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"needs a whole number of at least 1, not {text}")
    return value


def seed_int(text: str) -> int:
    """argparse type: a seed, 0 to 2**31 - 1."""
    value = int(text)
    if not 0 <= value < 2**31:
        raise argparse.ArgumentTypeError(f"needs a seed from 0 to {2**31 - 1}, not {text}")
    return value


def folder_to_write(text: str) -> Path:
    """argparse type: a folder that is there and writable, or can be made."""
    path = Path(text)
    try:
        home = next(one for one in (path.absolute(), *path.absolute().parents) if _is_there(one))
        fits = home.is_dir() and os.access(home, os.W_OK)
    except (OSError, ValueError):  # a name too long, or no name at all
        fits = False
    if not fits:
        raise argparse.ArgumentTypeError(f"needs a folder where files can be written, not {text!r}")
    return path


def _is_there(path: Path) -> bool:
    """Unlike os.path.lexists it raises OSError for a name that no file can have."""
    try:
        os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return False
    return True


def import_tensorflow() -> None:
    """Imports TensorFlow and finds the devices, without the notices that no log level stops."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    sys.stderr.flush()
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        import tensorflow as tf

        tf.config.list_physical_devices()
        tf.get_logger().setLevel("ERROR")
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


def run_command(main: Callable[[list[str]], int], arguments: list[str] | None = None) -> int:
    """Runs a command's main and turns what it raises into one line on stderr and an exit code."""
    if arguments is None:
        for stream in (sys.stdout, sys.stderr):  # names of files may be no text
            stream.reconfigure(errors="backslashreplace")
        if not os.environ.get(TRACEBACK):
            warnings.simplefilter("ignore")  # of libraries, about numbers that are checked here
    try:
        return main(sys.argv[1:] if arguments is None else arguments)
    except InputError as error:
        return _say(str(error), BAD_INPUT)
    except RunFailed as error:
        return _say(str(error), FAILED)
    except KeyboardInterrupt:
        return _say(
            "Interrupted. What was finished is kept; the same command continues.", INTERRUPTED
        )
    except BrokenPipeError:
        # The reader of our output went away (`| head`); nothing is wrong with the work.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED
    except Exception as error:  # the last net: a user gets a line, a developer the traceback
        if isinstance(error, PermissionError) and error.filename and not os.environ.get(TRACEBACK):
            return _say(f"{error.filename} cannot be read or written: {error.strerror}.", BAD_INPUT)
        if is_disk_full(error):
            return _say(
                "The disk is full. What was finished is kept; make room and run the same command "
                "again.",
                FAILED,
            )
        return _unexpected(error)


def is_disk_full(error: BaseException) -> bool:
    """Whether that is what an error of Python's or TensorFlow's says."""
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
        f"Set {TRACEBACK}=1 and run again to see where.",
        FAILED,
    )
