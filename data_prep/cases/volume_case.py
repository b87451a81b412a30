"""The volumes of a case to one 3D record: bias field, one grid, brain mask, statistics, the task's grid.

The layouts of 3D tasks list the files; these functions do the rest. Settings in `prep`, all optional:
`missing` (what to do if a sequence is missing: fail, skip, zero_fill), `register` ("rigid" turns and
shifts the sequences onto the first), `n4` (arguments of
`correct_bias_field`), `crop_to_brain`, `keep_aspect`, `clahe` (of each channel, inside the brain mask;
the record is then uint8) and `dtype`.
"""

import dataclasses
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from data_prep.case import Case, Unreadable, record_of
from data_prep.io.volume_file import read_volume_file
from data_prep.ops.brain_mask import brain_mask
from data_prep.ops.clahe import clahe3d
from data_prep.ops.crop import crop, mask_box
from data_prep.ops.intensity_stats import region_stats, standardise
from data_prep.ops.n4 import correct_bias_field
from data_prep.ops.register import lies_elsewhere, register_rigid
from data_prep.ops.resample import resample_like, resize_to_grid
from data_prep.ops.skull_strip import PROGRAMS, strip_skull
from data_prep.ops.stack import (
    MISSING,
    channel_names,
    check_label_map,
    fits_grid,
    stack_channels,
    whole_labels,
)
from data_prep.ops.white_stripe import peaks_of, stripe_stats
from data_prep.volume import Volume, geometry_facts, require_3d
from mri_tf.core.arguments import check_arguments
from mri_tf.core.errors import InputError
from mri_tf.store.record import Record
from mri_tf.task import Task
from mri_tf.task.spec import PRESENCE

SETTINGS = {"missing", "n4", "crop_to_brain", "keep_aspect", "clahe", "dtype", "register"}
RIGID = "rigid"
OTSU, OF_FILE, BRAIN_MASK = "otsu", "file", "brain_mask"  # brain masks: two ways, and their role
OPERATIONS = (
    "orient_ras", "register if set", "n4 if set", "resample_to_first_sequence", "brain_mask",
    "region_stats", "standardise if set", "crop_to_brain if set", "resize_to_grid", "clahe if set",
)  # fmt: skip
DTYPES = ("uint8", "int16", "float16", "float32")
LIMITS = {"uint8": (0, 255), "int16": (-32768, 32767), "float16": (-65504, 65504)}


def sequences_of(task: Task) -> tuple[str, ...]:
    """The channels of a task that are sequences, without those that tell whether a sequence exists."""
    presence = task.prep.get("missing", "fail") == "zero_fill"
    return tuple(name for name in task.channels if not (presence and name.startswith(PRESENCE)))


def check_settings(task: Task, sequences: tuple[str, ...], axes: int = 3) -> None:
    """Raises InputError for settings that do not fit each other, before any file is read.

    `axes` is the length of image_shape: 3, or 2 where a case gives slices.
    """
    wrong = ""
    missing = task.prep.get("missing", "fail")
    if len(task.image_shape) != axes:
        wrong = f"image_shape {task.image_shape}"
    elif missing not in MISSING:
        wrong = f"missing {missing!r}, not one of {', '.join(MISSING)}"
    elif task.channels != channel_names(sequences, missing):
        wrong = (
            f"channels {', '.join(task.channels)}, but prep gives "
            f"{', '.join(channel_names(sequences, missing))}"
        )
    elif "clahe" in task.prep and missing == "zero_fill":
        wrong = "clahe together with missing zero_fill, whose presence channels are not images"
    elif task.standardised and {"clahe", "window"} & set(task.prep):
        wrong = "clahe or window together with z-scores inside the mask, which standardise instead"
    elif task.standardised and "int" in task.prep.get("dtype", "float32"):
        wrong = f"dtype {task.prep['dtype']} together with z-scores inside the mask, which need a float"
    elif task.prep.get("register", RIGID) != RIGID:
        wrong = f"register {task.prep['register']!r}, not {RIGID}"
    elif task.prep.get("brain_mask", OTSU) not in (OTSU, OF_FILE, *PROGRAMS):
        known = ", ".join((OTSU, OF_FILE, *PROGRAMS))
        wrong = f"brain_mask {task.prep['brain_mask']!r}, not one of {known}"
    elif task.prep.get("dtype", "float32") not in DTYPES:
        wrong = f"dtype {task.prep['dtype']!r}, not one of {', '.join(DTYPES)}"
    if task.by_white_matter:
        if task.modality == "CT":
            wrong = wrong or "normalize.method white_stripe, which is for MR, together with modality CT"
        peaks_of(sequences)
    if "n4" in task.prep:
        check_arguments("prep.n4", correct_bias_field, task.prep["n4"])
    if "clahe" in task.prep and axes == 3:
        check_arguments("prep.clahe", clahe3d, task.prep["clahe"])
    if wrong:
        raise InputError(
            f"Task {task.name} does not fit its layout, which gives {axes}D images of "
            f"{', '.join(sequences)}.", wrong, "Correct this setting in the task file.",
        )  # fmt: skip


def read_volume(raw: Path, case: Case, role: str) -> Volume | None:
    """The (x, y, z) volume of a role's file or DICOM series; None where the case lists no such file."""
    if role not in case.files:
        return None
    try:
        return require_3d(read_volume_file(raw / case.files[role]))
    except Unreadable as error:
        raise (Unreadable(f"{role}: {error}") if len(case.files) > 1 else error) from None


def read_labels(raw: Path, case: Case, role: str) -> Volume | None:
    """The label map of a role's file, as `read_volume`, its labels whole numbers where nearly so."""
    labels = read_volume(raw, case, role)
    return None if labels is None else whole_labels(labels)


def first_of(
    volumes: dict[str, Volume], sequences: tuple[str, ...], reference: str = ""
) -> Volume:
    """The sequence from whose grid the record is made; raises Unreadable if there is none."""
    for name in (reference, *sequences):
        if name in volumes:
            return volumes[name]
    raise Unreadable("it has no image")


def mask_on_grid(
    mask: Volume, volumes: dict[str, Volume], sequences: tuple[str, ...], reference: str = ""
) -> Volume:
    """A mask that was drawn on any of a case's sequences, on the grid that the record is made from.

    Raises Unreadable for a mask on another grid than those of all sequences.
    """
    grid = first_of(volumes, sequences, reference)
    if fits_grid(mask, grid):
        return mask
    if not any(fits_grid(mask, volume) for volume in volumes.values()):
        raise Unreadable("the mask is on the grid of none of the images")
    return resample_like(mask, grid, nearest=True)


def registered(
    volumes: dict[str, Volume], mask: Volume | None, task: Task, sequences: tuple[str, ...],
    reference: str = "",
) -> tuple[dict[str, Volume], Volume | None, dict]:  # fmt: skip
    """The sequences of a case moved onto the reference, and facts about that, where `prep` says so.

    A mask moves with the sequence on whose grid it was drawn. Without `prep["register"]` all stay as
    they are, and the fact `sequences_apart` names those that do not lie on the reference. Raises
    Unreadable for a registration that fails.
    """
    names = [name for name in (reference, *sequences) if name in volumes]
    fixed = volumes[names[0]] if names else None
    others = [name for name in dict.fromkeys(names) if name != names[0]]
    if task.prep.get("register") != RIGID:
        apart = [name for name in others if lies_elsewhere(volumes[name], fixed)]
        return volumes, mask, {"sequences_apart": apart} if others else {}
    placed, moved_mm = dict(volumes), {}
    for name in others:
        result = register_rigid(volumes[name], fixed, name)
        placed[name], moved_mm[name] = result.volume, round(result.moved_mm, 2)
        if mask is not None and not fits_grid(mask, fixed) and fits_grid(mask, volumes[name]):
            mask = dataclasses.replace(mask, affine=result.volume.affine)
    return placed, mask, {"registered_mm": moved_mm}


@dataclass(frozen=True)
class Masks:
    """What is known of a case beside its images, on the grid that the record is made from."""

    labels: Volume | None = None  # of a tumour or of structures
    brain: np.ndarray | None = None  # (x, y, z) bool; found from the image where it is not given


def masks_of(
    raw: Path, case: Case, task: Task, labels: Volume | None, first: Volume
) -> Masks:
    """The masks of a case: its labels, and the brain as `prep["brain_mask"]` says.

    Args:
        raw, case, task: the case; its file in the role "brain_mask" counts with brain_mask="file".
        labels: on the grid of `first`, or None.
        first: the sequence from whose grid the record is made.

    Raises:
        Unreadable: the mask is missing or on another grid, or the program that makes it fails.
    """
    how = task.prep.get("brain_mask", OTSU)
    if how == OTSU:
        return Masks(labels)
    if how in PROGRAMS:
        return Masks(labels, strip_skull(require_3d(first), how))
    brain = read_labels(raw, case, BRAIN_MASK)
    if brain is None:
        raise Unreadable("it has no brain mask")
    if not fits_grid(brain, first):
        raise Unreadable("the brain mask is on another grid than the first image")
    return Masks(labels, brain.array > 0)


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
