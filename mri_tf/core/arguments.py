"""Checks keyword arguments, such as those a task gives, against a function's signature."""

import difflib
import inspect
import types
import typing
from collections.abc import Callable, Iterable

from mri_tf.core.errors import InputError

WORDS = {
    int: "whole number", float: "number", str: "string", bool: "true-or-false value",
    dict: "dictionary", type(None): "None",
}  # fmt: skip


def check_arguments(setting: str, function: Callable, arguments: dict) -> None:
    """Checks names and types of arguments before the function is called with them.

    Args:
        setting: name of the dictionary in the task, such as `model_args`, for the message.
        function: a function or dataclass. Its keyword-only parameters and those with a default may be
            given; their values are checked where the hint is int, float, str, bool or a tuple of these.
        arguments: parameter name -> value.

    Raises:
        InputError: for an unknown name, a missing one or a value of another type.
    """
    if not isinstance(arguments, dict):
        hint = f"Write {setting}=dict(...) in the task file."
        raise InputError(f"{setting} must be a dictionary.", repr(arguments), hint)
    hints = typing.get_type_hints(function)
    parameters = inspect.signature(function).parameters.values()
    keyword_only = [one for one in parameters if one.kind is one.KEYWORD_ONLY]
    known = [one.name for one in parameters if one in keyword_only or one.default is not one.empty]
    for name, value in arguments.items():
        if name not in known:
            raise InputError(
                f"{setting} does not take {name}.", f"{setting}.{name}", did_you_mean(name, known)
            )
        if name in hints and not _fits(value, hints[name]):
            raise InputError(
                f"{setting}.{name} must be a {type_name(hints[name])}.",
                f"{value!r} ({type(value).__name__})",
                "Change it in the task file or with --set.",
            )
    required = [one.name for one in keyword_only if one.default is one.empty]
    if missing := [name for name in required if name not in arguments]:
        raise InputError(
            f"{setting} needs {', '.join(missing)}.", arguments or "none", "Add it in the task file."
        )


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """A hint for a misspelt name: the nearest known one, or all of them."""
    near = difflib.get_close_matches(name, known, n=1)
    return f"Did you mean {near[0]}?" if near else f"Known: {', '.join(known) or 'none'}."


def type_name(hint) -> str:
    """A type as words of a message: `whole number`, `string or list of strings`."""
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        return " or ".join(map(type_name, typing.get_args(hint)))
    if typing.get_origin(hint) is tuple:
        first, *rest = typing.get_args(hint)
        length = "" if Ellipsis in rest else f"{len(rest) + 1} "
        return f"list of {length}{type_name(first)}s"
    return WORDS.get(hint, getattr(hint, "__name__", str(hint)))


def _fits(value, hint) -> bool:
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        return any(_fits(value, option) for option in typing.get_args(hint))
    if typing.get_origin(hint) is tuple:
        items = typing.get_args(hint)
        if not isinstance(value, (tuple, list)):
            return False
        if len(items) == 2 and items[1] is Ellipsis:
            return all(_fits(item, items[0]) for item in value)
        return len(value) == len(items) and all(map(_fits, value, items))
    if hint in (int, float) and isinstance(value, bool):
        return False
    if hint is float:
        return isinstance(value, (int, float))
    return not isinstance(hint, type) or isinstance(value, hint)
