"""Models whose answers can be worked out by hand, their images, and what predict writes of them."""

import json
from pathlib import Path

import numpy as np
from PIL import Image

from mri_tf.core.command_line import run_command
from mri_tf.export.reader import Exported
from mri_tf.predict.__main__ import main as predict
from mri_tf.predict.answers import Model
from mri_tf.task import Task

IMAGES = Task(
    name="bright", channels=("grey",), image_shape=(8, 8), class_names=("dark", "light"), model="vgg",
    normalize=dict(method="range", low=0.0, high=255.0),
)  # fmt: skip


def says_brightness(task: Task, calls: list | None = None) -> Model:
    """A model whose probability of the last class is the image's mean / 255; its map is the image."""

    def call(signature, feed):
        if calls is not None:
            calls.append((signature, {name: array.shape for name, array in feed.items()}))
        image = feed["slices"][0] if signature == "slices" else feed["image"]
        share = image.reshape(len(image), -1).mean(axis=1) / 255
        share = share.mean(keepdims=True) if signature == "slices" else share
        found = {"probabilities": np.stack([1 - share, share], axis=1), "decision": share > 0.5}
        return found | ({"map": image[..., 0]} if signature == "explain" else {})

    return Model(Exported(task, version=3), call, ("serving_default", "explain"))


def write_images(folder: Path, **values: int) -> Path:
    """One grey image a name, of one value."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, value in values.items():
        Image.fromarray(np.full((8, 8), value, np.uint8)).save(folder / f"{name}.png")
    return folder


def run_predict(*flags) -> int:
    """The exit code of predict with these flags and the model of the test."""
    return run_command(predict, ["--model", ".", *map(str, flags)])


def predicted_to(out: Path, *flags, code: int = 0) -> dict:
    """What predict writes into the JSON file `out`."""
    assert run_predict(*flags, "--out", out) == code
    return json.loads(out.read_text())
