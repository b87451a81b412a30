"""`mri-tf COMMAND ...`: runs a command by its name.

A command is a module with a `main` in mri_tf, data_prep or tuning. Its name is that of the file (or of
the package of a `__main__.py`), its help the first line of the docstring.
"""

import ast
import runpy
import sys
from pathlib import Path

from mri_tf.core.command_line import run_command
from mri_tf.core.errors import InputError

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("mri_tf", "data_prep", "tuning")


def find_commands() -> dict[str, tuple[str, str]]:
    """Command name -> (module, first line of its docstring), without importing a command."""
    commands = {}
    for package in PACKAGES:
        files = [*(ROOT / package).glob("*.py"), *(ROOT / package).glob("*/__main__.py")]
        for path in sorted(files):
            source = path.read_text(encoding="utf-8")
            if "\ndef main(" not in source or path == Path(__file__).resolve():
                continue
            name = path.parent.name if path.stem == "__main__" else path.stem
            module = ".".join(path.relative_to(ROOT).with_suffix("").parts)
            first_line = (ast.get_docstring(ast.parse(source)) or "").partition("\n")[0]
            commands[name] = (module, first_line)
    return commands


def _dispatch(arguments: list[str]) -> int:
    commands = find_commands()
    if not arguments or arguments[0] in ("-h", "--help"):
        print("usage: mri-tf COMMAND [flags]; mri-tf COMMAND --help lists its flags\n")
        for name, (_, line) in sorted(commands.items()):
            print(f"  {name:<10} {line}")
        return 0
    name = arguments[0]
    if name not in commands:
        raise InputError(
            "mri-tf has no such command.", name, f"One of: {', '.join(sorted(commands))}."
        )
    sys.argv = [f"mri-tf {name}", *arguments[1:]]
    runpy.run_module(commands[name][0], run_name="__main__", alter_sys=True)
    return 0


def main() -> int:
    """Entry point of the console script."""
    return run_command(_dispatch)
