"""The model that predict's flags name: an export on this disk, or one behind a server."""

import os
import sys
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from urllib.parse import urlsplit

from data_prep.layout import find_layout, is_own, layout_version
from mri_tf.core.errors import InputError
from mri_tf.export.inputs import array_shapes
from mri_tf.export.reader import Exported, load_graph, open_export, segmenter_beside
from mri_tf.predict.answers import Model
from mri_tf.predict.rest_client import MAX_NUMBERS, RestModel
from mri_tf.task.files import FOLDER, feature_task, find_task_file, load_task

TOKEN = "MRI_TF_TOKEN"  # of the environment, where there is no --token-file


@dataclass(frozen=True)
class ModelOptions:
    """--model, --server, --task, --token-file and --timeout-s as given."""

    model: Path | None
    server: str
    task: str
    token_file: Path | None
    timeout_s: float


def open_model(where: ModelOptions, needs_segmenter: bool) -> tuple[Model, ModuleType]:
    """The model to ask and the layout that reads its input; raises InputError.

    A server is asked for the very version that --model describes. Without --model the task's file
    says how inputs are prepared, and the server's newest version answers.
    """
    if where.model is not None:
        exported = open_export(where.model)
        module = _layout_of(exported, where.task)
        segmenter = segmenter_beside(exported) if needs_segmenter else None
    else:
        file = find_task_file(where.task)
        exported = Exported(load_task(file))
        module = find_layout(exported.task, file)
        if exported.task.spacing:
            raise InputError(
                f"Task {exported.task.name} resamples slices as its training side was.",
                "--server without --model", "Name the export's folder too: --model DIR.",
            )  # fmt: skip
        segmenter = None
        if needs_segmenter and exported.task.boxes_from:
            segmenter = Exported(feature_task(exported.task, file)[0])
    beside = None if segmenter is None else _asked(segmenter, where)
    return _asked(exported, where, beside), module


def _asked(exported: Exported, where: ModelOptions, segmenter: Model | None = None) -> Model:
    if not where.server:
        return Model(exported, *load_graph(exported), segmenter)
    served = RestModel(
        _address(where.server), exported.task.name, exported.version, _token(where), where.timeout_s
    )
    signatures = served.signatures()
    _check_fits(exported, signatures.get("serving_default", {}))
    return Model(exported, served.call, tuple(signatures), segmenter, MAX_NUMBERS)


def _check_fits(exported: Exported, found: dict[str, tuple[int, ...]]) -> None:
    """Raises InputError unless the served model takes what this task's preparation gives."""
    wanted = {name: (-1, *shape) for name, shape in array_shapes(exported.task).items()}
    if found != wanted:
        raise InputError(
            f"The served model takes {', '.join(f'{n} {s}' for n, s in wanted.items())}.",
            f"one that takes {', '.join(f'{n} {s}' for n, s in sorted(found.items()))}",
            "Name the folder of the served version: --model DIR.",
        )  # fmt: skip


def _layout_of(exported: Exported, task_file: str) -> ModuleType:
    """The layout that an export's inputs are read with; raises InputError.

    Its name is in the export. A layout of the user's own lies beside the task file, so that one
    has to be named.
    """
    name = exported.task.name
    if task_file:
        file = find_task_file(task_file)
        if file.stem != name:
            raise InputError(
                f"--task must be the task of --model, {name}.", task_file, "Leave --task out."
            )
        task = load_task(file)
    elif is_own(exported.task):
        raise InputError(
            f"Inputs of {name} are read by a layout of your own, {exported.task.layout}.", "no --task",
            f"Add --task {name}.py: the layout lies beside it.",
        )  # fmt: skip
    else:
        file, task = FOLDER / f"{name}.py", exported.task
    module = find_layout(task, file)
    trained, now = exported.layout, layout_version(task, module)
    if trained and trained != now:
        print(
            f"warning: the model was trained on cases read by layout {trained['name']}, version "
            f"{trained['version']}; these are read by {now['name']}, version {now['version']}",
            file=sys.stderr,
        )
    return module


def _address(server: str) -> str:
    try:
        parts = urlsplit(server)
        sound = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:
        sound = False
    if not sound:
        raise InputError(
            "--server is an address of a REST interface.", server, "For example http://127.0.0.1:8501."
        )
    if "@" in parts.netloc:
        raise InputError(
            "--server names no user: its key is a token.", f"one at {parts.hostname}",
            "Give it by --token-file.",
        )  # fmt: skip
    return server.rstrip("/")


def _token(where: ModelOptions) -> str:
    if where.token_file is None:
        return os.environ.get(TOKEN, "")
    try:
        token = where.token_file.read_text(encoding="utf-8").strip()
    except (OSError, ValueError):
        token = ""
    if len(token.split()) != 1 or not token.isascii():
        raise InputError("--token-file holds a token, one word.", where.token_file, "Correct it.")
    return token
