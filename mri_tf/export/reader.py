"""An exported model on disk: what `assets.extra/` says of it, and its signatures called in process."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from mri_tf.calibration.calibrator import Calibrator, from_values
from mri_tf.core.errors import InputError
from mri_tf.serve.version_folders import version_folders, version_number
from mri_tf.task import Task
from mri_tf.task.files import saved_task

ASSETS, GRAPH = "assets.extra", "saved_model.pb"
EXPORT, TASK, ANSWERS, FITTED, RANGES, SEGMENTER = (  # what each holds: `served_assets`
    "export.json", "task.json", "answers.json", "fitted.json", "ranges.json", "segmenter.json",
)  # fmt: skip
Call = Callable[[str, dict[str, np.ndarray]], dict[str, np.ndarray]]


@dataclass(frozen=True)
class Exported:
    """A model as its assets describe it; `folder` is None of one that is known by its task alone."""

    task: Task
    folder: Path | None = None
    version: int | None = None  # the newest one where it is None
    answers: Calibrator | None = None
    fitted: dict = field(default_factory=dict)
    ranges: dict | None = None  # of `out_of_distribution.fit_ranges`
    segmenter: dict | None = None  # task, version, weights_sha256 of the model that finds its boxes
    layout: dict = field(default_factory=dict)  # name and version of the layout of its training data
    weights: str = ""  # hash of the run's weights


def open_export(path: Path) -> Exported:
    """The export in `saved_models/<task>/<version>`, or the newest one in `saved_models/<task>`.

    Raises InputError where there is none, or one whose assets do not say how to prepare its input.
    """
    folder = _version_folder(Path(path))
    task = _asset(folder, TASK)
    if task is None:
        raise InputError(
            f"An export that predicts from files holds {ASSETS}/{TASK}.", folder,
            "Export the run again with python -m mri_tf.export.",
        )  # fmt: skip
    answers, export = _asset(folder, ANSWERS), _asset(folder, EXPORT) or {}
    try:
        found = Exported(
            task=saved_task(task),
            folder=folder,
            version=version_number(folder.name),
            answers=from_values(answers) if answers is not None else None,
            fitted=_asset(folder, FITTED) or {},
            ranges=_asset(folder, RANGES),
            segmenter=_asset(folder, SEGMENTER),
            layout=export.get("layout", {}),
            weights=export.get("weights_sha256", ""),
        )
    except InputError:
        raise
    except (AttributeError, KeyError, TypeError, ValueError):
        raise _damaged(folder / ASSETS) from None
    if found.answers is None and found.task.kind == "classification":
        raise _damaged(folder / ASSETS / ANSWERS)
    return found


def segmenter_beside(exported: Exported) -> Exported | None:
    """The export that finds the boxes of another, from the same folder of models; raises InputError
    where it is not there, or has other weights than those the boxes were validated with."""
    if not exported.task.boxes_from:
        return None
    named = exported.segmenter
    if named is None or exported.folder is None:
        raise InputError(
            "A model that grades boxes names the model that finds them.", exported.folder,
            "Export its run again with python -m mri_tf.export.",
        )  # fmt: skip
    home = exported.folder.absolute().parent.parent / named["task"] / str(named["version"])
    found = open_export(home)
    if found.weights != named["weights_sha256"]:
        raise InputError(
            "Boxes are found by the network that the grader was validated with.",
            f"{home}, with other weights", "Export both runs again into one folder.",
        )  # fmt: skip
    return found


def load_graph(exported: Exported) -> tuple[Call, tuple[str, ...]]:
    """The export's graph, loaded once: `call(signature, arrays by name)`, and its signatures."""
    import tensorflow as tf

    try:
        loaded = tf.saved_model.load(str(exported.folder))
    except (OSError, ValueError, IndexError, KeyError, tf.errors.OpError) as error:
        raise InputError(
            "A model is loaded whole.", f"{exported.folder} ({type(error).__name__})",
            "Copy or export it again.",
        ) from None  # fmt: skip

    def call(signature: str, feed: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        run = loaded.signatures[signature]
        types = {name: spec.dtype for name, spec in run.structured_input_signature[1].items()}
        found = run(**{name: tf.constant(value, types[name]) for name, value in feed.items()})
        return {name: value.numpy() for name, value in found.items()}

    return call, tuple(loaded.signatures)


def _version_folder(path: Path) -> Path:
    if (path / GRAPH).is_file():
        return path
    there = version_folders(path)
    versions = [number for number, folder in there.items() if (folder / GRAPH).is_file()]
    if not versions:
        raise InputError(
            "--model names saved_models/<task>, or a version in it.", f"{path}, without a model",
            "Make one with python -m mri_tf.export --run RUN.",
        )  # fmt: skip
    return there[max(versions)]


def _asset(folder: Path, name: str) -> dict | None:
    path = folder / ASSETS / name
    if not path.is_file():
        return None
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise _damaged(path)
    return found


def _damaged(path: Path) -> InputError:
    return InputError(
        "Assets of an export are as it was written.", f"{path}, damaged", "Export the run again."
    )
