"""Arguments that a task gives to a function by name, checked against its signature."""

import difflib
import inspect
import types
import typing
from collections.abc import Callable

from mri_tf.core.errors import InputError


def check_arguments(what: str, function: Callable, arguments: dict) -> None:
    """Raises InputError unless `arguments` are keyword arguments of the function, of their types.

    Checked are parameters with a default or keyword-only, against int, float, str, bool and
    tuples of these; `what` names the place in the task, such as `model_args`.
    """
    hints = typing.get_type_hints(function)
    parameters = inspect.signature(function).parameters.values()
    known = [
        one.name
        for one in parameters
        if one.kind is one.KEYWORD_ONLY or one.default is not one.empty
    ]
    if not isinstance(arguments, dict):
        raise InputError(f"{what} of a task is a dictionary.", repr(arguments), "Correct it.")
    for name, value in arguments.items():
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            hint = f"Did you mean {near[0]}?" if near else f"Known: {', '.join(known) or 'none'}."
            raise InputError(f"{what} takes arguments that exist.", f"{what}.{name}", hint)
        if name in hints and not _fits(value, hints[name]):
            raise InputError(
                f"{what}.{name} is a {getattr(hints[name], '__name__', hints[name])}.",
                f"{value!r} ({type(value).__name__})",
                "Correct it in the task file or in --set.",
            )
    missing = [
        one.name
        for one in parameters
        if one.kind is one.KEYWORD_ONLY and one.default is one.empty and one.name not in arguments
    ]
    if missing:
        raise InputError(f"{what} needs {', '.join(missing)}.", arguments or "none", "Add it.")


def _fits(value, hint) -> bool:
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        return any(_fits(value, one) for one in typing.get_args(hint))
    if typing.get_origin(hint) is tuple:
        inner = typing.get_args(hint)
        if not isinstance(value, (tuple, list)):
            return False
        if len(inner) == 2 and inner[1] is Ellipsis:
            return all(_fits(one, inner[0]) for one in value)
        return len(value) == len(inner) and all(map(_fits, value, inner))
    if hint is float:
        return isinstance(value, (int, float)) and not isinstance(value, bool)
    if hint is int:
        return isinstance(value, int) and not isinstance(value, bool)
    return not isinstance(hint, type) or isinstance(value, hint)
