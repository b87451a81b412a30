"""The volumes and masks of a case as its files hold them, moved onto each other where `prep` says so."""

import dataclasses
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from data_prep.case import Case, Unreadable
from data_prep.cases.volume_settings import BRAIN_MASK, OTSU, RIGID
from data_prep.io.volume_file import read_volume_file
from data_prep.ops.register import lies_elsewhere, register_rigid
from data_prep.ops.resample import resample_like
from data_prep.ops.skull_strip import PROGRAMS, strip_skull
from data_prep.ops.stack import fits_grid, whole_labels
from data_prep.volume import Volume, require_3d
from mri_tf.task import Task


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
