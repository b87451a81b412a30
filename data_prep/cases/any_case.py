"""A case of any form: one image, an image or volume for each channel, or a folder of DICOM.

What a case becomes depends on the task alone:
    image_shape (depth, rows, columns)           one 3D record (data_prep/cases/volume_case.py)
    image_shape (rows, columns), prep["slices"]  slices of its volumes (data_prep/cases/slice_cases.py)
    image_shape (rows, columns)                  one 2D record (data_prep/cases/image_case.py)

The roles of its files are the channels, "mask" and "brain_mask"; "image" where one file has all
channels. Files with other roles are DICOM, whose series are found by the rules in `prep["sequences"]`,
or by the usual ones for the names of the channels (data_prep/cases/usual_sequences.py).
"""

import dataclasses
import os
from pathlib import Path

from data_prep.case import Case, Unreadable
from data_prep.cases import (
    case_volumes,
    dicom_case,
    image_case,
    slice_cases,
    volume_case,
    volume_settings,
)
from data_prep.cases.sequences import check_rules
from data_prep.cases.usual_sequences import usual_rules
from data_prep.cases.volume_settings import sequences_of
from data_prep.io.dicom.masks import mask_object, read_mask_object
from data_prep.io.folders import files_below
from data_prep.volume import Volume
from mri_tf.core.errors import InputError, first_few
from mri_tf.store.record import Record
from mri_tf.task import Task

IMAGE, SLICES, VOLUME = "image", "slices", "volume"  # what a case becomes
OF_DICOM = {"sequences", "reference", "brain_mask"}
SETTINGS_OF = {
    IMAGE: image_case.SETTINGS,
    SLICES: (volume_settings.SETTINGS - {"clahe", "keep_aspect"}) | {"slices", "window"} | OF_DICOM,
    VOLUME: volume_settings.SETTINGS | OF_DICOM,
}
SETTINGS = set().union(*SETTINGS_OF.values())
OPERATIONS_OF = {
    IMAGE: image_case.OPERATIONS,
    SLICES: (*volume_settings.OPERATIONS[:-2], "axial_slices", "window if set"),
    VOLUME: volume_settings.OPERATIONS,
}
MASK = "mask"


def form_of(task: Task) -> str:
    """What a case of the task becomes: "image", "slices" or "volume"."""
    if len(task.image_shape) == 3:
        return VOLUME
    return SLICES if "slices" in task.prep else IMAGE


def operations_of(task: Task) -> tuple[str, ...]:
    """Names of what is done to the images of a task, for the manifest."""
    return OPERATIONS_OF[form_of(task)]


def check_settings(task: Task, own: set[str] = frozenset()) -> None:
    """Raises InputError for settings that do not fit each other, before any file is read.

    `own` are the settings of the layout itself, which are not looked at.
    """
    form = form_of(task)
    others = sorted(set(task.prep) - SETTINGS_OF[form] - set(own))
    known = SETTINGS | set(own)
    if others and set(others) <= known:  # unknown ones are refused with the names of all
        what = {IMAGE: "single images", SLICES: "slices of volumes", VOLUME: "3D images"}[form]
        raise InputError(
            f"Some settings in prep do not fit task {task.name}, which is about {what}.",
            first_few(others), "Remove them from prep, or change image_shape or slices.",
        )  # fmt: skip
    if form == IMAGE:
        image_case.check_settings(task)
        return
    sequences = sequences_of(task)
    volume_settings.check_settings(task, sequences, len(task.image_shape))
    check_rules(task.prep.get("sequences", {}))
    named = {*task.prep.get("sequences", {}), task.prep.get("reference", "")}
    strange = sorted(named - {*sequences, ""})
    if strange:
        raise InputError(
            "sequences and reference in prep must name channels of the task.", first_few(strange),
            f"Channels: {', '.join(sequences)}.",
        )  # fmt: skip
    if form == SLICES:
        slice_cases.check_slices(task)


def read_case(raw: Path, case: Case, task: Task) -> list[Record]:
    """The records of a case; raises Unreadable."""
    form = form_of(task)
    if form == IMAGE:
        return image_case.image_record(raw, case, task)
    volumes, facts = read_volumes(raw, case, task)
    mask = _mask(raw, case, task, volumes)
    if task.kind == "segmentation" and mask is None and not case.to_predict:
        raise Unreadable("it has no mask")
    sequences, reference = sequences_of(task), task.prep.get("reference", "")
    volumes, mask, placed = case_volumes.registered(volumes, mask, task, sequences, reference)
    case = dataclasses.replace(case, facts={**facts, **placed, **case.facts})
    if mask is not None:
        mask = case_volumes.mask_on_grid(mask, volumes, sequences, reference)
    first = case_volumes.first_of(volumes, sequences, reference)
    masks = case_volumes.masks_of(raw, case, task, mask, first)
    if form == VOLUME:
        return volume_case.case_record(volumes, masks, case, task, sequences, reference)
    joined = volume_case.join_sequences(volumes, masks, case, task, sequences, reference)
    return slice_cases.slice_records(joined, case, task)


def _mask(raw: Path, case: Case, task: Task, volumes: dict[str, Volume]) -> Volume | None:
    """The mask of a case, from a volume file or from a DICOM object, if it has one."""
    if MASK not in case.files:
        return None
    path = raw / case.files[MASK]
    if os.path.isdir(path):
        files = [file for file in files_below(path) if mask_object(file)]
        path = files[0] if len(files) == 1 else path
    if os.path.isfile(path) and mask_object(path):
        names = task.class_names if task.kind == "segmentation" else ()
        first = case_volumes.first_of(volumes, sequences_of(task), task.prep.get("reference", ""))
        return read_mask_object(path, first, names)
    return case_volumes.read_labels(raw, case, MASK)


def read_volumes(raw: Path, case: Case, task: Task) -> tuple[dict[str, Volume], dict]:
    """The volume of each channel that the case has, and acquisition facts; raises Unreadable."""
    sequences = sequences_of(task)
    if any(name in case.files for name in sequences):
        volumes = {
            name: case_volumes.read_volume(raw, case, name) for name in sequences if name in case.files
        }
        return volumes, dicom_case.sequence_facts(volumes)
    others = {MASK, volume_settings.BRAIN_MASK}
    if not set(case.files) - others:
        raise Unreadable("it has no image")
    only = next(iter(case.files.values()))
    if len(case.files) == 1 and os.path.isdir(raw / only):
        raise Unreadable(f"its folder holds no {', '.join(sequences)}")
    rules = task.prep.get("sequences") or usual_rules(sequences)
    files = {role: path for role, path in case.files.items() if role not in others}
    of_dicom = dataclasses.replace(case, files=files)
    return dicom_case.read_sequences(raw, of_dicom, rules, task.prep.get("missing", "fail"))
