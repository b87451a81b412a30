"""Ctrl-C in a command: one sentence and exit code 130, whatever a library makes of the interrupt."""

import os
import signal
import time

from mri_tf.core.command_line import INTERRUPTED, Parser, run_command


def interrupt(error: Exception | None = None) -> None:
    """Sends SIGINT to this process, as Ctrl-C does; raises the error in the place of the interrupt."""
    try:
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(5)
    except KeyboardInterrupt:
        if error is None:
            raise
        raise error from None


def test_an_interrupt_that_a_library_turns_into_its_own_error_is_still_an_interrupt(capsys):
    def main(arguments):
        interrupt(AssertionError("Nesting violated") if arguments else None)

    for arguments in ([], ["tracing"]):
        before = signal.getsignal(signal.SIGINT)
        assert run_command(main, arguments) == INTERRUPTED
        assert capsys.readouterr().err.startswith("error: Interrupted. Finished work is kept")
        assert signal.getsignal(signal.SIGINT) is before


def test_a_misspelt_flag_is_answered_by_the_nearest_one(capsys):
    def main(arguments):
        parser = Parser("grade", "Grades.", ("--label grade",))
        parser.add_argument("--label", required=True)
        parser.parse_args(arguments)

    assert run_command(main, ["--lable", "grade"]) == 2
    assert "Did you mean --label?" in capsys.readouterr().err
