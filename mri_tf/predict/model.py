"""The model that predict's flags name: an export on this disk, or one behind a server."""

import os
import sys
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from urllib.parse import urlsplit

from data_prep import csv_manifest
from data_prep.find import prep_module
from mri_tf.core.errors import InputError
from mri_tf.core.hashing import file_hash
from mri_tf.export.inputs import array_shapes
from mri_tf.export.reader import Exported, load_graph, open_export, segmenter_beside
from mri_tf.predict.answers import Model
from mri_tf.predict.rest_client import MOST_NUMBERS, RestModel
from mri_tf.task.files import FOLDER, feature_task, find_task_file, is_built_in, load_task, task_names

TOKEN = "MRI_TF_TOKEN"  # of the environment, where there is no --token-file


@dataclass(frozen=True)
class Where:
    """--model, --server, --task, --token-file and --timeout-s as given."""

    model: Path | None
    server: str
    task: str
    token_file: Path | None
    timeout_s: float


def open_model(where: Where, needs_segmenter: bool) -> tuple[Model, ModuleType]:
    """The model to ask and the prep module that makes its input; raises InputError.

    A server is asked for the very version that --model describes. Without --model the task's file
    says how inputs are prepared, and the server's newest version answers.
    """
    if where.model is not None:
        exported = open_export(where.model)
        module = _prep_of(exported, where.task)
        segmenter = segmenter_beside(exported) if needs_segmenter else None
    else:
        file = find_task_file(where.task)
        exported, module = Exported(load_task(file)), prep_module(file)
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


def _asked(exported: Exported, where: Where, segmenter: Model | None = None) -> Model:
    if not where.server:
        return Model(exported, *load_graph(exported), segmenter)
    served = RestModel(
        _address(where.server), exported.task.name, exported.version, _token(where), where.timeout_s
    )
    signatures = served.signatures()
    _check_fits(exported, signatures.get("serving_default", {}))
    return Model(exported, served.call, tuple(signatures), segmenter, MOST_NUMBERS)


def _check_fits(exported: Exported, found: dict[str, tuple[int, ...]]) -> None:
    """Raises InputError unless the served model takes what this task's preparation gives."""
    wanted = {name: (-1, *shape) for name, shape in array_shapes(exported.task).items()}
    if found != wanted:
        raise InputError(
            f"The served model takes {', '.join(f'{n} {s}' for n, s in wanted.items())}.",
            f"one that takes {', '.join(f'{n} {s}' for n, s in sorted(found.items()))}",
            "Name the folder of the served version: --model DIR.",
        )  # fmt: skip


def _prep_of(exported: Exported, given: str) -> ModuleType:
    """The prep module that an export's inputs were made with."""
    name = exported.task.name
    if not given and name in task_names() and not exported.prep_file:
        return prep_module(FOLDER / f"{name}.py")
    if not given:
        if exported.prep_file == file_hash(Path(csv_manifest.__file__)):
            return csv_manifest  # of a task of a user's own without a prep file
        raise InputError(
            f"Inputs of {name}, a task of your own, are prepared by its own file.", "no --task",
            f"Add --task {name}.py; its prep file lies beside it.",
        )  # fmt: skip
    file = find_task_file(given)
    if file.stem != name:
        raise InputError("--task is the task of --model.", f"{given}, not {name}", "Leave it away.")
    module = prep_module(file)
    own = "" if is_built_in(file) else file_hash(Path(module.__file__))
    if exported.prep_file not in (None, own):
        changed = Path(module.__file__).name
        print(f"warning: {changed} is not the file the model was trained with", file=sys.stderr)
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


def _token(where: Where) -> str:
    if where.token_file is None:
        return os.environ.get(TOKEN, "")
    try:
        token = where.token_file.read_text(encoding="utf-8").strip()
    except (OSError, ValueError):
        token = ""
    if len(token.split()) != 1 or not token.isascii():
        raise InputError("--token-file holds a token, one word.", where.token_file, "Correct it.")
    return token
