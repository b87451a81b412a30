"""Opens an exported model: reads `assets.extra/` and loads the graph to call its signatures."""

import json
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from mri_tf.calibration.answers import Answers, answers_from_json
from mri_tf.calibration.familiar_images import Familiar, familiar_from_json
from mri_tf.core.errors import InputError
from mri_tf.core.exported import ASSETS, EXPORT
from mri_tf.engines.choose import TENSORFLOW, open_engine
from mri_tf.engines.requests import SAVED_MODEL
from mri_tf.serve.version_folders import version_folders, version_number
from mri_tf.task import Task
from mri_tf.task.files import saved_task

TASK, ANSWERS, FITTED, FAMILIAR, SEGMENTER = (  # described in `assets`
    "task.json", "answers.json", "fitted.json", "familiar.json", "segmenter.json",
)  # fmt: skip
Call = Callable[[str, dict[str, np.ndarray]], dict[str, np.ndarray]]


@dataclass(frozen=True)
class Exported:
    """A model as its assets describe it."""

    task: Task
    folder: Path | None = None  # None where only the task is known, of a model on a server
    version: int | None = None  # None: the newest one
    answers: Answers | None = None
    fitted: dict = field(default_factory=dict)
    familiar: Familiar | None = None  # what images of the training side look like
    segmenter: dict | None = None  # task, version and weights_sha256 of the model that finds its boxes
    layout: dict = field(default_factory=dict)  # name and version of the training data's layout
    weights: str = ""  # hash of the run's weights
    modality: str = ""  # of the training data, such as MR; "" where it is not known


def open_export(path: Path) -> Exported:
    """Opens the export in `saved_models/<task>/<version>`, or the newest one in `saved_models/<task>`.

    Raises:
        InputError: there is none, or its assets are damaged or do not say how inputs are prepared.
    """
    folder = _version_folder(Path(path))
    task = _asset(folder, TASK)
    if task is None:
        raise InputError(
            f"The export has no {ASSETS}/{TASK}, which says how inputs are prepared.", folder,
            "Export the run again with python -m mri_tf.export --run RUN.",
        )  # fmt: skip
    answers, export = _asset(folder, ANSWERS), _asset(folder, EXPORT) or {}
    familiar = _asset(folder, FAMILIAR)
    try:
        exported = Exported(
            task=saved_task(task),
            folder=folder,
            version=version_number(folder.name),
            answers=answers_from_json(answers) if answers is not None else None,
            fitted=_asset(folder, FITTED) or {},
            familiar=familiar_from_json(familiar["images"]) if familiar is not None else None,
            segmenter=_asset(folder, SEGMENTER),
            layout=export.get("layout", {}),
            weights=export.get("weights_sha256", ""),
            modality=export.get("modality", ""),
        )
    except InputError:
        raise
    except (AttributeError, KeyError, TypeError, ValueError):
        raise _damaged(folder / ASSETS) from None
    if exported.answers is None and exported.task.kind == "classification":
        raise _damaged(folder / ASSETS / ANSWERS)
    return exported


def segmenter_beside(exported: Exported) -> Exported | None:
    """Opens the export that finds the boxes of another one, from the same folder of models.

    Returns:
        None where the model needs no boxes.

    Raises:
        InputError: it is missing, or has other weights than those that found the boxes in validation.
    """
    if not exported.task.boxes_from:
        return None
    segmenter = exported.segmenter
    if segmenter is None or exported.folder is None:
        raise InputError(
            "The export does not say which model finds its boxes.", exported.folder,
            "Export its run again with python -m mri_tf.export --run RUN.",
        )  # fmt: skip
    models = exported.folder.absolute().parent.parent
    opened = open_export(models / segmenter["task"] / str(segmenter["version"]))
    if opened.weights != segmenter["weights_sha256"]:
        raise InputError(
            "The model that finds the boxes is not the one that this model was validated with.",
            f"{opened.folder}, with other weights", "Export both runs again into one folder.",
        )  # fmt: skip
    return opened


def load_graph(exported: Exported, engine: str = TENSORFLOW) -> tuple[Call, tuple[str, ...]]:
    """Loads the graph; returns `call(signature, arrays by name)` and the names of the signatures.

    `engine` answers for the signatures that it can run (`engines.choose`), TensorFlow for the others.
    Raises InputError.
    """
    import tensorflow as tf

    try:
        loaded = tf.saved_model.load(str(exported.folder))
    except (OSError, ValueError, IndexError, KeyError, tf.errors.OpError) as error:
        raise InputError(
            "Cannot load the SavedModel.", f"{exported.folder} ({type(error).__name__})",
            "Copy the whole folder again, or export the run again.",
        ) from None  # fmt: skip

    def call(signature: str, feed: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        function = loaded.signatures[signature]
        types = {name: spec.dtype for name, spec in function.structured_input_signature[1].items()}
        outputs = function(**{name: tf.constant(value, types[name]) for name, value in feed.items()})
        return {name: value.numpy() for name, value in outputs.items()}

    say = lambda line: print(f"{exported.task.name}: {line}", file=sys.stderr)  # noqa: E731
    runs = open_engine(engine, exported.folder, call, say)

    def call_engine(signature: str, feed: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        if signature not in runs:
            return call(signature, feed)
        return runs[signature]({name: np.asarray(value, np.float32) for name, value in feed.items()})

    return call_engine, tuple(loaded.signatures)


def _version_folder(path: Path) -> Path:
    if (path / SAVED_MODEL).is_file():
        return path
    folders = {
        version: folder for version, folder in version_folders(path).items()
        if (folder / SAVED_MODEL).is_file()
    }  # fmt: skip
    if not folders:
        raise InputError(
            "--model must be an exported model: saved_models/<task>, or one of the versions in it.",
            f"{path}, without a {SAVED_MODEL}", "Export a run with python -m mri_tf.export --run RUN.",
        )  # fmt: skip
    return folders[max(folders)]


def _asset(folder: Path, name: str) -> dict | None:
    path = folder / ASSETS / name
    if not path.is_file():
        return None
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except ValueError:
        values = None
    if not isinstance(values, dict):
        raise _damaged(path)
    return values


def _damaged(path: Path) -> InputError:
    return InputError("Cannot read the export.", f"{path}, damaged", "Export the run again.")
