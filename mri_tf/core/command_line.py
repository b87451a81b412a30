"""The parser, the one-line errors and the exit codes of all commands.

0 done; 1 done but some inputs were skipped, or stopped by --max-minutes; 2 bad arguments or data; 3
failed while running; 130 interrupted. Standard library only, so that `--help` answers at once.
"""

import argparse
import difflib
import errno
import os
import sys
import warnings
from collections.abc import Callable

from mri_tf.core.errors import InputError, OutOfTime, RunFailed
from mri_tf.core.redacted import redacted, redacted_text
from mri_tf.core.system import noting_interrupts

OF_PATHS = (
    PermissionError, FileNotFoundError, NotADirectoryError, IsADirectoryError, FileExistsError
)  # fmt: skip
TRACEBACK = "MRI_TF_TRACEBACK"
STOPPED = "Interrupted. Finished work is kept; run the same command to continue."
DONE, SOME_SKIPPED, BAD_INPUT, FAILED, INTERRUPTED = 0, 1, 2, 3, 130
OUT_OF_TIME = SOME_SKIPPED  # both: done, but something is left


class Parser(argparse.ArgumentParser):
    """An argument parser that raises InputError with one line, and takes no abbreviated flags.

    The line shows the arguments without passwords and without addresses of patients' studies.
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
        self._arguments = sys.argv[1:] if args is None else list(map(str, args))
        return super().parse_known_args(args, namespace)

    def error(self, message: str):
        message = redacted_text(message, self._arguments)
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
            " ".join(map(redacted, self._arguments)) or "no arguments",
            f"{hint}See {self.prog} --help.",
        )


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
