"""log.txt holds what a command printed and how it ended, and nothing that was received."""

import sys

import pytest

from mri_tf.core.errors import InputError, OutOfTime, RunFailed
from mri_tf.core.log import logged


def log_of(folder, error=None) -> str:
    try:
        with logged(folder / "run" / "log.txt", "train thirds, seed 0"):
            print("accuracy 0.9")
            print("skipped /home/Schmidt.png", file=sys.stderr)
            if error:
                raise error
    except BaseException as raised:
        assert raised is error
    return (folder / "run" / "log.txt").read_text()


def test_what_is_printed_is_kept_and_shown(tmp_path, capsys):
    text = log_of(tmp_path)
    assert text.startswith("== train thirds, seed 0\naccuracy 0.9\n== done, after ")
    assert capsys.readouterr().out == "accuracy 0.9\n"
    assert log_of(tmp_path).count("== train thirds") == 2  # a second start is appended


@pytest.mark.parametrize(
    ("error", "end"),
    [
        (InputError("A patient has two rows.", "Schmidt", "Correct it."), "refused: A patient has"),
        (RunFailed("The loss is NaN.", "Kept: Schmidt."), "failed: The loss is NaN."),
        (OutOfTime("Stopped after 5 min"), "stopped by --max-minutes"),
        (KeyboardInterrupt(), "interrupted"),
        (KeyError("Schmidt"), "failed: KeyError"),
    ],
)
def test_the_end_is_named_without_what_was_received(tmp_path, error, end):
    text = log_of(tmp_path, error)
    assert f"== {end}" in text and "Schmidt" not in text
