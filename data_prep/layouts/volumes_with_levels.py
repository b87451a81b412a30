"""Layout: CT volumes and a table of the levels of their slices, for 2D classification.

    levels.csv                 patient_id, z_mm (height of the slice's centre in the scanner's RAS
                               millimetres), level
    volumes/<patient>.nii.gz   in Hounsfield units, or .nii
"""

import math
from pathlib import Path

import numpy as np

from data_prep.case import Case, Unreadable, nifti_file, record_of
from data_prep.cases.case_volumes import read_volume
from data_prep.cases.neighbours import with_neighbours
from data_prep.cases.to_predict import CaseToPredict, volumes_at
from data_prep.io.labels import check_labels
from data_prep.io.table import check_patients, read_table
from data_prep.ops.axial import AIR_HU, axial_slice, check_tilt, hounsfield_int16, nearest_slice
from data_prep.ops.clahe import clahe_uint8
from data_prep.volume import Volume, geometry_facts
from mri_tf.core.errors import InputError, first_few
from mri_tf.core.words import number_in
from mri_tf.store.record import Record
from mri_tf.task import Task

VERSION = 2
OPERATIONS = ("orient_ras", "axial_slices", "resample_in_plane", "clahe if set")
SETTINGS = {"slope", "intercept", "clahe"}


def list_cases(raw: Path, task: Task) -> list[Case]:
    """One case per patient of levels.csv; raises InputError for a table that cannot be used."""
    rows = read_table(raw / "levels.csv", ("patient_id", "z_mm", "level"))
    check_patients(rows, "levels.csv")
    check_labels(rows, "level", task, "levels.csv")
    without = [str(row.line) for row in rows if not row["level"]]
    if without:
        raise InputError(
            "Rows of levels.csv have no level.", f"line {first_few(without)}",
            "Fill in the levels, or remove these rows.",
        )  # fmt: skip
    slices: dict[str, list[tuple[float, str]]] = {}
    for row in rows:
        height_mm = number_in(row["z_mm"])
        if not math.isfinite(height_mm):
            raise InputError(
                "z_mm in levels.csv must be a number.", f"{row['z_mm']!r} in line {row.line}",
                "Write the height of the slice in mm.",
            )  # fmt: skip
        slices.setdefault(row["patient_id"], []).append((height_mm, row["level"]))
    return [
        Case(
            patient=patient,
            files={"volume": nifti_file(raw, f"volumes/{patient}")},
            slices=tuple(sorted(rows, reverse=True)),
        )
        for patient, rows in sorted(slices.items())
    ]


def read_case(raw: Path, case: Case, task: Task) -> list[Record]:
    """The labelled slices of a volume, head first; all slices of one to predict.

    Neighbours that the task asks for are those in the volume, labelled or not.
    """
    volume = read_volume(raw, case, "volume")
    check_tilt(volume)
    facts = geometry_facts(volume, volume.stored_axes)

    def slice_at(z: int) -> tuple[np.ndarray, np.ndarray]:
        image, affine = axial_slice(volume, z, task.image_shape, fill=AIR_HU)
        if "clahe" in task.prep:
            image = clahe_uint8(image, **task.prep["clahe"])
        else:
            image = hounsfield_int16(image)
        return image[..., None], affine  # (rows, columns, 1)

    records = []
    for z, level in _chosen_slices(volume, case):
        image, affine, known = with_neighbours(slice_at, z, volume.array.shape[2], task)
        known = {**facts, **known}
        records.append(record_of(case, task, image, label=level, facts=known, affine=affine))
    return records


def cases_to_predict(path: Path, task: Task) -> list[CaseToPredict]:
    """A volume, a table of patients, or a folder of volumes."""
    return volumes_at(path, "volume", "volumes")


def _chosen_slices(volume: Volume, case: Case) -> list[tuple[int, str]]:
    """z index and level of each slice, the level empty if unknown; raises Unreadable."""
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
