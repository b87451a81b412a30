"""The part of a record that a network sees: all of it, a patch, the box around a mask, or a slice
resampled around its mask to the spacing fitted on the training side.

It is cut out while reading, before anything is batched further, so that whole volumes are never kept.
"""

from collections.abc import Callable

import tensorflow as tf

from mri_tf.core.errors import InputError
from mri_tf.pipeline.boxes import cube_around, resample_cube
from mri_tf.pipeline.normalize import REGIONS
from mri_tf.pipeline.patches import crop, draw_corners
from mri_tf.pipeline.spacing import spaced_slices
from mri_tf.store.prepared import Prepared
from mri_tf.task import Task
from mri_tf.task.settings import Box, Patch, box_of, patch_of, spacing_of

Cut = Callable[[dict], dict]


def check_masks(task: Task, prepared: Prepared) -> None:
    """Raises InputError where a set lacks the mask that boxes are cut around."""
    if task.spacing and "mask" not in prepared.masks:
        raise InputError(
            f"Task {task.name} cuts slices to their masks.", f"{prepared.folder} without masks",
            "Prepare it from data with masks.",
        )  # fmt: skip
    if task.box.get("around") == "mask" and "predicted_mask" not in prepared.masks:
        raise InputError(
            f"Task {task.name} cuts unseen cases around the mask that {task.boxes_from} predicts.",
            f"{prepared.folder} without predicted masks",
            "Make them with python -m mri_tf.derive --run RUN --data DIR --out DIR.",
        )


def cut_function(task: Task, training: bool, fitted: dict | None = None) -> Cut | None:
    """Raw batch -> raw batch with `image` (and masks) as the network sees them; None for all of it.

    Patches are drawn from the records' seeds when training, else they lie about the middle of the
    foreground. Boxes lie around the manual mask when training, else around the predicted one. Slices
    are resampled to the `pixel_mm` in `fitted`, what was fitted on the training side.
    """
    if patch := patch_of(task):
        return lambda batch: _patches(batch, patch, training)
    if box := box_of(task):
        return lambda batch: _boxes(batch, box, training)
    if task.spacing:
        return lambda batch: _spaced(batch, task, fitted["pixel_mm"])
    return None


def box_cut(task: Task) -> Cut | None:
    """What cuts the box out of a record before an exported model gets it; None where there is no box, or
    the model takes the whole grid."""
    return None if task.spacing or task.patch else cut_function(task, training=False)


def _spaced(batch: dict, task: Task, median_mm: float) -> dict:
    spacing = spacing_of(task)
    pixel_mm = spacing.medians * median_mm
    region = REGIONS.index(task.normalize.get("region", REGIONS[0]))
    image = spaced_slices(
        batch["image"],
        batch["mask"],
        batch["spacing_mm"][:, 1:],
        batch["intensity_stats"][:, region, :, 0],  # means
        pixel_mm,
        spacing.grid,
        spacing.margin_mm,
    )
    own = tf.concat([batch["spacing_mm"][:, :1], tf.fill([tf.shape(image)[0], 2], pixel_mm)], axis=1)
    rest = {key: value for key, value in batch.items() if key != "mask"}
    return {**rest, "image": image, "spacing_mm": own}


def _patches(batch: dict, patch: Patch, training: bool) -> dict:
    shape = patch.shape
    if training:
        corners = draw_corners(batch["seed"], batch["mask"], shape, patch.foreground_share)
    else:
        centres = tf.map_fn(
            lambda mask: cube_around(mask, 0)[0], batch["mask"], fn_output_signature=tf.float32
        )
        room = tf.shape(batch["mask"])[1:] - tf.constant(shape)
        corners = tf.cast(tf.round(centres), tf.int32) - tf.constant(shape) // 2
        corners = tf.clip_by_value(corners, 0, room)
    parts = {name: crop(batch[name], corners, shape) for name in ("image", "mask")}
    return {**batch, **parts}


def _boxes(batch: dict, box: Box, training: bool) -> dict:
    name = "mask" if training else "predicted_mask"

    def cut(record):
        image, around = record
        centre, side = cube_around(around, box.margin_voxels)
        return resample_cube(image, centre, side, box.grid), side

    if box.around == "brain":  # of skull-stripped cases: whatever is not background
        around = tf.cast(tf.reduce_any(batch["image"] != 0, axis=-1), tf.int32)
    else:
        around = batch[name]
    signature = tf.TensorSpec((*box.grid, batch["image"].shape[-1]), tf.float32)
    image, sides = tf.map_fn(
        cut, (batch["image"], around), fn_output_signature=(signature, tf.TensorSpec([], tf.float32))
    )
    own = batch["spacing_mm"] * sides[:, None] / max(box.grid)
    rest = {key: value for key, value in batch.items() if key not in ("mask", "predicted_mask")}
    return {**rest, "image": image, "spacing_mm": own}
