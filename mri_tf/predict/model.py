"""Opens the model that predict's flags name: an export on this disk, or one behind a server."""

import sys
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from urllib.parse import urlsplit

from data_prep.layout import find_layout, is_user_layout, layout_version
from mri_tf.core.errors import InputError
from mri_tf.core.redacted import redacted
from mri_tf.engines.choose import TENSORFLOW
from mri_tf.engines.requests import DEFAULT_SIGNATURE
from mri_tf.export.inputs import array_shapes
from mri_tf.export.reader import Exported, load_graph, open_export, segmenter_beside
from mri_tf.predict.answers import Model
from mri_tf.predict.rest_client import MAX_NUMBERS, RestModel
from mri_tf.serve.access import token_of
from mri_tf.task.files import FOLDER, feature_task, find_task_file, load_task
from mri_tf.task.harmonise import combat_batch

TOKEN = "MRI_TF_TOKEN"  # the environment variable that is used without --token-file


@dataclass(frozen=True)
class ModelOptions:
    """The flags --model, --server, --task, --token-file, --timeout-s and --engine."""

    model: Path | None
    server: str
    task: str
    token_file: Path | None
    timeout_s: float
    engine: str = TENSORFLOW


def open_model(options: ModelOptions, needs_segmenter: bool) -> tuple[Model, ModuleType]:
    """Opens the model and finds the layout that reads its inputs.

    With --model and --server, the server is asked for the version that --model holds. With --server
    alone the task's file says how inputs are prepared, and the server's newest version answers.
    `needs_segmenter` is whether the task's segmentation model must find the boxes. Raises InputError.
    """
    segmenter = None
    if options.model is not None:
        exported = open_export(options.model)
        layout = _layout_of(exported, options.task)
        if needs_segmenter:
            segmenter = segmenter_beside(exported)
    else:
        file = find_task_file(options.task)
        exported = Exported(load_task(file))
        task = exported.task
        layout = find_layout(task, file)
        if combat_batch(task):
            raise InputError(
                f"Task {task.name} corrects features by {combat_batch(task)}, and only the export knows "
                "which.", "--server without --model", "Give the export's folder too: --model DIR.",
            )  # fmt: skip
        if task.spacing:
            raise InputError(
                f"Task {task.name} resamples slices to a spacing that only the export holds.",
                "--server without --model", "Give the export's folder too: --model DIR.",
            )  # fmt: skip
        if needs_segmenter and task.boxes_from:
            segmenter = Exported(feature_task(task, file)[0])
    box_finder = None if segmenter is None else _connect(segmenter, options)
    return _connect(exported, options, box_finder), layout


def _connect(exported: Exported, options: ModelOptions, segmenter: Model | None = None) -> Model:
    """The model to call: on the server where there is one, else loaded from disk."""
    if not options.server:
        return Model(exported, *load_graph(exported, options.engine), segmenter)
    address, token = _address(options.server), token_of(options.token_file, TOKEN, "--token-file")
    served = RestModel(address, exported.task.name, exported.version, token, options.timeout_s)
    signatures = served.signatures()
    _check_inputs(exported, signatures.get(DEFAULT_SIGNATURE, {}))
    return Model(exported, served.call, tuple(signatures), segmenter, MAX_NUMBERS)


def _check_inputs(exported: Exported, served: dict[str, tuple[int, ...]]) -> None:
    """Raises InputError unless the served model takes the arrays that the task's preparation makes."""
    prepared = {name: (-1, *shape) for name, shape in array_shapes(exported.task).items()}
    if served != prepared:
        raise InputError(
            f"Task {exported.task.name} prepares inputs that the served model does not take: "
            f"{', '.join(f'{name} {shape}' for name, shape in prepared.items())}.",
            f"a model that takes {', '.join(f'{n} {s}' for n, s in sorted(served.items()))}",
            "Give the folder of the served version: --model DIR.",
        )  # fmt: skip


def _layout_of(exported: Exported, task_file: str) -> ModuleType:
    """The layout that reads an export's inputs; raises InputError.

    The export holds the layout's name. A user's own layout is a file beside the task file, so --task
    must name that file.
    """
    name = exported.task.name
    if task_file:
        file = find_task_file(task_file)
        if file.stem != name:
            raise InputError(
                f"--task must be the task of --model, {name}.", task_file, "Leave out --task."
            )
        task = load_task(file)
    elif is_user_layout(exported.task):
        raise InputError(
            f"Task {name} reads its inputs with your own layout, {exported.task.layout}.", "no --task",
            f"Add --task {name}.py, the task file beside the layout.",
        )  # fmt: skip
    else:
        file, task = FOLDER / f"{name}.py", exported.task
    layout = find_layout(task, file)
    trained, present = exported.layout, layout_version(exported.task, layout)
    if exported.task.standardised and not trained.get("standardised"):
        raise InputError(
            "The model was trained on cases whose background was not 0 after standardisation.",
            f"an export of task {name} by an earlier version", "Prepare, train and export it again.",
        )  # fmt: skip
    if trained and trained != present:
        print(
            f"warning: the model was trained on cases read by layout {trained['name']}, version "
            f"{trained['version']}; these are read by {present['name']}, version {present['version']}",
            file=sys.stderr,
        )
    return layout


def _address(server: str) -> str:
    """The server's address without a slash at the end; raises InputError."""
    try:
        parts = urlsplit(server)
        valid = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:
        valid = False
    if not valid:
        raise InputError(
            "--server must be the http or https address of a REST interface.", redacted(server),
            "For example http://127.0.0.1:8501.",
        )  # fmt: skip
    if "@" in parts.netloc:
        raise InputError(
            "--server must not contain a user name or password.",
            f"an address of {parts.hostname} with one", "Give the server's token by --token-file.",
        )  # fmt: skip
    return server.rstrip("/")
