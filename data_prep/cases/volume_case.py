"""A study's sequences to one 3D record: bias field, one grid, brain mask, statistics, the task's grid.

What a prep module of a 3D task shares with the others: it lists files, this does the rest.
Settings in `prep` (all optional): `missing` (what a missing sequence does: fail, skip, zero_fill),
`n4` (arguments of `n4_corrected`), `crop_to_brain`, `keep_aspect`, `clahe` (of each channel, inside
the brain mask; the record is uint8 then) and `dtype`.
"""

from dataclasses import dataclass

import numpy as np

from data_prep.case import Case, Unreadable
from data_prep.ops.brain_mask import brain_mask
from data_prep.ops.clahe import clahe3d
from data_prep.ops.crop import crop, mask_box
from data_prep.ops.intensity_stats import region_stats
from data_prep.ops.n4 import n4_corrected
from data_prep.ops.resample import resize_to_grid
from data_prep.ops.stack import MISSING, channel_names, check_label_map, stack_channels
from data_prep.volume import Volume, geometry_facts, three_dimensional
from mri_tf.core.errors import InputError
from mri_tf.store.record import NO_LABEL, Record
from mri_tf.task import Task

SETTINGS = {"missing", "n4", "crop_to_brain", "keep_aspect", "clahe", "dtype"}
OPERATIONS = (
    "orient_ras", "n4 if set", "resample_to_first_sequence", "brain_mask", "region_stats",
    "crop_to_brain if set", "resize_to_grid", "clahe if set",
)  # fmt: skip
DTYPES = ("uint8", "int16", "float16", "float32")
LIMITS = {"uint8": (0, 255), "int16": (-32768, 32767), "float16": (-65504, 65504)}


def sequences_of(task: Task) -> tuple[str, ...]:
    """The sequences among a task's channels: all but those that say whether a sequence is there."""
    presence = task.prep.get("missing", "fail") == "zero_fill"
    return tuple(name for name in task.channels if not (presence and name.startswith("has_")))


def check_settings(task: Task, sequences: tuple[str, ...], axes: int = 3) -> None:
    """Raises InputError for settings that cannot be, before any file is read.

    `axes` of image_shape: 3, or 2 where a study gives slices.
    """
    wrong = ""
    missing = task.prep.get("missing", "fail")
    if len(task.image_shape) != axes:
        wrong = f"image_shape {task.image_shape}"
    elif missing not in MISSING:
        wrong = f"missing {missing!r}, not one of {', '.join(MISSING)}"
    elif task.channels != channel_names(sequences, missing):
        wrong = (
            f"channels {', '.join(task.channels)}, not "
            f"{', '.join(channel_names(sequences, missing))} as prep says"
        )
    elif "clahe" in task.prep and missing == "zero_fill":
        wrong = "clahe with zero_fill: presence is no image"
    elif task.prep.get("dtype", "float32") not in DTYPES:
        wrong = f"dtype {task.prep['dtype']!r}, not one of {', '.join(DTYPES)}"
    if wrong:
        raise InputError(
            f"Task {task.name} prepares {axes}D images of {', '.join(sequences)}.", wrong,
            "Change the task.",
        )  # fmt: skip


@dataclass(frozen=True)
class Study:
    """A study's sequences as channels on one grid, with what is known of the whole of it."""

    volume: Volume  # (x, y, z, channels), cut to the brain's box where the task says so
    inside: np.ndarray  # (x, y, z) bool: the brain, or the head
    mask: Volume | None
    stats: np.ndarray  # (2 regions, channels, 2), before anything was cut off
    facts: dict


def joined_study(
    volumes: dict[str, Volume], mask: Volume | None, case: Case, task: Task,
    sequences: tuple[str, ...], reference: str = "",
) -> Study:  # fmt: skip
    """The sequences on the grid of `reference`, or of the first that is there; `mask` must lie on it.

    Statistics are those of the whole study, before it is cropped. Raises Unreadable.
    """
    if "n4" in task.prep:
        volumes = {
            name: n4_corrected(three_dimensional(volume), **task.prep["n4"])
            for name, volume in volumes.items()
        }
    stacked = stack_channels(
        volumes, sequences, task.prep.get("missing", "fail"), volumes.get(reference)
    )
    if stacked is None:
        raise Unreadable("a sequence is missing, and the task leaves such patients out")
    study = stacked.volume  # (x, y, z, channels)
    first = next(volumes[name] for name in (reference, *sequences) if name in volumes)
    inside = brain_mask(three_dimensional(first)).inside
    if not inside.any():
        raise Unreadable("the image has one value everywhere")
    stats = region_stats(study.array, inside, stacked.presence)
    if mask is not None:
        count = len(task.class_names) if task.kind == "segmentation" else None
        check_label_map(mask, first, count)
    facts = {**first.facts, **case.facts, **geometry_facts(study, first.stored_axes)}
    if task.prep.get("crop_to_brain"):
        box = mask_box(inside)
        inside = crop(Volume(inside, study.affine), box).array
        study = crop(study, box)
        mask = crop(mask, box) if mask is not None else None
    return Study(study, inside, mask, stats, facts)


def study_record(
    volumes: dict[str, Volume], mask: Volume | None, case: Case, task: Task,
    sequences: tuple[str, ...], reference: str = "",
) -> list[Record]:  # fmt: skip
    """One record of a study on `task.image_shape` (depth, rows, columns); as `joined_study`."""
    study = joined_study(volumes, mask, case, task, sequences, reference)
    keep, stats = task.prep.get("keep_aspect", True), study.stats
    image, affine = resize_to_grid(study.volume, task.image_shape, keep)
    if "clahe" in task.prep:
        shown = Volume(study.inside.astype(np.uint8), study.volume.affine)
        held, _ = resize_to_grid(shown, task.image_shape, keep, nearest=True)
        image = np.stack(
            [clahe3d(image[..., channel], held > 0, **task.prep["clahe"])
             for channel in range(image.shape[-1])], axis=-1,
        )  # fmt: skip
        stats = None  # of the equalised image, taken when it is encoded
    else:
        image = in_dtype(image, task.prep.get("dtype", "float32"))
    labels = None
    if study.mask is not None:
        labels, _ = resize_to_grid(study.mask, task.image_shape, keep, nearest=True)
        labels = labels.astype(np.uint8)
    return [
        Record(
            record_id="",
            patient=case.patient,
            image=image,  # (depth, rows, columns, channels)
            label=task.class_names.index(case.label) if case.label else NO_LABEL,
            mask=labels,
            group=case.group,
            split=case.split,
            facts=study.facts,
            affine=affine,
            intensity_stats=stats,
        )
    ]


def in_dtype(image: np.ndarray, dtype: str) -> np.ndarray:
    """Intensities in the record's dtype: rounded where it is whole, held at its ends beyond."""
    if dtype == "float32":
        return image.astype(np.float32)
    low, high = LIMITS[dtype]
    held = np.clip(image, low, high)
    return (held if dtype == "float16" else np.round(held)).astype(dtype)
