"""A folder of DICOM a patient -> one study: its sequences found by the task's rules, on one grid.

What prep modules of DICOM tasks share: they say where patients and labels are, this does the rest.
Settings in `prep`: `sequences` (name -> rule, see data_prep/cases/sequences.py; in the order of the
channels), `reference` (the sequence whose grid all others are resampled to; the first unless given),
`slices` and `window` of a 2D task (data_prep/cases/slice_cases.py) and those of
data_prep/cases/volume_case.py.
"""

import dataclasses
import os
from pathlib import Path

from data_prep.case import Case, Unreadable
from data_prep.cases.sequences import Choice, check_rules, choose_sequences
from data_prep.cases.slice_cases import check_slices, slice_records
from data_prep.cases.volume_case import SETTINGS as STUDY_SETTINGS
from data_prep.cases.volume_case import check_settings as check_study_settings
from data_prep.cases.volume_case import joined_study, study_record
from data_prep.io.dicom.series import Series, find_series
from data_prep.volume import Volume, three_dimensional
from mri_tf.core.errors import InputError
from mri_tf.store.record import Record
from mri_tf.task import Task

SETTINGS = STUDY_SETTINGS | {"sequences", "reference", "slices", "window"}
OPERATIONS = (
    "dicom_series", "choose_sequences", "orient_ras", "n4 if set", "resample_to_reference",
    "brain_mask", "region_stats", "crop_to_brain if set", "resize_to_grid, or slices if set",
)  # fmt: skip
# What may differ between the sequences of one study: kept a sequence, the others once.
OF_A_SEQUENCE = (
    "tr_ms", "te_ms", "ti_ms", "flip_angle_degrees", "slice_thickness_mm", "scanning_sequence",
    "contrast_agent", "slices",
)  # fmt: skip


def check_settings(task: Task) -> None:
    """Raises InputError for settings that cannot be, before any file is read."""
    rules = task.prep.get("sequences", {})
    if task.kind != "classification" or not rules:
        raise InputError(
            f"Task {task.name} classifies DICOM studies by sequences with a rule each.",
            f"kind {task.kind}, {len(rules)} rules", "Write prep=dict(sequences=dict(t1=dict(...))).",
        )  # fmt: skip
    check_rules(rules)
    reference = task.prep.get("reference", "")
    if reference and reference not in rules:
        raise InputError(
            "reference in prep is one of the sequences.", reference, f"Known: {', '.join(rules)}."
        )
    flat = len(task.image_shape) == 2
    check_study_settings(task, tuple(rules), 2 if flat else 3)
    if flat:
        check_slices(task)
    if flat and "clahe" in task.prep or not flat and {"slices", "window"} & set(task.prep):
        raise InputError(
            "slices and window are for 2D tasks, clahe for 3D tasks.", f"{len(task.image_shape)}D",
            "Change prep.",
        )  # fmt: skip


def dicom_case(raw: Path, folder: str, patient: str, **known) -> Case:
    """All files of a patient's folder (relative to raw), as roles by their place in it.

    Raises InputError for a folder elsewhere.
    """
    if Path(folder).is_absolute() or ".." in Path(folder).parts:
        raise InputError("Folders of patients lie in the raw folder.", folder, "Correct the table.")
    home, files = raw / folder, {}
    for parent, _, names in sorted(os.walk(home)):
        for name in sorted(names):
            path = Path(parent, name)
            files[str(path.relative_to(home))] = str(path.relative_to(raw))
    # A patient without files is listed too, by a file that is not there: so the lack has a reason.
    return Case(patient=patient, files=files or {"*.dcm": f"{folder}/*.dcm"}, **known)


def read_case(raw: Path, case: Case, task: Task) -> list[Record]:
    """One 3D record of a patient, or the slices that the task's rule names; raises Unreadable."""
    volumes, left_out = read_sequences(_home(raw, case), task)
    rules, reference = tuple(task.prep["sequences"]), task.prep.get("reference", "")
    facts = {**_sequence_facts(volumes), **case.facts}
    if left_out:
        facts["series_left_out"] = left_out
    case = dataclasses.replace(case, facts=facts)
    if len(task.image_shape) == 3:
        return study_record(volumes, None, case, task, rules, reference)
    return slice_records(joined_study(volumes, None, case, task, rules, reference), case, task)


def read_sequences(folder: Path, task: Task) -> tuple[dict[str, Volume], list[str]]:
    """The sequences of a patient that were found, and why each other series was left out.

    Raises Unreadable where several series fit one rule, where one is missing and the task does not
    allow it, and where series of several patients lie in the folder. Reasons name no identity.
    """
    found = find_series(folder)
    candidates = [_described(item, folder) for item in found.series]
    choice = choose_sequences(candidates, task.prep["sequences"])
    chosen = {name: found.series[number] for name, number in choice.found.items()}
    patients = {item.patient_id for item in chosen.values() if item.patient_id}
    if len(patients) > 1:
        raise Unreadable(f"series of {len(patients)} patients lie in its folder")
    left_out = [
        *choice.left_out.values(),
        *(f"{item.reason} ({len(item.files)} files)" for item in found.refused),
    ]
    volumes = {}
    for name in task.prep["sequences"]:
        if name not in chosen:
            continue
        volume = three_dimensional(chosen[name].read())
        if volume.array.min() < volume.array.max():
            volumes[name] = volume
        else:
            left_out.append(f"{name} has one value everywhere")
    _check_missing(choice, volumes, left_out, task)
    return volumes, left_out


def _check_missing(choice: Choice, volumes: dict, left_out: list[str], task: Task) -> None:
    missing = [name for name in task.prep["sequences"] if name not in volumes]
    if not missing or (volumes and task.prep.get("missing", "fail") != "fail"):
        return
    others = f"; left out: {'; '.join(left_out)}" if left_out else ""
    raise Unreadable(f"it has no {', '.join(missing)}{others}")


def _described(item: Series, folder: Path) -> Series:
    """With the name of its folder, within the patient's, where the header has no description."""
    home = item.files[0].parent
    if item.description or home == folder:
        return item
    return dataclasses.replace(item, description=home.name)


def _sequence_facts(volumes: dict[str, Volume]) -> dict:
    """`t1_tr_ms` and the like: what each sequence's series says of itself."""
    return {
        f"{name}_{fact}": volume.facts[fact]
        for name, volume in volumes.items()
        for fact in OF_A_SEQUENCE
        if fact in volume.facts
    }


def _home(raw: Path, case: Case) -> Path:
    """The patient's folder: a file's path without its place in the folder."""
    place, path = next(iter(case.files.items()))
    return raw / path[: len(path) - len(place)]
