"""The one line in which a command or a function says what it refuses."""

import pytest

from mri_tf.core.command_line import run_command
from mri_tf.core.errors import InputError


def error_line(capsys, command, *arguments, code: int = 2, alone: bool = False) -> str:
    """Runs a command that ends with `code`; for refused input the line says what was received.

    `alone`: standard error holds nothing else.
    """
    capsys.readouterr()
    assert run_command(command, [str(argument) for argument in arguments]) == code
    lines = capsys.readouterr().err.strip().splitlines()
    errors = [line for line in lines if line.startswith("error: ")]
    assert len(errors) == 1 and not (alone and len(lines) > 1), lines
    assert code != 2 or "Received:" in errors[0], lines
    return errors[0]


def refusal(call, *arguments, **options) -> str:
    """The one line in which a function refuses its arguments and says what was received."""
    with pytest.raises(InputError) as error:
        call(*arguments, **options)
    text = str(error.value)
    assert "\n" not in text and "Received:" in text
    return text
