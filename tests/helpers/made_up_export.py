"""Exports made by hand in a second: models whose answers can be worked out, as files that predict opens.

bright    (8, 8) pictures, dark or light: the share of light is the mean / 255; the map is the picture
bright3d  (8, 12, 12) volumes of t1, the same
spots     (8, 12, 12) volumes, a segmentation: what is brighter than 100
slow      as bright, after some seconds of work
"""

import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import tensorflow as tf

from mri_tf.calibration.calibrator import Calibrator
from mri_tf.calibration.operating_point import OperatingPoint
from mri_tf.task import Task
from mri_tf.task.spec import to_json

CARD = """<!doctype html><title>Card</title><p>A card.</p>
<script type="application/json" id="card-data">
{"question": "Is it light?", "audit": {"verdict": "leak", "sentence": "CERTAIN LEAK: copies"}}
</script>"""
PICTURES = dict(channels=("grey",), image_shape=(8, 8), class_names=("dark", "light"), model="vgg",
                normalize=dict(method="range", low=0.0, high=255.0))  # fmt: skip
VOLUMES = dict(channels=("t1",), image_shape=(8, 12, 12), model="vgg3d", modality="MR",
               normalize=dict(method="range", low=0.0, high=255.0))  # fmt: skip
TASKS = {
    "bright": Task(name="bright", **PICTURES),
    "bright3d": Task(name="bright3d", class_names=("dark", "light"), **VOLUMES),
    "spots": Task(name="spots", kind="segmentation", class_names=("background", "spot"), **VOLUMES),
    "slow": Task(name="slow", **PICTURES),
}
SLOW_STEPS = 40_000  # multiplications of matrices: minutes


def write_exports(models: Path, *names: str) -> Path:
    """Writes these models, each as version 1; returns the folder."""
    for name in names:
        _write(models / name / "1", TASKS[name])
    if "bright" in names:
        (models / "bright/1/assets.extra/card.html").write_text(CARD, encoding="utf-8")
    return models


def _write(folder: Path, task: Task) -> None:
    segments = task.kind == "segmentation"

    def answers(image):
        if segments:
            spot = tf.cast(image > 100, tf.float32)
            return {"probabilities": tf.concat([1 - spot, spot], axis=-1), "decision": spot > 0}
        light = tf.reduce_mean(image, axis=list(range(1, image.shape.rank))) / 255
        if task.name == "slow":
            light += 0 * _work(light)
        return {"probabilities": tf.stack([1 - light, light], axis=1), "decision": light > 0.5}

    def explain(image, class_index):
        asked = tf.reshape(tf.cast(class_index >= 0, tf.float32), (-1, *[1] * len(task.image_shape)))
        return {**answers(image), "map": image[..., 0] * asked}

    write_export(folder, task, answers, None if segments else explain)


def write_export(folder: Path, task: Task, answers: Callable, explain: Callable | None) -> None:
    """An export of a task whose outputs these functions make: of `image` (batch, *grid, 1), the second
    of `class_index` (batch,) too; None where it has no maps."""
    image = tf.TensorSpec((None, *task.image_shape, 1), tf.float32, name="image")
    index = tf.TensorSpec((None,), tf.int32, name="class_index")
    calls = {"serving_default": (answers, [image])}
    calls |= {"explain": (explain, [image, index])} if explain else {}
    signatures = {
        name: tf.function(call, input_signature=specs) for name, (call, specs) in calls.items()
    }
    tf.saved_model.save(tf.Module(), str(folder), signatures=signatures)
    point = OperatingPoint("accuracy", None, (0.5, 0.5), 0.5, None, 0)
    calibrator = Calibrator(1.0, (0.5, 0.5), (0.5, 0.5), point, 0.8)
    export = {"weights_sha256": task.name, "signatures": list(signatures), "modality": task.modality}
    documents = {"task.json": to_json(task), "export.json": export}
    if task.kind == "classification":
        documents["answers.json"] = asdict(calibrator)
    (folder / "assets.extra").mkdir(exist_ok=True)
    for name, document in documents.items():
        (folder / "assets.extra" / name).write_text(json.dumps(document), encoding="utf-8")


def _work(light):
    def step(number, value):
        return number + 1, tf.tanh(tf.linalg.matmul(value, value))

    matrix = tf.fill((400, 400), tf.reduce_sum(light) * 1e-3)
    _, done = tf.while_loop(lambda number, _: number < SLOW_STEPS, step, (0, matrix))
    return done[0, 0]
