"""Finds the builder of a network by name and checks its arguments.

A builder is a public function in a file of mri_tf/models with the signature
`name(input_shape or features, class_count, *, ...) -> keras.Model`. It needs no registration.
"""

import ast
import functools
import importlib
import inspect
from collections.abc import Callable
from pathlib import Path

from mri_tf.core.arguments import check_arguments
from mri_tf.core.catalogue import docstring_of
from mri_tf.core.errors import InputError

FOLDER = Path(__file__).resolve().parent


@functools.cache
def find_builders() -> dict[str, str]:
    """Name of each network -> the module of its builder, without importing any."""
    return {node.name: f"mri_tf.models.{stem}" for stem, node in _builder_nodes()}


def docstrings() -> dict[str, str]:
    """Name of each network -> what its file and its builder say of it and its arguments, sorted."""
    texts = {}
    for stem, node in _builder_nodes():
        of_file = docstring_of(FOLDER / f"{stem}.py").partition("\n")[0]
        texts[node.name] = f"{of_file}\n\n{ast.get_docstring(node) or ''}"
    return dict(sorted(texts.items()))


def _builder_nodes() -> list[tuple[str, ast.FunctionDef]]:
    """(file without its suffix, definition) of every builder."""
    return [
        (path.stem, node)
        for path in sorted(FOLDER.glob("*.py"))
        for node in ast.parse(path.read_text(encoding="utf-8")).body
        if isinstance(node, ast.FunctionDef) and _is_builder(node)
    ]


def builder(model: str) -> Callable:
    """The function that builds the network of this name. Raises InputError for an unknown name."""
    builders = find_builders()
    if model not in builders:
        raise InputError(
            "The task names a network that does not exist.", model,
            f"Set model to one of: {', '.join(sorted(builders))}.",
        )  # fmt: skip
    return getattr(importlib.import_module(builders[model]), model)


def check_model_args(model: str, model_args: dict, takes_features: bool) -> None:
    """Checks a task's network and its arguments before any data is read.

    If the file of the network has a function `check`, that is called as well, with all arguments
    including defaults.

    Args:
        model: name of the network.
        model_args: keyword arguments for its builder.
        takes_features: whether the task names a segmentation network in `features_from`.

    Raises:
        InputError: for arguments that the builder does not take.
    """
    build = builder(model)
    needs_features = next(iter(inspect.signature(build).parameters)) == "features"
    if takes_features != needs_features:
        raise InputError(
            f"The network {model} {'needs' if needs_features else 'takes no'} features_from.",
            f"features_from {'set' if takes_features else 'empty'}",
            "Change model or features_from in the task.",
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
