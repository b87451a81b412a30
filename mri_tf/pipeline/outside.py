"""What an image shows where it was moved, turned or shrunk away from the border of its grid."""

import tensorflow as tf

from mri_tf.core.errors import InputError
from mri_tf.pipeline.elastic import NAME as ELASTIC
from mri_tf.pipeline.intensity_changes import LOW, MEAN

NAME = "outside"
BORDER = "border"
FILLS = (BORDER, MEAN, LOW)


def outside(*, fill: str = BORDER) -> str:
    """What comes from outside: the nearest border voxel, or the mean or least value of the record's
    channel."""
    return fill


def check_outside(augment: dict, moves: set[str]) -> None:
    """Raises InputError for an unknown fill, or where nothing moves an image.

    Args:
        augment: the task's.
        moves: the operations of the geometry.
    """
    if NAME not in augment:
        return
    fill = outside(**augment[NAME])
    if fill not in FILLS:
        raise InputError(
            f"augment.{NAME}.fill must be {', '.join(FILLS[:-1])} or {FILLS[-1]}.", fill,
            "Change it in the task.",
        )  # fmt: skip
    moves = moves | {ELASTIC}
    if not moves & augment.keys():
        raise InputError(
            f"augment.{NAME} says what comes from outside, but nothing moves the images.",
            f"augment {', '.join(augment)}", f"Take it out, or add one of {', '.join(sorted(moves))}.",
        )  # fmt: skip


def fill_of(images: tf.Tensor, augment: dict, keep_zero: bool = False) -> tf.Tensor | None:
    """The value of what comes from outside, (batch, channels); None where the border repeats.

    Args:
        images: float32 (batch, [depth,] rows, columns, channels), before they are moved.
        augment: the task's.
        keep_zero: of standardised records, whose outside is 0 with every fill.
    """
    fill = outside(**augment.get(NAME, {}))
    if fill == BORDER:
        return None
    value = tf.reduce_mean if fill == MEAN else tf.reduce_min
    found = value(images, list(range(1, images.shape.rank - 1)))
    return tf.zeros_like(found) if keep_zero else found
