"""Whether an image is unlike those a network was trained on: by its intensities and by its size.

Three numbers a channel, of the whole image as it is served: mean, standard deviation, and roughness,
the mean absolute difference of neighbours in standard deviations (1.13 of white noise, far less of
anatomy, 0 of a constant). Limits are fitted on the training side. What lies outside is unlike the
training; what lies inside may be unlike it still: nothing here looks at anatomy.
"""

import numpy as np
import tensorflow as tf

from mri_tf.store.record import NOMINAL

STATISTICS = ("mean", "sd", "roughness")
TAIL = 0.005  # of the training records lies beyond either quantile
MARGIN = 0.25  # of the distance between the quantiles, added on both ends
# Added as well, so that a handful of alike records gives no limit of no width: of the mean a part of
# the median SD, of what is positive a factor.
MEAN_SLACK, FACTOR_SLACK = 0.25, 1.25
EPSILON = 1e-6  # an SD or a roughness of no more is 0
OUTSIDE = "out_of_distribution"  # the output of a served model
SPACING = "spacing_mm"  # of rows and columns, where it is served


def image_statistics(images: np.ndarray) -> np.ndarray:
    """(batch, *grid, channels) -> (batch, channels, 3) float64, in the order of STATISTICS."""
    images = np.asarray(images, np.float64)
    axes = tuple(range(1, images.ndim - 1))
    with np.errstate(invalid="ignore", over="ignore"):
        mean, sd = images.mean(axis=axes), images.std(axis=axes)
        steps = [np.abs(np.diff(images, axis=a)).mean(axis=axes) for a in axes if images.shape[a] > 1]
        step = np.mean(steps, axis=0) if steps else np.zeros_like(sd)
        roughness = np.divide(step, sd, out=np.zeros_like(sd), where=~(sd <= EPSILON))
    return np.stack([mean, sd, roughness], axis=-1)


def statistics_in_graph(images: tf.Tensor) -> tf.Tensor:
    """The same as ops: (batch, *grid, channels) float32 of a fixed grid -> (batch, channels, 3)."""
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
    """Limits from the training side: JSON values, each limit (low, high).

    statistics (records, channels, 3); sizes: name -> (records, axes) of positive numbers, such as
    `source_shape` or `spacing_mm`. Quantiles widened by MARGIN and a slack; what is positive is
    widened as a factor.
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
    """Limits of what is positive, widened in its logarithm; from 0 where 0 was trained on."""
    low, high = _widened(np.log(np.maximum(values, EPSILON)), np.log(FACTOR_SLACK))
    smallest = float(np.quantile(values, TAIL))
    return [0.0 if smallest <= EPSILON else float(np.exp(low)), float(np.exp(high))]


def source_sizes(facts: dict) -> dict[str, tuple[float, ...]]:
    """What a record's facts say of its source's grid, along x, y, z in RAS: `source_shape` in voxels
    and `source_spacing_mm`, where they are known."""
    if "source_shape" not in facts:
        return {}
    found = {"source_shape": tuple(float(size) for size in facts["source_shape"])}
    if "source_affine" in facts and facts.get("spacing") != NOMINAL:
        affine = np.array(facts["source_affine"], float).reshape(4, 4)
        found["source_spacing_mm"] = tuple(np.linalg.norm(affine[:3, :3], axis=0).tolist())
    return found


def reasons(
    image: np.ndarray, ranges: dict, sizes: dict[str, tuple[float, ...]] | None = None
) -> list[str]:
    """Why one image (*grid, channels) is outside what `fit_ranges` gave; empty where it is inside.

    `sizes` are those known of it, by the names they were fitted under.
    """
    found = []
    values = image_statistics(np.asarray(image)[None])[0]  # (channels, 3)
    for (channel, limits), own in zip(ranges["intensity"].items(), values, strict=True):
        for name, value in zip(STATISTICS, own, strict=True):
            found += _reason(f"{name} of {channel}", value, limits[name])
    for name, value in (sizes or {}).items():
        limits = ranges["size"].get(name, [])
        for axis, (limit, one) in enumerate(zip(limits, value, strict=False), 1):
            found += _reason(f"{name} along axis {axis}", one, limit)
    return found


def _reason(what: str, value: float, limit: list[float]) -> list[str]:
    low, high = limit
    if low <= value <= high:  # not so for NaN
        return []
    return [f"{what} is {value:.4g}, outside the training's {low:.4g} to {high:.4g}"]


def outside_in_graph(images: tf.Tensor, ranges: dict, spacing_mm: tf.Tensor | None = None) -> tf.Tensor:
    """(batch,) int32: 1 where an image (batch, *grid, channels), or its `spacing_mm` (batch, axes),
    is outside, else 0."""
    limits = np.array(
        [[own[name] for name in STATISTICS] for own in ranges["intensity"].values()], np.float32
    )  # (channels, 3, 2)
    inside = tf.reduce_all(_within(statistics_in_graph(images), limits), axis=[1, 2])
    if spacing_mm is not None and SPACING in ranges["size"]:
        own = np.array(ranges["size"][SPACING], np.float32)  # (axes, 2)
        inside &= tf.reduce_all(_within(spacing_mm, own), axis=1)
    return 1 - tf.cast(inside, tf.int32)


def _within(values: tf.Tensor, limits: np.ndarray) -> tf.Tensor:
    return (values >= limits[..., 0]) & (values <= limits[..., 1])
