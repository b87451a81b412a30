"""Writes the files of `assets.extra/`, which tell a caller of an exported model all it has to know.

export.json     hash of the weights, layout, modality, signatures, versions of the software that wrote it
task.json       the task: classes, channels, grid, preparation, normalisation
labels.txt      names of the outputs, one a line
answers.json    for a classifier: temperature, intercepts, class shares, operating point, prediction sets
fitted.json     values that the task fitted to the training side: a spacing, centroids
familiar.json   statistics of the training side and the limits beyond which an input is unlike it
segmenter.json  for a task with boxes around predicted masks: the exported model that predicts them
model_card.md   for people: use, data, numbers with intervals, limits (written by `model_card`)
card.html       the run's card, of mri_tf.report, where it was written before the export
tf_serving_warmup_requests  where the extra `serve` is installed (written by `warm_up`)
"""

import json
import shutil
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

import mri_tf
from mri_tf.calibration.familiar_images import familiar_to_json
from mri_tf.core.errors import InputError
from mri_tf.core.exported import EXPORT, weights_of_export
from mri_tf.core.words import modality_word
from mri_tf.export.reader import ANSWERS, FAMILIAR, FITTED, SEGMENTER, TASK
from mri_tf.export.source import ExportSource
from mri_tf.serve.version_folders import version_folders
from mri_tf.store.prepared import Prepared
from mri_tf.store.run import CARD, FEATURES, Run, open_run
from mri_tf.task.paths import without_folders

MAX_RECORDS_READ = 200  # records whose facts are read


def write_assets(
    source: ExportSource, folder: Path, about: dict, segmenter: dict | None
) -> None:
    """Writes the files above into `folder`; a file without content is left out.

    Args:
        source: the run, what it finds familiar, and the dtype of its images.
        folder: `assets.extra`, made where it is missing.
        about: further entries of export.json: `layout` (name and version of the layout that read the
            cases), `modality`, the names of the `signatures`; of a model of several members their
            number and `cost`.
        segmenter: of `find_segmenter`.
    """
    run, values = source.run, source.run.values
    arguments = without_folders(values["task"]["model_args"])
    export = {
        "task": run.task.name,
        "weights_sha256": values["weights_sha256"],
        "image_dtype": source.image_dtype,
        **about,
        "versions": {
            "mri_tf": mri_tf.__version__, "tensorflow": tf.__version__, "keras": keras.__version__
        },
    }  # fmt: skip
    features = source.familiarity.features
    familiar = {
        "images": familiar_to_json(source.familiarity.images),
        "features": None if features is None else {"limit": vars(features.limit)},
    }
    documents = {
        EXPORT: export, TASK: {**values["task"], "model_args": arguments}, ANSWERS: values["answers"],
        FITTED: values["fitted"], FAMILIAR: familiar, SEGMENTER: segmenter,
    }  # fmt: skip
    folder.mkdir(parents=True, exist_ok=True)
    for name, document in documents.items():
        if document:
            (folder / name).write_text(json.dumps(document, indent=1), encoding="utf-8")
    if (run.folder / CARD).is_file():
        shutil.copyfile(run.folder / CARD, folder / CARD)
    labels = "".join(f"{name}\n" for name in run.task.output_names)
    (folder / "labels.txt").write_text(labels, encoding="utf-8")


def modality_of(run: Run, prepared: Prepared) -> str:
    """The modality that the run was trained on: the task's, or that of all of (at most MAX_RECORDS_READ)
    training records whose headers say one; "" where it is not known."""
    if run.task.modality:
        return run.task.modality
    train = np.flatnonzero(np.isin(prepared.record_ids, run.sides["train"]))
    sample = train[:: max(1, -(-len(train) // MAX_RECORDS_READ))]
    facts = (prepared.record(position).facts for position in sample.tolist())
    named = {modality_word(of_record.get("modality", "")) for of_record in facts}
    return named.pop() if len(named) == 1 else ""


def exported_version(home: Path, weights_sha256: str) -> int | None:
    """Returns the newest version in `home` (`<out>/<task>`) with these weights, or None."""
    for number, folder in sorted(version_folders(home).items(), reverse=True):
        if weights_of_export(folder) == weights_sha256:
            return number
    return None


def find_segmenter(run: Run, prepared: Prepared, out: Path) -> dict | None:
    """Finds the exported model whose predicted masks gave a run its boxes.

    Returns:
        Its task, version and weights_sha256; None for a run without such boxes.

    Raises:
        InputError: it is not in `out`.
    """
    if not run.task.boxes_from:
        return None
    derived = prepared.manifest["derived"]
    task, weights = derived["task"], derived["weights"]
    version = exported_version(Path(out) / task, weights)
    if version is None:
        raise InputError(
            f"A model of {run.task.name} needs an export of the {task} run that finds its boxes.",
            f"{out}, without an export of the {task} run with weights {weights[:12]}",
            f"Export that run first, with the same --out and --format: --run {_run_of(run, weights)}.",
        )
    return {"task": task, "version": version, "weights_sha256": weights}


def _run_of(run: Run, weights: str) -> str:
    """For a message: the folder of the run with these weights if it lies inside `run`, else RUN."""
    try:
        inside = open_run(run.folder / FEATURES).values.get("weights_sha256") == weights
    except InputError:
        inside = False
    return str(run.folder / FEATURES) if inside else "RUN"
