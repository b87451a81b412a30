"""Numbers of an image that tell a familiar scan from another kind of scan, as TensorFlow ops.

The same function is used on the training side and in the exported graph. Each number is on a scale on
which equal factors are equal distances, so that one score can compare all of them.
"""

import numpy as np
import tensorflow as tf

from mri_tf.store.record import NOMINAL
from mri_tf.task import Task

# Of one channel, in the order of `image_statistics`: what is compared, in words.
STATISTICS = (
    "mean divided by SD", "SD", "roughness", "coarseness", "share at the maximum",
    "share above the mean", "range divided by SD",
)  # fmt: skip
CONSTANT_SD = 1e-6  # an SD up to this counts as 0
SMALLEST = 1e-6  # of a positive number, before its logarithm
SMALLEST_SHARE = 1e-3  # added to the share of voxels at the maximum
AT_MAXIMUM = 0.003  # of the range: voxels this close to the maximum are at it


def image_statistics(images: tf.Tensor) -> tf.Tensor:
    """Returns the STATISTICS of each channel.

    Roughness is the mean absolute difference of neighbouring voxels divided by the SD: 1.13 for white
    noise, far less for anatomy. Coarseness is that difference two voxels apart divided by that one voxel
    apart: 1 for white noise. Means are compared by asinh, shares by their logit or logarithm, positive
    numbers by their logarithm.

    Args:
        images: (batch, *grid, channels) in the task's unit; the grid's shape must be known.

    Returns:
        (batch, channels, statistics) float32. NaN where a channel has one value only, so that there is
        nothing to compare; infinite where it holds NaN or an infinite value.
    """
    images = tf.cast(images, tf.float32)
    axes = list(range(1, images.shape.rank - 1))
    finite = tf.reduce_all(tf.math.is_finite(images), axes)  # (batch, channels)
    images = tf.where(tf.math.is_finite(images), images, 0.0)
    mean, sd = tf.reduce_mean(images, axes, keepdims=True), tf.math.reduce_std(images, axes)
    lowest, highest = tf.reduce_min(images, axes), tf.reduce_max(images, axes, keepdims=True)
    width = tf.reshape(highest, tf.shape(sd)) - lowest
    near = highest - AT_MAXIMUM * tf.reshape(width, tf.shape(highest))
    at_maximum = tf.reduce_mean(tf.cast(images >= near, tf.float32), axes)
    above = tf.reduce_mean(tf.cast(images > mean, tf.float32), axes)
    step = _step(images, axes, 1)
    divisor = tf.maximum(sd, CONSTANT_SD)
    values = tf.stack(
        [
            tf.asinh(tf.reshape(mean, tf.shape(sd)) / divisor),
            tf.math.log(divisor),
            _log(step / divisor),
            _log(_step(images, axes, 2) / tf.maximum(step, SMALLEST)),
            tf.math.log(at_maximum + SMALLEST_SHARE),
            _log(above) - _log(1 - above),
            _log(width / divisor),
        ],
        axis=-1,
    )  # (batch, channels, statistics)
    values = tf.where((sd > CONSTANT_SD)[..., None], values, np.nan)
    return tf.where(finite[..., None], values, np.inf)


def statistic_names(task: Task) -> tuple[tuple[str, ...], int]:
    """Names of the columns of `statistics_of`, and how many of them, the first, a graph computes."""
    names = [f"{statistic} of {channel}" for channel in task.image_channels for statistic in STATISTICS]
    if task.spacing:
        names += ["spacing between rows in mm", "spacing between columns in mm"]
    sizes = [f"{what} along {axis} in mm" for what in ("source spacing", "source extent")
             for axis in "xyz"]  # fmt: skip
    return (*names, *sizes), len(names)


def statistics_of(
    images: tf.Tensor, spacing_mm: tf.Tensor | None, facts: list[dict]
) -> np.ndarray:
    """The intensities and sizes of records, on the scale on which they are compared.

    Args:
        images: (batch, *grid, channels) as an exported model is given them.
        spacing_mm: (batch, 2) between rows and columns where the task resamples slices, else None.
        facts: of each record; they hold the shape and the affine of the original image, where known.

    Returns:
        (batch, statistics) float64 in the order of `statistic_names`; NaN for what is not known.
    """
    return np.concatenate(
        [served_statistics(images, spacing_mm).numpy(), [_source_sizes(each) for each in facts]], axis=1
    )


def served_statistics(images: tf.Tensor, spacing_mm: tf.Tensor | None) -> tf.Tensor:
    """The first columns of `statistics_of`, (batch, statistics) float32, which a graph computes."""
    values = image_statistics(images)
    flat = tf.reshape(values, (-1, values.shape[1] * values.shape[2]))
    if spacing_mm is None:
        return flat
    known = tf.math.is_finite(spacing_mm)
    sizes = tf.where(known, _log(tf.where(known, spacing_mm, 1.0)), np.inf)
    return tf.concat([flat, tf.cast(sizes, tf.float32)], axis=1)


def _source_sizes(facts: dict) -> list[float]:
    """Logarithms of spacing and extent in mm of the original image along x, y, z in RAS; NaN where the
    file does not say its spacing."""
    if not {"source_shape", "source_affine"} <= set(facts) or facts.get("spacing") == NOMINAL:
        return [np.nan] * 6
    affine = np.array(facts["source_affine"], float).reshape(4, 4)
    spacing_mm = np.linalg.norm(affine[:3, :3], axis=0)
    extent_mm = spacing_mm * np.array(facts["source_shape"], float)
    return np.log(np.maximum([*spacing_mm, *extent_mm], SMALLEST)).tolist()


def plain_value(name: str, value: float) -> float:
    """A statistic as a person reads it, from its value in `statistics_of`."""
    if name.startswith(STATISTICS[0]):
        return float(np.sinh(value))
    if name.startswith("share at the maximum"):
        return float(max(np.exp(value) - SMALLEST_SHARE, 0.0))
    if name.startswith("share above the mean"):
        return float(1 / (1 + np.exp(-value)))
    return float(np.exp(value))


def _step(images: tf.Tensor, axes: list[int], apart: int) -> tf.Tensor:
    """(batch, channels) mean absolute difference of voxels `apart` along an axis, mean of the axes."""
    steps = []
    for axis in axes:
        size = images.shape[axis]
        if size > apart:
            after = tf.gather(images, tf.range(apart, size), axis=axis)
            before = tf.gather(images, tf.range(size - apart), axis=axis)
            steps.append(tf.reduce_mean(tf.abs(after - before), axes))
    if not steps:
        return tf.zeros_like(tf.reduce_min(images, axes))
    return tf.add_n(steps) / len(steps)


def _log(values: tf.Tensor) -> tf.Tensor:
    return tf.math.log(tf.maximum(values, SMALLEST))
