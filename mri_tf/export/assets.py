"""What lies beside an exported graph, in `assets.extra/`: all that a caller has to know of the model.

export.json     hash of the weights, layout, signatures, versions of what wrote it
task.json       the task: classes, channels, grid, preparation, normalisation
labels.txt      names of the outputs, one a line
answers.json    of a classifier: temperature, shares of the classes, operating point, prediction sets
fitted.json     what the task fitted to the training side: a spacing, centroids
ranges.json     intensities and sizes of the training side (`out_of_distribution`)
model_card.md   for people: use, data, numbers with intervals, limits (`model_card`)
tf_serving_warmup_requests  where the extra `serve` is installed (`warm_up`)
segmenter.json  of a task whose boxes lie around predicted masks: the exported model that predicts them
"""

import json
from dataclasses import dataclass
from pathlib import Path

import keras
import tensorflow as tf

import mri_tf
from mri_tf.core.errors import InputError
from mri_tf.export.reader import ANSWERS, ASSETS, EXPORT, FITTED, RANGES, SEGMENTER, TASK
from mri_tf.serve.version_folders import version_folders
from mri_tf.store.prepared import Prepared
from mri_tf.store.run import FEATURES, Run, open_run


@dataclass(frozen=True)
class Facts:
    """What an export found out beyond its run's values."""

    ranges: dict  # of `fit_ranges`
    image_dtype: str  # of the records' images
    layout: dict  # name and version of the layout that read the cases
    signatures: list[str]
    segmenter: dict | None  # of `find_segmenter`


def write_assets(run: Run, facts: Facts, folder: Path) -> None:
    """Writes the files above into `folder`, those that the run has something to say in."""
    values = run.values
    export = {
        "task": run.task.name,
        "weights_sha256": values["weights_sha256"],
        "image_dtype": facts.image_dtype,
        "layout": facts.layout,
        "signatures": facts.signatures,
        "versions": {
            "mri_tf": mri_tf.__version__, "tensorflow": tf.__version__, "keras": keras.__version__
        },
    }  # fmt: skip
    documents = {
        EXPORT: export, TASK: _without_places(values["task"]), ANSWERS: values["answers"],
        FITTED: values["fitted"], RANGES: facts.ranges, SEGMENTER: facts.segmenter,
    }  # fmt: skip
    folder.mkdir(parents=True, exist_ok=True)
    for name, document in documents.items():
        if document:
            (folder / name).write_text(json.dumps(document, indent=1), encoding="utf-8")
    labels = "".join(f"{name}\n" for name in run.task.output_names)
    (folder / "labels.txt").write_text(labels, encoding="utf-8")


def exported_version(home: Path, weights_sha256: str) -> int | None:
    """The newest version in `home` (`<out>/<task>`) with these weights; None where there is none."""
    for number, folder in sorted(version_folders(home).items(), reverse=True):
        try:
            text = (folder / ASSETS / EXPORT).read_text(encoding="utf-8")
            if json.loads(text)["weights_sha256"] == weights_sha256:
                return number
        except (OSError, ValueError, KeyError, TypeError):
            continue  # written by hand, or by an earlier version
    return None


def find_segmenter(run: Run, prepared: Prepared, out: Path) -> dict | None:
    """Task, version and weights of the exported model whose masks gave a run its boxes.

    It lies beside, in `out`. None for a run without; raises InputError where it is not exported.
    """
    if not run.task.boxes_from:
        return None
    derived = prepared.manifest["derived"]
    task, weights = derived["task"], derived["weights"]
    version = exported_version(Path(out) / task, weights)
    if version is None:
        raise InputError(
            f"A model of {run.task.name} is served beside the {task} model that finds its boxes.",
            f"{out} without an export of the {task} run with weights {weights[:12]}",
            f"Export that run first, with the same --out and --format: --run {_run_of(run, weights)}.",
        )
    return {"task": task, "version": version, "weights_sha256": weights}


def _run_of(run: Run, weights: str) -> str:
    """The folder of the run with these weights where it lies in `run`'s own, for a message."""
    try:
        known = open_run(run.folder / FEATURES).values.get("weights_sha256") == weights
    except InputError:
        known = False
    return str(run.folder / FEATURES) if known else "RUN"


def _without_places(task: dict) -> dict:
    """A task's values; of a file of weights its name, not where it lay."""
    arguments = {
        key: Path(value).name if isinstance(value, str) and "/" in value else value
        for key, value in task["model_args"].items()
    }
    return {**task, "model_args": arguments}
