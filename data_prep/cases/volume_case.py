"""The volumes of a case to one 3D record: bias field, one grid, brain mask, statistics, the task's grid.

The layouts of 3D tasks list the files, and case_volumes.py reads them; these functions do the rest, by
the settings of volume_settings.py.
"""

import dataclasses
from dataclasses import dataclass

import numpy as np

from data_prep.case import Case, Unreadable, record_of
from data_prep.cases.case_volumes import Masks, first_of
from data_prep.ops.brain_mask import brain_mask
from data_prep.ops.clahe import clahe3d
from data_prep.ops.crop import crop, mask_box
from data_prep.ops.intensity_stats import region_stats, standardise
from data_prep.ops.n4 import correct_bias_field
from data_prep.ops.resample import resize_to_grid
from data_prep.ops.stack import check_label_map, stack_channels
from data_prep.ops.white_stripe import peaks_of, stripe_stats
from data_prep.volume import Volume, geometry_facts, require_3d
from mri_tf.store.record import Record
from mri_tf.task import Task

LIMITS = {"uint8": (0, 255), "int16": (-32768, 32767), "float16": (-65504, 65504)}


@dataclass(frozen=True)
class JoinedCase:
    """The sequences of a case as channels on one grid."""

    volume: Volume  # (x, y, z, channels), cut to the brain's box where the task says so
    inside: np.ndarray  # (x, y, z) bool: the brain, or the head
    mask: Volume | None
    stats: np.ndarray  # (2 regions, channels, 2) of the whole case, before it is cropped; 0 and 1 after
    # standardisation
    facts: dict


def join_sequences(
    volumes: dict[str, Volume], masks: Masks, case: Case, task: Task,
    sequences: tuple[str, ...], reference: str = "",
) -> JoinedCase:  # fmt: skip
    """Puts the sequences of a case on one grid, with brain mask and statistics.

    Args:
        volumes: sequence -> (x, y, z) volume; sequences may be missing where the task allows it.
        masks: labels and brain mask on the grid of the reference.
        sequences: the order of the channels.
        reference: the sequence that gives the grid; the first that exists unless set.

    Raises:
        Unreadable: a sequence is missing, the image is blank, or the mask lies on another grid.
    """
    if "n4" in task.prep:
        volumes = {
            name: correct_bias_field(require_3d(volume), **task.prep["n4"])
            for name, volume in volumes.items()
        }
    stacked = stack_channels(
        volumes, sequences, task.prep.get("missing", "fail"), volumes.get(reference)
    )
    if stacked is None:
        raise Unreadable("a sequence is missing, and the task skips such patients")
    joined = stacked.volume  # (x, y, z, channels)
    first = first_of(volumes, sequences, reference)
    inside, mask = masks.brain, masks.labels
    if inside is None:
        inside = brain_mask(require_3d(first)).inside
    if not inside.any():
        raise Unreadable("the image has one value everywhere, or its brain mask is empty")
    stats = region_stats(joined.array, inside, stacked.presence)
    if task.by_white_matter:
        peaks = {sequences.index(name): peak for name, peak in peaks_of(sequences).items()}
        stats = stripe_stats(joined.array, inside, stats, peaks)
    if task.standardised:  # before any resampling, which would mix the border with what lies outside
        array, stats = standardise(joined.array, inside, stats, stacked.presence)
        joined = dataclasses.replace(joined, array=array)
    if mask is not None:
        count = len(task.class_names) if task.kind == "segmentation" else None
        check_label_map(mask, first, count)
    facts = {**first.facts, **case.facts, **geometry_facts(joined, first.stored_axes)}
    if task.prep.get("crop_to_brain"):
        box = mask_box(inside)
        inside = crop(Volume(inside, joined.affine), box).array
        joined = crop(joined, box)
        mask = crop(mask, box) if mask is not None else None
    return JoinedCase(joined, inside, mask, stats, facts)


def case_record(
    volumes: dict[str, Volume], masks: Masks, case: Case, task: Task,
    sequences: tuple[str, ...], reference: str = "",
) -> list[Record]:  # fmt: skip
    """One record of a case on `task.image_shape` (depth, rows, columns); see `join_sequences`."""
    joined = join_sequences(volumes, masks, case, task, sequences, reference)
    keep, stats = task.prep.get("keep_aspect", True), joined.stats
    image, affine = resize_to_grid(joined.volume, task.image_shape, keep)  # (depth, rows, columns, ...)
    if "clahe" in task.prep:
        brain = Volume(joined.inside.astype(np.uint8), joined.volume.affine)
        brain, _ = resize_to_grid(brain, task.image_shape, keep, nearest=True)
        image = np.stack(
            [clahe3d(image[..., channel], brain > 0, **task.prep["clahe"])
             for channel in range(image.shape[-1])], axis=-1,
        )  # fmt: skip
        stats = None  # the record's encoder takes those of the equalised image
    else:
        image = in_dtype(image, task.prep.get("dtype", "float32"))
    labels = None
    if joined.mask is not None:
        labels, _ = resize_to_grid(joined.mask, task.image_shape, keep, nearest=True)
        labels = labels.astype(np.uint8)
    return [record_of(case, task, image, labels, facts=joined.facts, affine=affine, stats=stats)]


def in_dtype(image: np.ndarray, dtype: str) -> np.ndarray:
    """Intensities in the record's dtype: clipped to its range, and rounded for whole numbers."""
    if dtype == "float32":
        return image.astype(np.float32)
    clipped = np.clip(image, *LIMITS[dtype])
    return (clipped if dtype == "float16" else np.round(clipped)).astype(dtype)
