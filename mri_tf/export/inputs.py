"""The arrays of a record that a served model takes, and what its network is given of them.

image           (batch, *grid, channels) in the task's unit: the prepared grid, or what a box takes of it
intensity_stats (batch, 2, channels, 2) where z-scores need them
record_mask     (batch, rows, columns), not 0 in the tumour; and
spacing_mm      (batch, 2) of rows and columns, where the task resamples slices to a fitted spacing
"""

import numpy as np
import tensorflow as tf

from mri_tf.pipeline.field_of_view import Cut, cut_function
from mri_tf.pipeline.normalize import REGIONS, needs_stats, normalize
from mri_tf.task import Task


def array_shapes(task: Task) -> dict[str, tuple[int, ...]]:
    """Name -> shape behind the batch, in the order of a signature; all float32."""
    grid = task.image_shape if task.spacing or task.patch else task.network_shape
    shapes = {"image": (*grid, len(task.channels))}
    if needs_stats(task.normalize) or task.spacing:
        shapes["intensity_stats"] = (len(REGIONS), len(task.channels), 2)
    if task.spacing:
        shapes |= {"record_mask": tuple(task.image_shape), "spacing_mm": (2,)}
    return shapes


def cut_before(task: Task) -> Cut | None:
    """What is cut out of a record before it is served: nothing where the served graph does it, or
    sees the whole by windows."""
    return None if task.spacing or task.patch else cut_function(task, training=False)


def arrays_of(batch: dict, task: Task) -> dict[str, tf.Tensor]:
    """Those of a raw batch of the pipeline that was read with `cut_before`."""
    found = {"image": batch["image"], "intensity_stats": batch["intensity_stats"]}
    if task.spacing:
        found |= {"record_mask": batch["mask"], "spacing_mm": batch["spacing_mm"][:, 1:]}
    return {name: tf.cast(found[name], tf.float32) for name in array_shapes(task)}


def seen_by_network(arrays: dict[str, tf.Tensor], task: Task, fitted: dict) -> tf.Tensor:
    """Arrays as above -> the network's input (batch, *network_shape, channels), normalised; the whole
    grid where it takes patches of it.

    A spacing of 0, of slices that only pad, is taken for 1.
    """
    image, stats = arrays["image"], arrays.get("intensity_stats")
    if task.spacing:
        spacing_mm = tf.where(arrays["spacing_mm"] > 0, arrays["spacing_mm"], 1.0)
        record = {
            "image": image, "mask": arrays["record_mask"], "intensity_stats": stats,
            "spacing_mm": tf.pad(spacing_mm, [[0, 0], [1, 0]]),  # from slice to slice: of no use here
        }  # fmt: skip
        image = cut_function(task, training=False, fitted=fitted)(record)["image"]
    return normalize(image, stats, task.normalize)


def serialized_examples(arrays: dict[str, np.ndarray]) -> np.ndarray:
    """Arrays as above as what `classify` takes: (batch,) serialized tf.Example, a float list a name."""

    def example(place: int) -> bytes:
        features = {
            name: tf.train.Feature(float_list=tf.train.FloatList(value=array[place].ravel()))
            for name, array in arrays.items()
        }
        built = tf.train.Example(features=tf.train.Features(feature=features))
        return built.SerializeToString(deterministic=True)

    return np.array([example(place) for place in range(len(arrays["image"]))], dtype=object)
