"""Variants and --set: sets values of a task by dotted keys."""

import ast
import dataclasses
import typing
from collections.abc import Iterable
from typing import Any

from mri_tf.core.arguments import did_you_mean, type_name
from mri_tf.core.errors import InputError
from mri_tf.task import Task
from mri_tf.task.rules import AUTO


def with_values(task: Task, values: dict[str, Any]) -> Task:
    """The task with dotted keys set, checked once all are set; raises InputError for an unknown key.

    `augment.random_affine.max_degrees` sets a value within a dictionary, `features.epochs` is kept for
    the feature task, and `augment` alone replaces the whole dictionary. `epochs` ends a budget of steps
    that was set before, so that the number that is set last counts.
    """
    changed: dict[str, Any] = {}
    check_keys(values)
    for key, value in values.items():
        head, _, rest = key.partition(".")
        current = changed.get(head, getattr(task, head))
        if rest and not isinstance(current, dict):
            raise _unknown_key(key, key, [head])
        if not rest:
            changed[head] = value
            if key == "epochs":
                changed["steps"] = 0
        elif head == "features":
            changed[head] = {**current, rest: value}
            if rest == "epochs":
                changed[head].pop("steps", None)
        else:
            changed[head] = _with_inner(current, rest.split("."), value, key)
    return dataclasses.replace(task, **changed)


def check_keys(keys: Iterable[str]) -> None:
    """Raises InputError for a dotted key that does not begin with a field of a task."""
    names = {spec.name for spec in dataclasses.fields(Task)} - {"name", "variants"}
    for key in keys:
        head, dot, rest = key.partition(".")
        if head not in names or (dot and not all(rest.split("."))):
            raise _unknown_key(key, head, sorted(names))


def with_precision(task: Task, precision: str) -> Task:
    """The task with that precision if its own is "auto"."""
    return dataclasses.replace(task, precision=precision) if task.precision == AUTO else task


def check_searchable(task: Task) -> None:
    """Raises InputError for a task whose values a search cannot choose."""
    if task.kind == "segmentation" or task.boxes_from:
        raise InputError(
            "Only classifiers without boxes_from can be searched.", task.name,
            "Set values by hand with --set.",
        )  # fmt: skip


def parse_assignment(task: Task, text: str) -> tuple[str, Any]:
    """`epochs=3` of the command line as (dotted key, value); a string needs no quotes."""
    key, raw = split_assignment(text)
    hints = typing.get_type_hints(Task)
    if hints.get(key) is str:
        return key, raw
    try:
        return key, ast.literal_eval(raw)
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        if "." in key:  # inside a dictionary a bare word is a string: model_args.weights=none
            return key, raw
        if key not in hints:
            raise _unknown_key(key, key, sorted(hints)) from None
        raise InputError(
            f"{key} of task {task.name} must be a {type_name(hints[key])}.",
            raw,
            f"For example --set {_quoted(f'{key}={getattr(task, key)!r}')}.",
        ) from None


def split_assignment(text: str) -> tuple[str, str]:
    """`epochs=3` as (dotted key, value as it is written)."""
    key, equals, raw = text.partition("=")
    if not equals or not key:
        raise InputError("--set needs key=value.", text, "For example --set epochs=3.")
    return key, raw


def _quoted(text: str) -> str:
    """As it can be typed into a shell."""
    return f'"{text}"' if set(text) & set(" '()[]{}") else text


def _with_inner(values: dict, path: list[str], value: Any, key: str) -> dict:
    if len(path) == 1:
        return {**values, path[0]: value}
    inner = values.get(path[0], {})
    if not isinstance(inner, dict):
        raise _unknown_key(key, path[0], sorted(values))
    return {**values, path[0]: _with_inner(inner, path[1:], value, key)}


def _unknown_key(key: str, word: str, known: list[str]) -> InputError:
    return InputError(
        "--set and variants take only fields of the task.", key, did_you_mean(word, known)
    )
