"""Tells whether an image is unlike the training side, by its intensities and its size.

Each channel of an image has three numbers: mean, standard deviation (SD), and roughness, the mean
absolute difference of neighbouring voxels divided by the SD (1.13 for white noise, far less for anatomy,
0 for a constant). Their limits are fitted on the training side. An image outside the limits is unlike
the training side; one inside them may still be, because nothing here looks at anatomy.
"""

import numpy as np
import tensorflow as tf

from mri_tf.store.record import NOMINAL

STATISTICS = ("mean", "sd", "roughness")
TAIL = 0.005  # share of the training records beyond each of the two quantiles
MARGIN = 0.25  # share of the distance between the quantiles, added at both ends
# Added as well, so that a few similar records do not give limits without width: to means this share of
# the median SD, to positive numbers this factor.
MEAN_SLACK, FACTOR_SLACK = 0.25, 1.25
EPSILON = 1e-6  # an SD or a roughness up to this counts as 0
OUTSIDE = "out_of_distribution"  # name of the output of an exported model
SPACING = "spacing_mm"  # name of its input: between rows and between columns


def image_statistics(images: np.ndarray) -> np.ndarray:
    """Returns STATISTICS (batch, channels, 3) float64 of images (batch, *grid, channels)."""
    images = np.asarray(images, np.float64)
    axes = tuple(range(1, images.ndim - 1))
    with np.errstate(invalid="ignore", over="ignore"):
        mean, sd = images.mean(axis=axes), images.std(axis=axes)
        steps = [np.abs(np.diff(images, axis=a)).mean(axis=axes) for a in axes if images.shape[a] > 1]
        step = np.mean(steps, axis=0) if steps else np.zeros_like(sd)
        roughness = np.divide(step, sd, out=np.zeros_like(sd), where=~(sd <= EPSILON))
    return np.stack([mean, sd, roughness], axis=-1)


def statistics_in_graph(images: tf.Tensor) -> tf.Tensor:
    """The same as TensorFlow ops, in float32; the grid's shape must be known."""
    axes = list(range(1, images.shape.rank - 1))
    mean, sd = tf.reduce_mean(images, axes), tf.math.reduce_std(images, axes)
    steps = []
    for axis in axes:
        size = images.shape[axis]
        if size > 1:
            after = tf.gather(images, tf.range(1, size), axis=axis)
            before = tf.gather(images, tf.range(size - 1), axis=axis)
            steps.append(tf.reduce_mean(tf.abs(after - before), axes))
    step = tf.add_n(steps) / len(steps) if steps else tf.zeros_like(sd)
    roughness = tf.where(sd <= EPSILON, 0.0, step / sd)
    return tf.stack([mean, sd, roughness], axis=-1)


def fit_ranges(statistics: np.ndarray, channels: tuple[str, ...], sizes: dict[str, np.ndarray]) -> dict:
    """Fits the limits to the training side: quantiles, widened by MARGIN and a slack.

    Args:
        statistics: (records, channels, 3) of `image_statistics`.
        channels: their names.
        sizes: name -> (records, axes) of positive numbers, such as `source_shape` or `spacing_mm`.

    Returns:
        JSON values: `records`, their number; `intensity`, channel -> statistic -> [low, high]; and
        `size`, name -> [low, high] of each axis.
    """
    intensity = {}
    for channel, values in zip(channels, np.moveaxis(statistics, 1, 0), strict=True):
        means, sds, roughness = values.T
        slack = MEAN_SLACK * float(np.median(sds))
        intensity[channel] = {
            "mean": _widened(means, slack), "sd": _factors(sds), "roughness": _factors(roughness)
        }  # fmt: skip
    return {
        "records": len(statistics),
        "intensity": intensity,
        "size": {name: [_factors(axis) for axis in values.T] for name, values in sizes.items()},
    }


def _widened(values: np.ndarray, slack: float) -> list[float]:
    low, high = np.quantile(values, [TAIL, 1 - TAIL])
    margin = MARGIN * (high - low) + slack
    return [float(low - margin), float(high + margin)]


def _factors(values: np.ndarray) -> list[float]:
    """Limits of positive values, widened in the logarithm; from 0 where training values are 0."""
    low, high = _widened(np.log(np.maximum(values, EPSILON)), np.log(FACTOR_SLACK))
    smallest = float(np.quantile(values, TAIL))
    return [0.0 if smallest <= EPSILON else float(np.exp(low)), float(np.exp(high))]


def source_sizes(facts: dict) -> dict[str, tuple[float, ...]]:
    """Returns `source_shape`, in voxels, and `source_spacing_mm` of the original image along x, y, z in
    RAS, where a record's facts have them."""
    if "source_shape" not in facts:
        return {}
    sizes = {"source_shape": tuple(float(size) for size in facts["source_shape"])}
    if "source_affine" in facts and facts.get("spacing") != NOMINAL:
        affine = np.array(facts["source_affine"], float).reshape(4, 4)
        sizes["source_spacing_mm"] = tuple(np.linalg.norm(affine[:3, :3], axis=0).tolist())
    return sizes


def reasons(
    image: np.ndarray, ranges: dict, sizes: dict[str, tuple[float, ...]] | None = None
) -> list[str]:
    """Says why an image is unlike the training side; empty where it is inside all limits.

    Args:
        image: (*grid, channels) in the task's unit.
        ranges: of `fit_ranges`.
        sizes: the image's sizes that are known, by the names used in `fit_ranges`.
    """
    statistics = image_statistics(np.asarray(image)[None])[0]  # (channels, 3)
    checks = [
        (f"{name} of {channel}", value, limits[name])
        for (channel, limits), values in zip(ranges["intensity"].items(), statistics, strict=True)
        for name, value in zip(STATISTICS, values, strict=True)
    ] + [
        (f"{name} along axis {axis}", value, limit)
        for name, axes in (sizes or {}).items()
        for axis, (limit, value) in enumerate(zip(ranges["size"].get(name, []), axes, strict=False), 1)
    ]
    return [
        f"{quantity} is {value:.4g}, outside the training range of {low:.4g} to {high:.4g}"
        for quantity, value, (low, high) in checks if not low <= value <= high  # NaN is outside
    ]  # fmt: skip


def outside_in_graph(images: tf.Tensor, ranges: dict, spacing_mm: tf.Tensor | None = None) -> tf.Tensor:
    """Returns (batch,) int32: 1 where an image (batch, *grid, channels), or its `spacing_mm` (batch, 2),
    is outside the limits of `fit_ranges`, else 0."""
    channels = ranges["intensity"].values()
    limits = np.array(
        [[channel[name] for name in STATISTICS] for channel in channels], np.float32
    )  # (channels, 3, 2)
    inside = tf.reduce_all(_within(statistics_in_graph(images), limits), axis=[1, 2])
    if spacing_mm is not None and SPACING in ranges["size"]:
        limits = np.array(ranges["size"][SPACING], np.float32)  # (axes, 2)
        inside &= tf.reduce_all(_within(spacing_mm, limits), axis=1)
    return 1 - tf.cast(inside, tf.int32)


def _within(values: tf.Tensor, limits: np.ndarray) -> tf.Tensor:
    return (values >= limits[..., 0]) & (values <= limits[..., 1])
