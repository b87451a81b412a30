"""Elastic deformation: a smooth field of displacements, read in the one gather of the geometry.

Displacements are drawn on a coarse grid of control points and joined by cubic B-splines, as in free-form
deformation (Rueckert et al. 1999). No displacement is larger than 0.4 times the distance of control
points, below which such a field cannot fold (Choi and Lee 2000).
"""

import string

import numpy as np
import tensorflow as tf

from mri_tf.core.errors import InputError
from mri_tf.pipeline.augment_ops import other_seeds, record_uniforms
from mri_tf.pipeline.known import Known

NAME = "random_elastic"
OWN_SEEDS = 0xE1A5  # keeps these numbers apart from those of other changes
UNFOLDED = 0.4  # of the distance of control points
DEGREE = 3


def random_elastic(
    *, max_mm: float = 4.0, control_points: int = 7, probability: float = 0.5
) -> tuple[float, int, float]:
    """The largest displacement of a control point along each axis, how many of them lie along an axis,
    and the chance of a record that is changed at all."""
    return max_mm, control_points, probability


def check_elastic(augment: dict) -> None:
    """Raises InputError for values that no image can be deformed by."""
    max_mm, points, probability = random_elastic(**augment.get(NAME, {}))
    for name, rule, holds, received in (
        ("max_mm", "0 or more", max_mm >= 0, max_mm),
        ("control_points", "from 5 to 20", 5 <= points <= 20, points),
        ("probability", "from 0 to 1", 0 <= probability <= 1, probability),
    ):
        if not holds:
            raise InputError(
                f"augment.{NAME}.{name} must be {rule}.", received, "Change it in the task."
            )


def draw_displacements(
    seeds: tf.Tensor, known: Known, augment: dict, changed: tf.Tensor
) -> tf.Tensor | None:
    """Displacements of each voxel, (batch, *grid, axes) in voxels; None without `random_elastic`.

    Args:
        seeds: (batch, 2).
        known: of the batch.
        augment: the task's.
        changed: (batch,) whether a record is changed at all; the others have 0.
    """
    if NAME not in augment:
        return None
    max_mm, points, probability = random_elastic(**augment[NAME])
    axes = len(known.size)
    inner = points - 2  # the outermost control points stay, so that the border moves little
    uniforms = record_uniforms(other_seeds(seeds, OWN_SEEDS), 1 + inner**axes * axes)
    drawn = tf.reshape(2 * uniforms[:, 1:] - 1, (-1, *[inner] * axes, axes))
    apart = tf.constant([length / (points - DEGREE) for length in known.size], tf.float32)  # voxels
    most = tf.minimum(max_mm / known.spacing_mm, UNFOLDED * apart)  # (batch, axes)
    most = tf.where((changed & (uniforms[:, 0] < probability))[:, None], most, 0.0)
    control = drawn * tf.reshape(most, (-1, *[1] * axes, axes))
    control = tf.pad(control, [(0, 0), *[(1, 1)] * axes, (0, 0)])
    return displacements(control, known.size)


def displacements(control: tf.Tensor, size: tuple[int, ...]) -> tf.Tensor:
    """The B-spline of control points, at each voxel.

    Args:
        control: (batch, points, points[, points], axes).
        size: of the grid.

    Returns:
        (batch, *grid, axes) in the unit of the control points.
    """
    field = control
    for axis, length in enumerate(size):
        letters = string.ascii_lowercase[: len(size) + 2]
        own = letters[axis + 1]
        weights = tf.constant(spline_weights(length, control.shape[1 + axis]))
        field = tf.einsum(f"z{own},{letters}->{letters.replace(own, 'z')}", weights, field)
    return field


def spline_weights(length: int, points: int) -> np.ndarray:
    """How much each control point counts at each voxel of an axis, (length, points) float32.

    Control points lie evenly, one beyond either end, so that four of them reach every voxel; the weights
    of a voxel sum to 1.
    """
    place = (np.arange(length) + 0.5) / length * (points - DEGREE)  # in distances of control points
    first = np.minimum(np.floor(place).astype(int), points - DEGREE - 1)
    t = place - first
    four = np.stack(
        [(1 - t) ** 3, 3 * t**3 - 6 * t**2 + 4, -3 * t**3 + 3 * t**2 + 3 * t + 1, t**3], axis=1
    ) / 6  # fmt: skip
    weights = np.zeros((length, points), np.float32)
    for number in range(4):
        weights[np.arange(length), first + number] = four[:, number]
    return weights
