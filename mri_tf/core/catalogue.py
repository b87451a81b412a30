"""Lists things that are files with a docstring: tasks, networks, layouts. Nothing is imported."""

import ast
from pathlib import Path

from mri_tf.core.arguments import did_you_mean
from mri_tf.core.command_line import DONE, Parser
from mri_tf.core.errors import InputError


def docstring_of(file: Path) -> str:
    """The docstring of a Python file."""
    return ast.get_docstring(ast.parse(file.read_text(encoding="utf-8"))) or ""


def show(what: str, texts: dict[str, str], arguments: list[str]) -> int:
    """The command that lists names with their first lines, or says everything about one of them.

    Args:
        what: such as "task", for help and messages.
        texts: name -> its whole text, of which the first line says what it is.
        arguments: of the command line: nothing, or a name.
    """
    first = next(iter(texts), "")
    parser = Parser(
        f"mri-tf {what}s", f"Lists the {what}s that come with mri_tf, or says all about one.",
        examples=("", first),
    )  # fmt: skip
    parser.add_argument("name", nargs="?", default="", help=f"of one {what}: its whole description")
    name = parser.parse_args(arguments).name
    if not name:
        width = max(map(len, texts), default=0)
        for known, text in texts.items():
            print(f"{known:<{width}}  {text.partition(chr(10))[0]}")
        return DONE
    if name not in texts:
        raise InputError(f"There is no {what} of that name.", name, did_you_mean(name, texts))
    print(texts[name])
    return DONE
