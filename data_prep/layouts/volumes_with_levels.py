"""Chest CT volumes -> axial slices labelled with their level (recipe A, 2D classification).

Raw layout: volumes/<patient>.nii.gz in Hounsfield units and levels.csv with the columns
patient_id, z_mm (height of the slice's centre in the scanner's RAS millimetres) and level.
"""

import math
from pathlib import Path

from data_prep.case import Case, Unreadable
from data_prep.cases.to_predict import CaseToPredict, volumes_at
from data_prep.io.nifti import read_nifti
from data_prep.io.table import check_labels, check_patients, read_table
from data_prep.ops.axial import axial_slice, check_tilt, hounsfield_int16, nearest_slice
from data_prep.ops.clahe import clahe_uint8
from data_prep.volume import Volume, geometry_facts, three_dimensional
from mri_tf.core.errors import InputError
from mri_tf.store.record import NO_LABEL, Record
from mri_tf.task import Task

VERSION = 1
OPERATIONS = ("orient_ras", "axial_slices", "resample_in_plane", "clahe if set")
SETTINGS = {"slope", "intercept", "clahe"}
AIR_HU = -1024


def list_cases(raw: Path, task: Task) -> list[Case]:
    """One source a patient of levels.csv; raises InputError for a table that cannot be used."""
    rows = read_table(raw / "levels.csv", ("patient_id", "z_mm", "level"))
    check_patients(rows, "levels.csv")
    check_labels([row["level"] for row in rows], task, "levels.csv")
    slices: dict[str, list[tuple[float, str]]] = {}
    for line, row in enumerate(rows, 2):
        try:
            height_mm = float(row["z_mm"])
            if not math.isfinite(height_mm):
                raise ValueError
        except ValueError:
            raise InputError(
                "z_mm in levels.csv is a number.", f"{row['z_mm']!r} in line {line}", "Correct it."
            ) from None
        slices.setdefault(row["patient_id"], []).append((height_mm, row["level"]))
    return [
        Case(
            patient=patient,
            files={"volume": _volume_file(raw, patient)},
            slices=tuple(sorted(rows, reverse=True)),
        )
        for patient, rows in sorted(slices.items())
    ]


def read_case(raw: Path, case: Case, task: Task) -> list[Record]:
    """The labelled slices of one volume, head first; all of one to predict."""
    volume = three_dimensional(read_nifti(raw / case.files["volume"]))
    check_tilt(volume)
    facts = geometry_facts(volume, volume.stored_axes)
    records = []
    for z, level in _chosen_slices(volume, case):
        image, affine = axial_slice(volume, z, task.image_shape, fill=AIR_HU)
        if "clahe" in task.prep:
            image = clahe_uint8(image, **task.prep["clahe"])
        else:
            image = hounsfield_int16(image)
        records.append(
            Record(
                record_id="",
                patient=case.patient,
                image=image[..., None],  # (rows, columns, 1)
                label=task.class_names.index(level) if level else NO_LABEL,
                facts=facts,
                affine=affine,
            )
        )
    return records


def cases_to_predict(path: Path, task: Task) -> list[CaseToPredict]:
    """A volume, a table of patients, or a folder of volumes."""
    return volumes_at(path, "volume", "volumes")


def _chosen_slices(volume: Volume, case: Case) -> list[tuple[int, str]]:
    """z index and level of the slices, the level empty where nobody gave one; raises Unreadable."""
    if case.to_predict:
        return [(z, "") for z in reversed(range(volume.array.shape[2]))]
    chosen, level_of = [], {}
    for height_mm, level in case.slices:
        z = nearest_slice(volume, height_mm)
        if z is None:
            raise Unreadable(f"the slice at z_mm {height_mm:g} lies outside the volume")
        if level_of.setdefault(z, level) != level:
            raise Unreadable(f"one slice is {level_of[z]} and {level}, at z_mm {height_mm:g}")
        chosen.append((z, level))
    return chosen


def _volume_file(raw: Path, patient: str) -> str:
    plain = f"volumes/{patient}.nii"
    return plain if (raw / plain).is_file() else f"{plain}.gz"
