"""Finds a network's builder by name and checks its arguments."""

import importlib
import inspect
from pathlib import Path

from mri_tf.core.arguments import check_arguments
from mri_tf.core.errors import InputError

FOLDER = Path(__file__).resolve().parent


def builder(model: str):
    """`build` of mri_tf/models/<model>.py; raises InputError for a name without one."""
    files = FOLDER.glob("*.py")
    names = sorted(path.stem for path in files if "\ndef build(" in path.read_text(encoding="utf-8"))
    if model not in names:
        raise InputError(
            "model of a task names a file of mri_tf/models.", model, f"Known: {', '.join(names)}."
        )
    return importlib.import_module(f"mri_tf.models.{model}").build


def check_model_args(model: str, model_args: dict, takes_features: bool) -> None:
    """Raises InputError for arguments the builder does not take, before any data is read.

    A file's `check`, where it has one, is asked as well: it sees all arguments, defaults included.
    """
    build = builder(model)
    first = next(iter(inspect.signature(build).parameters))
    if takes_features != (first == "features"):
        raise InputError(
            f"model {model} {'takes' if first == 'features' else 'takes no'} features.",
            f"features_from {'set' if takes_features else 'empty'}",
            "Change model or features_from of the task.",
        )
    check_arguments("model_args", build, model_args)
    check = getattr(inspect.getmodule(build), "check", None)
    if check:
        bound = inspect.signature(build).bind_partial(**model_args)
        bound.apply_defaults()
        check(bound.arguments)
