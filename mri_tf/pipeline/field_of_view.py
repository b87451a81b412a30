"""What of a whole study a network is given: all of it, a patch, or the box around a mask; of a slice
with a mask, its part about the mask at the spacing fitted on the training side.

Cut out while reading, before anything is batched further, so that whole studies are never kept.
"""

from collections.abc import Callable

import tensorflow as tf

from mri_tf.core.arguments import check_arguments
from mri_tf.core.errors import InputError
from mri_tf.pipeline.boxes import cube_around, resample_cube
from mri_tf.pipeline.normalize import REGIONS
from mri_tf.pipeline.patches import check_patches, crop, draw_corners
from mri_tf.pipeline.spacing import spaced_slices
from mri_tf.store.prepared import Prepared
from mri_tf.task import Task
from mri_tf.task.settings import AROUND, box_settings, patch_settings, spacing_settings

Cut = Callable[[dict], dict]


def check_cut(task: Task) -> None:
    """Raises InputError for a patch, box or spacing that cannot be."""
    if sum(map(bool, (task.patch, task.box, task.spacing))) > 1:
        raise InputError(
            "A task has one of patch, box and spacing.", "several", "Leave the others away."
        )
    if task.spacing:
        _check_spacing(task)
    if task.patch:
        check_arguments("patch", patch_settings, task.patch)
        values = patch_settings(**task.patch)
        check_patches(values["shape"], task.image_shape, values["foreground_share"])
        if task.kind != "segmentation":
            raise InputError("patch is for segmentation tasks.", task.kind, "Use box instead.")
    if task.box:
        check_arguments("box", box_settings, task.box)
        if task.box["around"] not in AROUND or len(task.box["grid"]) != len(task.image_shape) or (
            len(task.image_shape) != 3
        ):
            raise InputError(
                f"box lies around {' or '.join(AROUND)} of a 3D study, on a 3D grid.",
                f"{task.box['around']!r}, grid {task.box['grid']}",
                "Change it in the task.",
            )
    if bool(task.boxes_from) != (task.box.get("around") == "mask"):
        raise InputError(
            'boxes_from goes with box=dict(around="mask", ...).', task.boxes_from or "no boxes_from",
            "Add one, or leave the other away.",
        )  # fmt: skip


def _check_spacing(task: Task) -> None:
    check_arguments("spacing", spacing_settings, task.spacing)
    values = spacing_settings(**task.spacing)
    grid = values["grid"]
    if len(task.image_shape) != 2 or task.kind != "classification" or len(grid) != 2:
        raise InputError(
            "spacing is for classification of 2D slices, its grid (rows, columns).",
            f"{task.kind} of {task.image_shape}, grid {grid}",
            "Change it in the task.",
        )
    if not (values["margin_mm"] >= 0 and values["medians"] > 0 and min(grid) >= 1):
        raise InputError(
            "spacing has a margin_mm of at least 0, positive medians and a grid of pixels.",
            ", ".join(f"{key} {value}" for key, value in values.items()),
            "Change it in the task.",
        )


def check_masks(task: Task, prepared: Prepared) -> None:
    """Raises InputError where a set lacks the mask that boxes are cut around."""
    if task.spacing and "mask" not in prepared.masks:
        raise InputError(
            f"Task {task.name} cuts slices to their masks.", f"{prepared.folder} without masks",
            "Prepare it from data with masks.",
        )  # fmt: skip
    if task.box.get("around") == "mask" and "predicted_mask" not in prepared.masks:
        raise InputError(
            f"Task {task.name} cuts unseen studies around the mask that {task.boxes_from} predicts.",
            f"{prepared.folder} without predicted masks",
            "Make them with python -m mri_tf.derive --run RUN --data DIR --out DIR.",
        )


def cut_function(task: Task, training: bool, fitted: dict | None = None) -> Cut | None:
    """Raw batch -> raw batch with `image` (and masks) as the network sees them; None for all of it.

    Patches are drawn from the records' seeds when training, else they lie about the middle of the
    foreground. Boxes lie around the manual mask when training, else around the predicted one. Slices
    are resampled to the `pixel_mm` in `fitted`, what was fitted on the training side.
    """
    if task.patch:
        values = patch_settings(**task.patch)
        return lambda batch: _patches(batch, values, training)
    if task.box:
        return lambda batch: _boxes(batch, box_settings(**task.box), training)
    if task.spacing:
        return lambda batch: _spaced(batch, task, fitted["pixel_mm"])
    return None


def _spaced(batch: dict, task: Task, median_mm: float) -> dict:
    values = spacing_settings(**task.spacing)
    region = REGIONS.index(task.normalize.get("region", REGIONS[0]))
    image = spaced_slices(
        batch["image"],
        batch["mask"],
        batch["spacing_mm"][:, 1:],
        batch["intensity_stats"][:, region, :, 0],  # means
        values["medians"] * median_mm,
        tuple(values["grid"]),
        values["margin_mm"],
    )
    return {**{key: value for key, value in batch.items() if key != "mask"}, "image": image}


def _patches(batch: dict, values: dict, training: bool) -> dict:
    shape, share = tuple(values["shape"]), values["foreground_share"]
    if training:
        corners = draw_corners(batch["seed"], batch["mask"], shape, share)
    else:
        centres = tf.map_fn(
            lambda mask: cube_around(mask, 0)[0], batch["mask"], fn_output_signature=tf.float32
        )
        room = tf.shape(batch["mask"])[1:] - tf.constant(shape)
        corners = tf.cast(tf.round(centres), tf.int32) - tf.constant(shape) // 2
        corners = tf.clip_by_value(corners, 0, room)
    parts = {name: crop(batch[name], corners, shape) for name in ("image", "mask")}
    return {**batch, **parts}


def _boxes(batch: dict, values: dict, training: bool) -> dict:
    grid = tuple(values["grid"])
    name = "mask" if training else "predicted_mask"

    def cut(record):
        image, around = record
        return resample_cube(image, *cube_around(around, values["margin_voxels"]), grid)

    if values["around"] == "brain":  # of skull-stripped studies: whatever is not background
        around = tf.cast(tf.reduce_any(batch["image"] != 0, axis=-1), tf.int32)
    else:
        around = batch[name]
    signature = tf.TensorSpec((*grid, batch["image"].shape[-1]), tf.float32)
    image = tf.map_fn(cut, (batch["image"], around), fn_output_signature=signature)
    rest = {key: value for key, value in batch.items() if key not in ("mask", "predicted_mask")}
    return {**rest, "image": image}
