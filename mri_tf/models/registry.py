"""Finds a network's builder by name and checks its arguments.

A builder is a public function of a file of mri_tf/models, `name(input_shape or features, class_count,
*, ...) -> keras.Model`. There is no list to add it to.
"""

import ast
import functools
import importlib
import inspect
from collections.abc import Callable
from pathlib import Path

from mri_tf.core.arguments import check_arguments
from mri_tf.core.errors import InputError

FOLDER = Path(__file__).resolve().parent


@functools.cache
def find_builders() -> dict[str, str]:
    """Name of each network -> the module that builds it, without importing any."""
    builders = {}
    for path in sorted(FOLDER.glob("*.py")):
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.FunctionDef) and _is_builder(node):
                builders[node.name] = f"mri_tf.models.{path.stem}"
    return builders


def builder(model: str) -> Callable:
    """The function that builds the network of this name; raises InputError for an unknown one."""
    builders = find_builders()
    if model not in builders:
        raise InputError(
            "model of a task must name a network of mri_tf/models.", model,
            f"Known: {', '.join(sorted(builders))}.",
        )  # fmt: skip
    return getattr(importlib.import_module(builders[model]), model)


def check_model_args(model: str, model_args: dict, takes_features: bool) -> None:
    """Raises InputError for arguments the builder does not take, before any data is read.

    A file's `check`, where it has one, is asked as well: it sees all arguments, defaults included.
    """
    build = builder(model)
    first = next(iter(inspect.signature(build).parameters))
    if takes_features != (first == "features"):
        raise InputError(
            f"model {model} {'needs features_from' if first == 'features' else 'takes no features'}.",
            f"features_from {'set' if takes_features else 'empty'}",
            "Change model or features_from of the task.",
        )
    check_arguments("model_args", build, model_args)
    check = getattr(inspect.getmodule(build), "check", None)
    if check:
        bound = inspect.signature(build).bind_partial(**model_args)
        bound.apply_defaults()
        check(bound.arguments)


def _is_builder(function: ast.FunctionDef) -> bool:
    arguments = [argument.arg for argument in function.args.args]
    returns = ast.unparse(function.returns) if function.returns else ""
    public = not function.name.startswith("_")
    return public and arguments[1:2] == ["class_count"] and returns == "keras.Model"
