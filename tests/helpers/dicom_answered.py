"""Models whose answers are known, asked for DICOM objects of the sources of dicom_kinds.py."""

import numpy as np

from mri_tf.export.reader import Exported
from mri_tf.predict.answers import Model
from mri_tf.task.files import FOLDER, load_task
from mri_tf.task.overrides import with_values


def finds_bright(grid=(32, 32, 32)) -> Model:
    """A segmentation model: the brighter half of the grey values is `anterior`, and `posterior` in the
    upper half of the image."""
    task = with_values(load_task(FOLDER / "hippocampus.py"), {"image_shape": grid})

    def call(signature, feed):
        image = feed["image"][..., 0]
        bright = image > (image.min() + image.max()) / 2
        upper = np.zeros_like(bright)
        upper[:, : grid[0] // 2] = True
        found = [~bright, bright & ~upper, bright & upper]
        return {"probabilities": np.stack(found, axis=-1).astype(np.float32)}

    return Model(Exported(task, version=3, weights="c" * 64), call, ("serving_default",))


def explains_brightness() -> Model:
    """A 3D classifier whose map is the image itself."""
    task = with_values(
        load_task(FOLDER / "brain_tumor_type.py"),
        {"image_shape": (16, 24, 24), "prep": {},
         "normalize": dict(method="range", low=0.0, high=255.0)},
    )  # fmt: skip

    def call(signature, feed):
        found = {"probabilities": np.array([[0.2, 0.5, 0.3]]), "decision": np.array([1])}
        return found | {"map": np.maximum(feed["image"][..., 0], 0)}

    return Model(Exported(task, version=3), call, ("serving_default", "explain"))


def numbers_slices() -> Model:
    """A classifier of axial slices: class 0 for the first slice of a case, 1 for the next and so on."""
    task = with_values(load_task(FOLDER / "cardiac_levels.py"), {"image_shape": (32, 32)})

    def call(signature, feed):
        count = len(feed["image"])
        decisions = np.arange(count) % 9
        found = {"probabilities": np.eye(9)[decisions] * 0.82 + 0.02, "decision": decisions}
        return found | ({"map": feed["image"][..., 0]} if signature == "explain" else {})

    return Model(Exported(task, version=3), call, ("serving_default", "explain"))
