"""Augmentation of volumes: `draw_changes` draws random changes, `apply_changes` applies them.

Volumes are (depth, rows, columns, channels): head first, front to back, the patient's right to
left. Turns, shifts, zooms and flips of a record become one matrix, so it is interpolated once.
"""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import tensorflow as tf

from mri_tf.core.errors import InputError
from mri_tf.pipeline.augment_ops import record_uniforms
from mri_tf.pipeline.augment_scan import change_scan
from mri_tf.pipeline.contrast import apply_intensities, random_contrast, random_gamma
from mri_tf.pipeline.elastic import NAME as ELASTIC
from mri_tf.pipeline.elastic import draw_displacements
from mri_tf.pipeline.known import Known
from mri_tf.pipeline.outside import fill_of
from mri_tf.pipeline.resample3d import resample_linear, resample_nearest

AXES = ("head_foot", "front_back", "left_right")  # along depth, rows, columns
PLANES = ((1, 2), (2, 0), (0, 1))  # a turn about an axis moves the first of these to the second
RADIANS = 3.141592653589793 / 180
AFFINE = "random_affine3d"


class Changes(NamedTuple):
    """What is done to each record of a batch."""

    matrix: tf.Tensor  # (batch, 4, 4) result voxel -> source voxel, from the grid's centre
    changed: tf.Tensor  # (batch,) whether the record is changed at all
    intensities: dict[str, tf.Tensor]  # name -> (batch,) of contrast and gamma; 1 changes nothing
    displacement: tf.Tensor | None = None  # (batch, depth, rows, columns, 3) voxels, of elastic changes


def random_affine3d(
    uniforms: tf.Tensor,
    size: tuple[int, int, int],
    max_degrees: float | tuple[float, float, float] = 0.0,
    max_shift_fraction: float | tuple[float, float, float] = 0.0,
    zoom: tuple[float, float] = (1.0, 1.0),
    spacing_mm: tuple[float, float, float] = (1.0, 1.0, 1.0),
) -> tf.Tensor:
    """Rotation about three axes in mm, shift (of the grid's size) and zoom about the centre.

    Three numbers are of depth, rows and columns; degrees are about that axis, positive as
    np.rot90 turns its plane of PLANES. Where the task gives no spacing it is each record's own,
    (batch, 3). uniforms (batch, 7) in [0, 1) -> (batch, 4, 4).
    """
    angles = (2 * uniforms[:, :3] - 1) * tf.constant(_three(max_degrees)) * RADIANS
    limits = tf.constant(_three(max_shift_fraction)) * tf.constant(size, tf.float32)
    shifts = (2 * uniforms[:, 3:6] - 1) * limits  # voxels
    # A zoom of 1.1 enlarges: the result's voxels lie 1 / 1.1 apart in the source.
    scale = 1 / (zoom[0] + uniforms[:, 6] * (zoom[1] - zoom[0]))
    turns = [_turn(axis, tf.cos(angles[:, axis]), tf.sin(angles[:, axis])) for axis in range(3)]
    turned = tf.matmul(tf.matmul(turns[0], turns[1]), turns[2]) * scale[:, None, None]
    spacing = tf.reshape(tf.cast(spacing_mm, tf.float32), (-1, 3))  # (1 or batch, 3)
    in_voxels = turned * (spacing[:, None, :] / spacing[:, :, None])  # voxels -> mm, turned, -> voxels
    return _homogeneous(in_voxels, -shifts)


def random_flip(
    uniforms: tf.Tensor,
    size: tuple[int, int, int],
    axis: str = "left_right",
    probability: float = 0.5,
) -> tf.Tensor:
    """Mirrors one anatomical axis with a probability; uniforms (batch, 1) -> (batch, 4, 4).

    Only for anatomy that is symmetric: left and right of a brain, not of a heart.
    """
    sign = tf.where(uniforms[:, 0] < probability, -1.0, 1.0)
    one = tf.ones_like(sign)
    diagonal = [sign if name == axis else one for name in AXES]
    return tf.linalg.diag(tf.stack([*diagonal, one], axis=-1))


def random_rot90(
    uniforms: tf.Tensor, size: tuple[int, int, int], axes: tuple[str, ...] = ("head_foot",)
) -> tf.Tensor:
    """No, one, two or three quarter turns about each of `axes`, alike likely, exact to the voxel.

    uniforms (batch, 3), one an axis -> (batch, 4, 4).
    """
    turned = tf.eye(3, batch_shape=[tf.shape(uniforms)[0]])
    for axis, name in enumerate(AXES):
        if name in axes:
            quarters = tf.cast(tf.floor(uniforms[:, axis] * 4), tf.int32)
            cos = tf.gather([1.0, 0.0, -1.0, 0.0], quarters)  # of radians they would not be exact
            sin = tf.gather([0.0, 1.0, 0.0, -1.0], quarters)
            turned = tf.matmul(turned, _turn(axis, cos, sin))
    return _homogeneous(turned, tf.zeros_like(uniforms))


GEOMETRY: dict[str, tuple[Callable, int]] = {  # name -> (function, uniforms a record)
    "random_affine3d": (random_affine3d, 7),
    "random_flip": (random_flip, 1),
    "random_rot90": (random_rot90, 3),
}
OPERATIONS: dict[str, tuple[Callable, int]] = {
    **GEOMETRY, "random_contrast": (random_contrast, 1), "random_gamma": (random_gamma, 1),
}  # fmt: skip


def draw_changes(
    seeds: tf.Tensor, size: tuple[int, int, int], augment: dict, probability: float,
    spacing_mm: tf.Tensor | None = None,
) -> Changes:  # fmt: skip
    """The changes of each record from its seed, (batch, 2); some records keep all they have.

    With `probability` a record is changed at all; then every operation of `augment` applies, those
    of the geometry in the order they are named. `spacing_mm` (batch, 3) is the grid's; 1 without it.
    """
    if spacing_mm is None:
        spacing_mm = tf.ones((tf.shape(seeds)[0], 3))
    augment = {name: values for name, values in augment.items() if name in OPERATIONS}
    counts = [OPERATIONS[name][1] for name in augment]
    uniforms = record_uniforms(seeds, 1 + sum(counts))  # (batch, 1 + parameters)
    identity = tf.eye(4, batch_shape=[tf.shape(seeds)[0]])
    changed, matrix, intensities, used = uniforms[:, 0] < probability, identity, {}, 1
    for (name, arguments), count in zip(augment.items(), counts, strict=True):
        own = {"spacing_mm": spacing_mm} | arguments if name == AFFINE else arguments
        drawn = partial(OPERATIONS[name][0], **own)(uniforms[:, used : used + count], size)
        if name in GEOMETRY:
            matrix = tf.matmul(matrix, drawn)
        else:
            intensities[name] = tf.where(changed, drawn, 1.0)
        used += count
    return Changes(tf.where(changed[:, None, None], matrix, identity), changed, intensities)


def apply_changes(
    volumes: tf.Tensor, labels: tf.Tensor | None, changes: Changes, augment: dict, known: Known
) -> tuple[tf.Tensor, tf.Tensor | None]:
    """Contrast and gamma, then the geometry: volumes by linear interpolation, their labels by the
    nearest voxel.

    volumes (batch, depth, rows, columns, channels) -> float32 of that shape; labels (batch, depth,
    rows, columns) of any dtype. What comes from outside is as `augment` says.
    """
    volumes = tf.cast(volumes, tf.float32)
    volumes = apply_intensities(volumes, changes.intensities, known, augment)
    if GEOMETRY.keys() & augment.keys() or ELASTIC in augment:
        places = changes.matrix, changes.displacement
        fill = fill_of(volumes, augment, known.keep_zero)
        volumes = resample_linear(volumes, *places, fill)
        labels = None if labels is None else resample_nearest(labels, *places, fill is not None)
    return volumes, labels


def augment_volumes(
    volumes: tf.Tensor, labels: tf.Tensor | None, seeds: tf.Tensor, augment: dict, probability: float,
    known: Known,
) -> tuple[tf.Tensor, tf.Tensor | None]:  # fmt: skip
    """Volumes and the label maps of a segmentation as they are seen once: drawn, then applied."""
    changes = draw_changes(seeds, known.size, augment, probability, known.spacing_mm)
    displacement = draw_displacements(seeds, known, augment, changes.changed)
    changes = changes._replace(displacement=displacement)
    volumes, labels = apply_changes(volumes, labels, changes, augment, known)
    return change_scan(volumes, seeds, known, augment, changes.changed), labels


def check_values(augment: dict, size: tuple[int, int, int]) -> None:
    """Raises InputError for values that no volume of this size can be changed by."""
    affine = {"zoom": (1.0, 1.0), "spacing_mm": (1.0,), **augment.get("random_affine3d", {})}
    low, high = affine["zoom"]
    _require(0 < low <= high, "random_affine3d.zoom", "is (low, high), both positive", (low, high))
    spacing = affine["spacing_mm"]
    _require(min(spacing) > 0, "random_affine3d.spacing_mm", "is positive", spacing)
    axis = augment.get("random_flip", {}).get("axis", AXES[-1])
    _require(axis in AXES, "random_flip.axis", f"is one of {', '.join(AXES)}", axis)
    axes = augment.get("random_rot90", {}).get("axes", ())
    _require(set(axes) <= set(AXES), "random_rot90.axes", f"are of {', '.join(AXES)}", axes)
    if "random_rot90" in augment:
        for name in axes or AXES[:1]:
            plane = tuple(size[one] for one in sorted(PLANES[AXES.index(name)]))
            rule = f"turns about {name} on a grid that is square across it"
            _require(plane[0] == plane[1], "random_rot90", rule, f"{plane[0]} x {plane[1]} voxels")


def _require(holds: bool, name: str, rule: str, received: object) -> None:
    if not holds:
        raise InputError(f"augment.{name} {rule}.", received, "Change it in the task.")


def _turn(axis: int, cos: tf.Tensor, sin: tf.Tensor) -> tf.Tensor:
    """Result -> source of a turn about an axis: (batch, 3, 3) from cosines and sines (batch,)."""
    first, second = PLANES[axis]
    rows = [[tf.ones_like(cos) if row == column else tf.zeros_like(cos) for column in range(3)]
            for row in range(3)]  # fmt: skip
    rows[first][first], rows[first][second] = cos, sin
    rows[second][first], rows[second][second] = -sin, cos
    return tf.stack([tf.stack(row, axis=-1) for row in rows], axis=-2)


def _homogeneous(linear: tf.Tensor, offset: tf.Tensor) -> tf.Tensor:
    """(batch, 3, 3) and (batch, 3) as (batch, 4, 4)."""
    upper = tf.concat([linear, offset[:, :, None]], axis=-1)  # (batch, 3, 4)
    last = tf.zeros_like(upper[:, :1]) + tf.constant([0.0, 0.0, 0.0, 1.0])
    return tf.concat([upper, last], axis=1)


def _three(value: float | tuple[float, float, float]) -> tuple[float, float, float]:
    return tuple(value) if isinstance(value, (tuple, list)) else (value,) * 3
