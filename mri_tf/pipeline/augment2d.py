"""Augmentation of 2D images: one function draws random changes, pure functions apply them.

Every random number of a record comes from its own stateless seed, so a record is changed alike
in tf.data and in the train step, whatever the batch around it.
"""

from collections.abc import Callable
from typing import NamedTuple

import tensorflow as tf

from mri_tf.core.arguments import check_arguments
from mri_tf.core.errors import InputError
from mri_tf.pipeline import augment3d, augment_scan
from mri_tf.pipeline.augment_ops import record_uniforms
from mri_tf.pipeline.contrast import apply_intensities, check_intensities, random_contrast, random_gamma
from mri_tf.pipeline.elastic import NAME as ELASTIC
from mri_tf.pipeline.elastic import check_elastic, draw_displacements, random_elastic
from mri_tf.pipeline.known import Known
from mri_tf.pipeline.mixup import NAME as MIXUP
from mri_tf.pipeline.mixup import mixup
from mri_tf.pipeline.outside import NAME as OUTSIDE
from mri_tf.pipeline.outside import check_outside, fill_of, outside
from mri_tf.pipeline.resample2d import resample_linear, resample_nearest
from mri_tf.pipeline.sequence_dropout import NAME as SEQUENCE_DROPOUT
from mri_tf.pipeline.sequence_dropout import sequence_dropout

FLIP_AXES = ("columns", "rows")


class Changes(NamedTuple):
    """What is done to each record of a batch."""

    transforms: tf.Tensor  # (batch, 8) projective, result pixel -> source pixel
    changed: tf.Tensor  # (batch,) whether the record is changed at all
    intensities: dict[str, tf.Tensor]  # name -> (batch,) of contrast and gamma; 1 changes nothing


def random_affine(
    uniforms: tf.Tensor,
    size: tuple[int, int],
    max_degrees: float = 0.0,
    max_shift_fraction: float = 0.0,
    zoom: tuple[float, float] = (1.0, 1.0),
) -> tf.Tensor:
    """Rotation, shift (of the image's size) and zoom about the centre.

    uniforms (batch, 4) in [0, 1) -> (batch, 3, 3) from places in the result to places in the
    source, both (column, row, 1) in pixels.
    """
    rows, columns = size
    angle = (2 * uniforms[:, 0] - 1) * max_degrees * (3.141592653589793 / 180)
    shift_columns = (2 * uniforms[:, 1] - 1) * max_shift_fraction * columns
    shift_rows = (2 * uniforms[:, 2] - 1) * max_shift_fraction * rows
    # A zoom of 1.1 enlarges: the result's pixels lie 1 / 1.1 apart in the source.
    scale = 1 / (zoom[0] + uniforms[:, 3] * (zoom[1] - zoom[0]))
    cos, sin = tf.cos(angle) * scale, tf.sin(angle) * scale
    return _about_centre(cos, -sin, sin, cos, shift_columns, shift_rows, size)


def random_flip(
    uniforms: tf.Tensor, size: tuple[int, int], axis: str = "columns", probability: float = 0.5
) -> tf.Tensor:
    """Mirrors columns (left and right) or rows with a probability; uniforms (batch, 1).

    Only for anatomy that is symmetric: a mirrored heart is another anatomy.
    """
    sign = tf.where(uniforms[:, 0] < probability, -1.0, 1.0)
    one, zero = tf.ones_like(sign), tf.zeros_like(sign)
    along_columns, along_rows = (sign, one) if axis == "columns" else (one, sign)
    return _about_centre(along_columns, zero, zero, along_rows, zero, zero, size)


GEOMETRY: dict[str, tuple[Callable, int]] = {  # name -> (function, uniforms a record)
    "random_affine": (random_affine, 4),
    "random_flip": (random_flip, 1),
}
OPERATIONS: dict[str, tuple[Callable, int]] = {
    **GEOMETRY, "random_contrast": (random_contrast, 1), "random_gamma": (random_gamma, 1),
}  # fmt: skip


def check_augment(augment: dict, image_shape: tuple[int, ...]) -> None:
    """Raises InputError for an operation, argument or value that images of this shape do not have."""
    operations, others = OPERATIONS, augment3d.OPERATIONS
    if len(image_shape) == 3:
        operations, others = others, operations
    operations = {
        **operations, **augment_scan.OPERATIONS, ELASTIC: (random_elastic, 0),
        SEQUENCE_DROPOUT: (sequence_dropout, 0), MIXUP: (mixup, 0),
        OUTSIDE: (outside, 0),
    }  # fmt: skip
    for name, arguments in augment.items():
        if name not in operations:
            rule = (
                f"augment.{name} cannot be used for {len(image_shape)}D images."
                if name in others
                else "augment must name operations of mri_tf/pipeline/augment2d.py, augment3d.py or "
                "augment_scan.py."
            )
            raise InputError(
                rule, f"{name}, image_shape {image_shape}", f"Known: {', '.join(operations)}."
            )
        check_arguments(f"augment.{name}", operations[name][0], arguments)
    augment_scan.check_scan_changes(augment)
    check_elastic(augment)
    check_outside(augment, GEOMETRY.keys() | augment3d.GEOMETRY.keys())
    low, high = augment.get("random_affine", {}).get("zoom", (1.0, 1.0))
    if not 0 < low <= high:
        raise InputError(
            "augment.random_affine.zoom must be (low, high), both positive.", f"({low}, {high})",
            "Change it in the task.",
        )  # fmt: skip
    if len(image_shape) == 3:
        augment3d.check_values(augment, image_shape)
    elif augment.get("random_flip", {}).get("axis", "columns") not in FLIP_AXES:
        raise InputError(
            f"augment.random_flip.axis must be {' or '.join(FLIP_AXES)}.",
            augment["random_flip"]["axis"],
            "Change it in the task.",
        )
    check_intensities(augment)


def draw_changes(
    seeds: tf.Tensor, size: tuple[int, int], augment: dict, probability: float
) -> Changes:
    """The changes of each record from its seed, (batch, 2); some records keep all they have.

    With `probability` a record is changed at all; then every operation of `augment` applies.
    """
    own = [name for name in augment if name in OPERATIONS]
    counts = [OPERATIONS[name][1] for name in own]
    numbers = record_uniforms(seeds, 1 + sum(counts))  # (batch, 1 + parameters)
    changed, *parts = tf.split(numbers, [1, *counts], axis=1)
    changed = changed[:, 0] < probability
    identity = tf.eye(3, batch_shape=[tf.shape(seeds)[0]])
    matrix, intensities = identity, {}
    for name, uniforms in zip(own, parts, strict=True):
        drawn = OPERATIONS[name][0](uniforms, size, **augment[name])
        if name in GEOMETRY:
            matrix = tf.matmul(matrix, drawn)
        else:
            intensities[name] = tf.where(changed, drawn, 1.0)
    matrix = tf.where(changed[:, None, None], matrix, identity)
    return Changes(tf.reshape(matrix, (-1, 9))[:, :8], changed, intensities)


def move(
    images: tf.Tensor, labels: tf.Tensor | None, transforms: tf.Tensor,
    displacement: tf.Tensor | None, fill: tf.Tensor | None,
) -> tuple[tf.Tensor, tf.Tensor | None]:  # fmt: skip
    """The geometry: images by linear interpolation, their labels by the nearest pixel.

    images float32 (batch, rows, columns, channels), labels (batch, rows, columns) of any dtype, both
    returned alike; transforms (batch, 8); displacement (batch, rows, columns, 2) along rows and columns,
    in pixels; fill (batch, channels) is what comes from outside, None: the nearest border pixel.
    """
    moved = resample_linear(images, transforms, displacement, fill)
    if labels is None:
        return moved, None
    labels = labels[..., None]  # (batch, rows, columns, 1)
    return moved, resample_nearest(labels, transforms, displacement, fill is not None)[..., 0]


def augment_images(
    images: tf.Tensor, labels: tf.Tensor | None, seeds: tf.Tensor, augment: dict, probability: float,
    known: Known,
) -> tuple[tf.Tensor, tf.Tensor | None]:  # fmt: skip
    """Images and the label maps of a segmentation as they are seen once: drawn, then applied.

    known: of the batch, for what changes intensities.
    """
    changes = draw_changes(seeds, known.size, augment, probability)
    images = apply_intensities(images, changes.intensities, known, augment)
    displacement = draw_displacements(seeds, known, augment, changes.changed)
    if GEOMETRY.keys() & augment.keys() or ELASTIC in augment:
        fill = fill_of(images, augment, known.keep_zero)
        images, labels = move(images, labels, changes.transforms, displacement, fill)
    labels = None if labels is None else tf.cast(labels, tf.int32)
    return augment_scan.change_scan(images, seeds, known, augment, changes.changed), labels


def _about_centre(xx, xy, yx, yy, shift_columns, shift_rows, size) -> tf.Tensor:
    """The affine map [[xx, xy], [yx, yy]] about the image's centre, then a shift: (batch, 3, 3)."""
    rows, columns = size
    centre_column, centre_row = (columns - 1) / 2, (rows - 1) / 2
    offset_column = centre_column - xx * centre_column - xy * centre_row - shift_columns
    offset_row = centre_row - yx * centre_column - yy * centre_row - shift_rows
    zero, one = tf.zeros_like(xx), tf.ones_like(xx)
    flat = tf.stack([xx, xy, offset_column, yx, yy, offset_row, zero, zero, one], axis=-1)
    return tf.reshape(flat, (-1, 3, 3))
