"""Applies a patch network to a whole volume by overlapping windows, and blends them.

Along every axis the windows' weights are divided by their sum at each voxel; the weight of a
window in the volume is the product of its three, and those add up to one at every voxel (a product
of sums is the sum of products). So nothing is divided at the end, and the one array that grows
with the volume is the result.
"""

from collections.abc import Callable, Iterator
from itertools import islice, product

import numpy as np
import tensorflow as tf

from mri_tf.core.errors import InputError

BLENDINGS = ("gaussian", "linear")
SIGMA = 1 / 8  # of a Gaussian, in window sides; nnU-Net's (Isensee et al. 2021)
Predict = Callable[[np.ndarray], np.ndarray]


def predict_windows(
    predict: Predict,
    volume: np.ndarray,
    window: tuple[int, int, int],
    *,
    overlap: float = 0.5,
    blending: str = "gaussian",
    batch_size: int = 1,
) -> np.ndarray:
    """(depth, rows, columns, channels) -> (depth, rows, columns, classes) float32.

    `predict` takes (batch, *window, channels), at most `batch_size` windows and fewer in the last
    batch, and gives (batch, *window, classes). Neighbouring windows share at least `overlap` of a
    side. A volume smaller than a window is padded with its border's values, and the result cropped.
    Raises InputError for values out of range, a volume of another rank or a network that gives no
    value a voxel.
    """
    _check(volume, window, overlap, blending, batch_size)
    shape = volume.shape[:3]
    padding = [_padding(size, side) for size, side in zip(shape, window, strict=True)]
    padded = np.pad(volume, (*padding, (0, 0)), mode="edge") if np.any(padding) else volume
    axes = [
        list(_windows_along(size, side, overlap, blending))
        for size, side in zip(padded.shape[:3], window, strict=True)
    ]
    places_left, result = product(*axes), None
    while places := list(islice(places_left, batch_size)):
        patches = np.stack([padded[_box(place)] for place in places])
        outputs = np.asarray(predict(patches))
        if outputs.shape[:-1] != patches.shape[:-1]:
            raise InputError(
                f"The network must give an output of shape {(*patches.shape[:-1], 'classes')}.",
                outputs.shape,
                "Use a segmentation network.",
            )  # fmt: skip
        if result is None:
            result = np.zeros((*padded.shape[:3], outputs.shape[-1]), np.float32)
        for place, output in zip(places, outputs, strict=True):
            result[_box(place)] += _weights(place) * output
    inside = tuple(
        slice(before, before + size) for (before, _), size in zip(padding, shape, strict=True)
    )
    return result[inside]


def windows_in_graph(
    predict: Callable[[tf.Tensor], tf.Tensor], volumes: tf.Tensor, window: tuple[int, int, int],
    class_count: int, *, overlap: float = 0.5,
) -> tf.Tensor:  # fmt: skip
    """`predict_windows` as ops, Gaussian: (batch, depth, rows, columns, channels) of a fixed grid that
    a window fits into -> (batch, depth, rows, columns, classes) float32.

    One window after the other, of all volumes of the batch. The windows of one line along the columns
    are blended first, the lines to a slab, and the slabs to the volume: what is added to for every
    window is a line, not the volume.
    """
    shape = tuple(volumes.shape[1:4])
    axes = [
        list(_windows_along(size, side, overlap, "gaussian"))
        for size, side in zip(shape, window, strict=True)
    ]

    def blended(block: tf.Tensor, axis: int) -> tf.Tensor:
        """Of a block that is as deep as a window along the axes before `axis`, whole along the rest."""
        if axis == 3:
            return tf.cast(predict(block), tf.float32)
        size, side = shape[axis], window[axis]
        starts = np.array([place.start for place, _ in axes[axis]], np.int32)
        profiles = np.array([profile for _, profile in axes[axis]], np.float32)
        along = [1] * 5
        along[axis + 1] = side  # the batch comes first

        def one_more(number, result, block):
            start = tf.gather(starts, number)
            piece = tf.gather(block, start + tf.range(side), axis=axis + 1)
            piece = tf.ensure_shape(piece, (None, *window[: axis + 1], *shape[axis + 1 :], channels))
            outputs = blended(piece, axis + 1) * tf.reshape(tf.gather(profiles, number), along)
            ends = tf.stack([start, size - side - start])
            outputs = tf.pad(outputs, tf.pad(ends[None], [[axis + 1, 3 - axis], [0, 0]]))
            return number + 1, result + tf.ensure_shape(outputs, result.shape), block

        sizes = (*window[:axis], *shape[axis:], class_count)
        blank = tf.zeros(tf.concat([tf.shape(block)[:1], sizes], 0))
        loop = (lambda number, *_: number < len(axes[axis]), one_more)
        # Nothing to keep for a gradient, and one window in memory at a time.
        start = (0, tf.ensure_shape(blank, (None, *sizes)), block)
        return tf.while_loop(*loop, start, parallel_iterations=1)[1]

    channels = volumes.shape[-1]
    return blended(volumes, 0)


def window_starts(size: int, side: int, overlap: float) -> list[int]:
    """First voxels of the windows along an axis of `size` >= `side` voxels.

    The fewest that cover it with at least `overlap`, spread evenly from border to border.
    """
    step = max(int(side * (1 - overlap)), 1)
    steps = -(-(size - side) // step)
    return [number * (size - side) // max(steps, 1) for number in range(steps + 1)]


def _windows_along(
    size: int, side: int, overlap: float, blending: str
) -> Iterator[tuple[slice, np.ndarray]]:
    """Places of the windows along an axis and their weights (side,), one at every voxel in sum."""
    profile = _profile(side, blending)
    starts = window_starts(size, side, overlap)
    total = np.zeros(size)
    for start in starts:
        total[start : start + side] += profile
    for start in starts:
        place = slice(start, start + side)
        yield place, profile / total[place]


def _profile(side: int, blending: str) -> np.ndarray:
    """How much a voxel of a window counts by its place; above zero everywhere, symmetric."""
    from_centre = np.abs(np.arange(side) - (side - 1) / 2)
    if blending == "linear":
        return (side + 1) / 2 - from_centre
    return np.exp(-((from_centre / (side * SIGMA)) ** 2) / 2)


def _box(place: tuple[tuple[slice, np.ndarray], ...]) -> tuple[slice, ...]:
    return tuple(along for along, _ in place)


def _weights(place: tuple[tuple[slice, np.ndarray], ...]) -> np.ndarray:
    """(depth, rows, columns, 1) weights of a window."""
    depth, rows, columns = (weights for _, weights in place)
    return (depth[:, None, None] * rows[:, None] * columns)[..., None].astype(np.float32)


def _padding(size: int, side: int) -> tuple[int, int]:
    missing = max(side - size, 0)
    return missing // 2, missing - missing // 2


def _check(volume, window, overlap: float, blending: str, batch_size: int) -> None:
    if volume.ndim != 4 or 0 in volume.shape:
        raise InputError(
            "The volume must have the shape (depth, rows, columns, channels).", volume.shape,
            "Add an axis of channels, or pass one volume at a time.",
        )  # fmt: skip
    if len(window) != 3 or min(window) < 1:
        raise InputError(
            "The window must be (depth, rows, columns) in voxels.", window,
            "Pass three sizes of at least 1.",
        )
    if not 0 <= overlap < 1:
        raise InputError("The overlap of windows must be at least 0 and below 1.", overlap, "Use 0.5.")
    if blending not in BLENDINGS:
        raise InputError(f"blending must be {' or '.join(BLENDINGS)}.", blending, "Use one of these.")
    if batch_size < 1:
        raise InputError("The batch size of windows must be at least 1.", batch_size, "Use 1.")
