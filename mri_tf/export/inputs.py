"""The arrays that an exported model takes for a record, and the network's input made from them.

image            (batch, *grid, channels) in the task's unit: the prepared grid, or the box cut out of it
intensity_stats  (batch, 2, channels, 2): mean and SD, where the normalisation needs them
record_mask      (batch, rows, columns), not 0 in the tumour, where slices are resampled
spacing_mm       (batch, 2) between rows and between columns, where slices are resampled
combat_batch     (batch,) number of the site or scanner, where features are corrected by it; 0 of another
"""

import numpy as np
import tensorflow as tf

from mri_tf.pipeline.field_of_view import cut_function
from mri_tf.pipeline.histogram_matching import matched_and_normalised
from mri_tf.pipeline.normalize import REGIONS, needs_stats
from mri_tf.pipeline.subset import COMBAT_NUMBER
from mri_tf.task import Task
from mri_tf.task.harmonise import combat_batch


def array_shapes(task: Task) -> dict[str, tuple[int, ...]]:
    """Returns name -> shape without the batch, in the order of a signature; all are float32."""
    grid = task.image_shape if task.spacing or task.patch else task.network_shape
    shapes = {"image": (*grid, len(task.image_channels))}
    if needs_stats(task.normalize) or task.spacing:
        shapes["intensity_stats"] = (len(REGIONS), len(task.image_channels), 2)
    if task.spacing:
        shapes |= {"record_mask": tuple(task.image_shape), "spacing_mm": (2,)}
    if combat_batch(task):
        shapes[COMBAT_NUMBER] = ()
    return shapes


def input_arrays(batch: dict, task: Task) -> dict[str, tf.Tensor]:
    """Returns the arrays above, by name, of a raw batch of a `Subset` read with `box_cut`."""
    arrays = {"image": batch["image"], "intensity_stats": batch["intensity_stats"]}
    if task.spacing:
        arrays |= {"record_mask": batch["mask"], "spacing_mm": batch["spacing_mm"][:, 1:]}
    if combat_batch(task):
        arrays[COMBAT_NUMBER] = batch[COMBAT_NUMBER]
    return {name: tf.cast(arrays[name], tf.float32) for name in array_shapes(task)}


def network_input(arrays: dict[str, tf.Tensor], task: Task, fitted: dict) -> tf.Tensor:
    """Returns the image that the network is given, with its histogram matched and normalised as the task
    says, made by TensorFlow ops.

    Args:
        arrays: as above, by name.
        task: gives the spacing and the normalisation.
        fitted: what the task fitted to the training side, such as `pixel_mm` or `landmarks`.

    Returns:
        (batch, *network_shape, channels); the whole grid where the network is applied in windows.
    """
    image, stats = arrays["image"], arrays.get("intensity_stats")
    if task.spacing:
        # Slices that only pad a patient have a spacing of 0.
        spacing_mm = tf.where(arrays["spacing_mm"] > 0, arrays["spacing_mm"], 1.0)
        record = {
            "image": image, "mask": arrays["record_mask"], "intensity_stats": stats,
            "spacing_mm": tf.pad(spacing_mm, [[0, 0], [1, 0]]),  # from slice to slice: not used here
        }  # fmt: skip
        image = cut_function(task, training=False, fitted=fitted)(record)["image"]
    return matched_and_normalised(image, stats, task, fitted)


def serialized_examples(arrays: dict[str, np.ndarray]) -> np.ndarray:
    """Returns what `classify` takes: (batch,) serialized tf.Example, one float list for each array."""

    def serialized(row: int) -> bytes:
        features = {
            name: tf.train.Feature(float_list=tf.train.FloatList(value=array[row].ravel()))
            for name, array in arrays.items()
        }
        example = tf.train.Example(features=tf.train.Features(feature=features))
        return example.SerializeToString(deterministic=True)

    return np.array([serialized(row) for row in range(len(arrays["image"]))], dtype=object)
