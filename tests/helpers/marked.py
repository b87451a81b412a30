"""Exports whose answers and maps are known, volumes with a bright marker in them, and pictures.

`side` says on which side of a volume the marker lies, and its map is the marker; `marker` segments it;
`bright` says whether a picture is bright, and its map is the picture.
"""

from pathlib import Path

import numpy as np
import tensorflow as tf
from dicom_series import series, write
from made_up_export import write_export
from PIL import Image

from data_prep.io.nifti import write_nifti
from data_prep.volume import Volume
from mri_tf.task import Task

GRID = (22, 40, 32)  # depth, rows, columns of the prepared volumes
DARK, BRIGHT, PEAK = 100, 600, 700  # of volumes; what is brighter than LIMIT is the marker
LIMIT = 300.0
SHAPE = (32, 40, 22)  # of the raw volumes, along the axes of AFFINE
# Anisotropic; the first axis runs to the patient's right, the second to the back, the third to the head.
AFFINE = np.array([[1.5, 0.0, 0.0, -25.0], [0.0, -1.2, 0.0, 30.0], [0.0, 0.0, 4.0, -31.0], [0, 0, 0, 1]])
MARKER = (25, 11, 16)  # its middle voxel: right, in front, in the upper part
AROUND = (3, 3, 2)  # voxels to each side

_VOLUMES = dict(
    channels=("t1",), image_shape=GRID, modality="MR", prep=dict(keep_aspect=False),
    normalize=dict(method="range", low=0.0, high=1000.0),
)
TASKS = {
    "side": Task(name="side", class_names=("left", "right"), model="vgg3d", **_VOLUMES),
    "marker": Task(name="marker", kind="segmentation", class_names=("background", "marker"),
                   model="unet3d", **_VOLUMES),
    "bright": Task(name="bright", class_names=("dark", "light"), model="vgg", channels=("grey",),
                   image_shape=(24, 32), normalize=dict(method="range", low=0.0, high=255.0)),
}  # fmt: skip


def write_marked(models: Path) -> Path:
    """Writes version 1 of all three exports into a folder; returns it."""
    for name, task in TASKS.items():
        write_export(models / name / "1", task, *_SIGNATURES[name])
    return models


def marked(at: tuple[int, int, int] = MARKER, seed: int = 0) -> np.ndarray:
    """A noisy volume of SHAPE, int16, with a marker around this voxel."""
    array = np.random.default_rng(seed).normal(DARK, 8, SHAPE)
    array[tuple(slice(m - a, m + a + 1) for m, a in zip(at, AROUND, strict=True))] = BRIGHT
    array[at] = PEAK
    return array.astype(np.int16)


def millimetres(voxel) -> np.ndarray:
    """RAS mm of a voxel of a raw volume."""
    return (AFFINE @ [*voxel, 1.0])[:3]


def write_nifti_volume(path: Path, at: tuple[int, int, int] = MARKER) -> Path:
    """A marked volume as NIfTI, stored as it is written here and not in RAS order."""
    write_nifti(path, Volume(marked(at).astype(np.float32), AFFINE))
    return path


def write_dicom(folder: Path, at: tuple[int, int, int] = MARKER) -> Path:
    """A marked volume as a DICOM series of 22 slices."""
    write(folder, series(marked(at).astype(np.uint16), AFFINE))
    return folder


def write_pictures(folder: Path, **values: int) -> Path:
    """A picture a name, of one grey value, with a brighter square in its upper left corner."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, value in values.items():
        array = np.full((48, 64), value, np.uint8)
        array[4:14, 6:20] = 255
        Image.fromarray(array).save(folder / f"{name}.png")
    return folder


def _outputs(share: tf.Tensor) -> dict[str, tf.Tensor]:
    """Of the probability of the last class, (batch,)."""
    probabilities = tf.stack([1 - share, share], axis=1)
    return {
        "probabilities": probabilities, "decision": tf.argmax(probabilities, axis=1),
        "disagreement": probabilities / 10, "out_of_distribution": tf.zeros_like(share, tf.int32),
    }  # fmt: skip


def _side(image):
    marker = tf.cast(image > LIMIT, tf.float32)  # columns run from the patient's right to the left
    halves = tf.split(marker, 2, axis=3)
    right, left = (tf.reduce_sum(half, (1, 2, 3, 4)) for half in halves)
    return _outputs(0.05 + 0.9 * right / tf.maximum(right + left, 1.0))


def _marker(image):
    inside = tf.cast(image > LIMIT, tf.float32)
    return {"probabilities": tf.concat([1 - inside, inside], axis=-1)}


def _bright(image):
    return _outputs(tf.reduce_mean(image, (1, 2, 3)) / 255)


def _map(image, class_index):
    del class_index
    return {"map": tf.nn.relu(image[..., 0] - LIMIT)}


def _map_of_bright(image, class_index):
    del class_index
    return {"map": tf.nn.relu(image[..., 0] - 200.0)}


_SIGNATURES = {"side": (_side, _map), "marker": (_marker, None), "bright": (_bright, _map_of_bright)}
