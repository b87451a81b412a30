"""A patient's folder of DICOM files as one case: its sequences found by the task's rules, on one grid.

The layouts of DICOM tasks say where patients and labels are; these functions do the rest. Settings in
`prep`: `sequences` (name -> rule, see data_prep/cases/sequences.py; in the order of the channels),
`reference` (the sequence to whose grid all others are resampled; the first unless set), `slices` and
`window` of a 2D task (data_prep/cases/slice_cases.py) and those of data_prep/cases/volume_settings.py.
"""

import dataclasses
import os
from pathlib import Path

from data_prep.case import Case, Unreadable
from data_prep.cases.case_volumes import first_of, masks_of, read_volume, registered
from data_prep.cases.sequences import check_rules, choose_sequences
from data_prep.cases.slice_cases import check_slices, slice_records
from data_prep.cases.volume_case import case_record, join_sequences
from data_prep.cases.volume_settings import SETTINGS as VOLUME_SETTINGS
from data_prep.cases.volume_settings import check_settings as check_volume_settings
from data_prep.io.dicom.facts import PATIENT
from data_prep.io.dicom.header import read_identities
from data_prep.io.dicom.series import Series, find_series
from data_prep.io.folders import files_below
from data_prep.volume import Volume, require_3d
from mri_tf.core.errors import InputError
from mri_tf.store.record import Record
from mri_tf.task import Task

SETTINGS = VOLUME_SETTINGS | {"sequences", "reference", "slices", "window", "brain_mask"}
OPERATIONS = (
    "dicom_series", "choose_sequences", "orient_ras", "register if set", "n4 if set",
    "resample_to_reference", "brain_mask", "region_stats", "standardise if set", "crop_to_brain if set",
    "resize_to_grid, or slices if set",
)  # fmt: skip
# Texts of PatientID that name nobody.
NO_PATIENT = {
    "anonymous", "anonymised", "anonymized", "anon", "unknown", "none", "patient", "test", "removed",
    "deidentified", "de-identified", "0", "00000", "-", "x", "xxx", "n/a", "na",
}  # fmt: skip
# Facts that may differ between the sequences of a case: kept for each sequence, all others once.
OF_A_SEQUENCE = (
    "tr_ms", "te_ms", "ti_ms", "flip_angle_degrees", "slice_thickness_mm", "scanning_sequence",
    "contrast_agent", "low_is_white", "slices",
)  # fmt: skip


def check_settings(task: Task) -> None:
    """Raises InputError for settings that do not fit each other, before any file is read."""
    rules = task.prep.get("sequences", {})
    if task.kind != "classification" or not rules:
        raise InputError(
            f"Task {task.name} reads DICOM: it must be of kind classification, with a rule for each "
            "sequence.",
            f"kind {task.kind}, {len(rules)} rules", "Write prep=dict(sequences=dict(t1=dict(...))).",
        )  # fmt: skip
    check_rules(rules)
    reference = task.prep.get("reference", "")
    if reference and reference not in rules:
        raise InputError(
            "reference in prep must be one of the sequences.", reference,
            f"Choose one of {', '.join(rules)}.",
        )  # fmt: skip
    flat = len(task.image_shape) == 2
    check_volume_settings(task, tuple(rules), 2 if flat else 3)
    if flat:
        check_slices(task)
    if flat and "clahe" in task.prep or not flat and {"slices", "window"} & set(task.prep):
        raise InputError(
            "slices and window in prep are for 2D tasks only, clahe for 3D tasks only.",
            f"{len(task.image_shape)}D", "Remove from prep what does not fit.",
        )  # fmt: skip


def dicom_files(raw: Path, folder: str) -> dict[str, str]:
    """All files in a patient's folder, as in `Case.files`; the role of each is its path in the folder.

    `folder` is relative to the raw folder; raises InputError for one that lies outside.
    """
    if Path(folder).is_absolute() or ".." in Path(folder).parts:
        raise InputError(
            "The folders of patients must lie in the raw folder.", folder, "Correct it in the table."
        )
    home, files = raw / folder, {}
    for path in files_below(home) if home.is_dir() else ():
        files[str(path.relative_to(home))] = str(path.relative_to(raw))
    # A patient without files is listed with a file that does not exist: reading it gives the reason.
    return files or {"*.dcm": f"{folder}/*.dcm"}


def holds_all_files(raw: Path, files: dict[str, str]) -> bool:
    """Whether the files of a case are all those of a patient's folder, as `dicom_files` names them."""
    return all(
        (path == role or path.endswith(f"/{role}")) and not os.path.isdir(raw / path)
        for role, path in files.items()
    )


def identities(raw: Path, case: Case) -> set[str]:
    """What the headers of a case hold that only one patient can have: its PatientID, unless it is a word
    that anonymising programs write, and the UIDs of its studies, series and frames of reference."""
    return set().union(*(identities_below(raw / path) for path in case.files.values()))


def identities_below(path: Path) -> set[str]:
    """As `identities`, of one file, or of all files below a folder."""
    found = set()
    for file in files_below(path) if path.is_dir() else [path]:
        for keyword, value in read_identities(file).items():
            if keyword != "PatientID" or value.lower() not in NO_PATIENT:
                found.add(f"{keyword} {value}")
    return found


def read_case(raw: Path, case: Case, task: Task) -> list[Record]:
    """One 3D record of a patient, or the slices that the task's rule names; raises Unreadable."""
    sequences, reference = tuple(task.prep["sequences"]), task.prep.get("reference", "")
    if any(name in case.files for name in sequences):  # of a case to predict, files of the channels
        volumes = {name: read_volume(raw, case, name) for name in sequences if name in case.files}
        facts = sequence_facts(volumes)
    else:
        missing = task.prep.get("missing", "fail")
        volumes, facts = read_sequences(raw, case, task.prep["sequences"], missing)
    volumes, _, placed = registered(volumes, None, task, sequences, reference)
    facts = {**facts, **placed, **case.facts}
    case = dataclasses.replace(case, facts=facts)
    masks = masks_of(raw, case, task, None, first_of(volumes, sequences, reference))
    if len(task.image_shape) == 3:
        return case_record(volumes, masks, case, task, sequences, reference)
    return slice_records(join_sequences(volumes, masks, case, task, sequences, reference), case, task)


def read_sequences(
    raw: Path, case: Case, rules: dict[str, dict], missing: str = "fail"
) -> tuple[dict[str, Volume], dict]:
    """Reads the sequences of a patient by rules.

    Args:
        raw: the raw folder.
        case: all its files are DICOM; the role of each is its path in the patient's folder.
        rules: sequence -> rule, see `choose_sequences`.
        missing: "fail" if every sequence must be there.

    Returns:
        Sequence -> volume of those that were found; and facts: of each sequence, and under
        `series_left_out` why each other series was left out, if there is any.

    Raises:
        Unreadable: several series fit one rule, a sequence is missing and may not be, or the files are
            of several patients. No reason holds an identity.
    """
    chosen, left_out = choose_series(raw, case, rules)
    volumes = {}
    for name in rules:
        if name not in chosen:
            continue
        volume = require_3d(chosen[name].read())
        if volume.array.min() < volume.array.max():
            volumes[name] = volume
        else:
            left_out.append(f"{name} has one value everywhere")
    absent = [name for name in rules if name not in volumes]
    if absent and (not volumes or missing == "fail"):
        reasons = f"; left out: {'; '.join(left_out)}" if left_out else ""
        raise Unreadable(f"it has no {', '.join(absent)}{reasons}")
    facts = sequence_facts(volumes)
    return volumes, {**facts, "series_left_out": left_out} if left_out else facts


def choose_series(
    raw: Path, case: Case, rules: dict[str, dict]
) -> tuple[dict[str, Series], list[str]]:
    """The series of each sequence, from headers alone, and why each other series was left out.

    Arguments and errors are those of `read_sequences`; a sequence that is missing is no error here.
    """
    folder = _home(raw, case)
    files = sorted(path for path in (raw / one for one in case.files.values()) if path.exists())
    contents = find_series(folder, files=files or None)
    candidates = [_described(series, folder) for series in contents.series]
    choice = choose_sequences(candidates, rules)
    chosen = {name: contents.series[number] for name, number in choice.chosen.items()}
    patients = {series.patient_id for series in chosen.values() if series.patient_id}
    if len(patients) > 1:
        raise Unreadable(f"its folder holds series of {len(patients)} patients")
    left_out = [
        *choice.left_out.values(),
        *(f"{refused.reason} ({len(refused.files)} files)" for refused in contents.refused),
    ]
    return chosen, left_out


def _described(series: Series, folder: Path) -> Series:
    """The series; without a description in its header, described by its folder below the patient's."""
    home = series.files[0].parent
    if series.description or home == folder:
        return series
    return dataclasses.replace(series, description=home.name)


def sequence_facts(volumes: dict[str, Volume]) -> dict:
    """The acquisition facts of each sequence, named `t1_tr_ms` and so on, and the patient's in which all
    sequences agree."""
    of_patient = {}
    for fact in PATIENT:
        values = {volume.facts[fact] for volume in volumes.values() if fact in volume.facts}
        of_patient |= {fact: values.pop()} if len(values) == 1 else {}
    return of_patient | {
        f"{name}_{fact}": volume.facts[fact]
        for name, volume in volumes.items()
        for fact in OF_A_SEQUENCE
        if fact in volume.facts
    }


def _home(raw: Path, case: Case) -> Path:
    """The patient's folder: the path of any file without its role, which is its path in the folder."""
    role, path = next(iter(case.files.items()))
    return raw / path.removesuffix(role)
