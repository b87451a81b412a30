"""Chest CT volumes with label maps -> axial slices with 16 structures (recipe A, 2D pre-training).

Raw layout: volumes/<patient>.nii.gz in Hounsfield units and labels/<patient>.nii.gz on the same
grid, values in the order of class_names. A volume without a label map is not listed.
"""

from pathlib import Path

import numpy as np

from data_prep.case import Case
from data_prep.cases.to_predict import CaseToPredict, volumes_at
from data_prep.io.nifti import read_nifti
from data_prep.ops.axial import axial_slice, check_tilt, hounsfield_int16
from data_prep.ops.stack import check_label_map
from data_prep.volume import geometry_facts, three_dimensional
from mri_tf.core.errors import InputError
from mri_tf.store.record import Record
from mri_tf.task import Task

VERSION = 1
SETTINGS = {"slice_step", "slope", "intercept"}
OPERATIONS = ("orient_ras", "axial_slices", "resample_in_plane")
AIR_HU = -1024


def list_cases(raw: Path, task: Task) -> list[Case]:
    """One source a volume with a label map; raises InputError if there is none."""
    maps = [
        path
        for path in sorted((raw / "labels").glob("[!.]*"))
        if path.name.endswith((".nii", ".nii.gz"))
    ]
    if not maps:
        raise InputError(
            f"The raw folder of {task.name} holds volumes/ and labels/ with NIfTI files.",
            f"{raw} without label maps",
            "Add labels/<patient>.nii.gz beside volumes/<patient>.nii.gz.",
        )
    return [
        Case(
            patient=path.name.partition(".nii")[0],
            files={"volume": _volume_file(raw, path), "labels": f"labels/{path.name}"},
        )
        for path in maps
    ]


def _volume_file(raw: Path, label_map: Path) -> str:
    plain = f"volumes/{label_map.name.removesuffix('.gz')}"
    return plain if (raw / plain).is_file() else f"{plain}.gz"


def read_case(raw: Path, case: Case, task: Task) -> list[Record]:
    """Every `prep["slice_step"]`-th axial slice, head first, with its label map; every slice of a
    volume that has none."""
    volume = three_dimensional(read_nifti(raw / case.files["volume"]))
    check_tilt(volume)
    labels, step = None, 1
    if "labels" in case.files:
        labels = three_dimensional(read_nifti(raw / case.files["labels"]))
        check_label_map(labels, volume, len(task.class_names))
        step = max(1, task.prep.get("slice_step", 1))
    facts = geometry_facts(volume, volume.stored_axes)
    records = []
    for z in range(volume.array.shape[2] - 1, -1, -step):
        image, affine = axial_slice(volume, z, task.image_shape, fill=AIR_HU)
        mask = None
        if labels is not None:
            mask = axial_slice(labels, z, task.image_shape, fill=0, nearest=True)[0].astype(np.uint8)
        records.append(
            Record(
                record_id="",
                patient=case.patient,
                image=hounsfield_int16(image)[..., None],  # (rows, columns, 1)
                mask=mask,
                facts=facts,
                affine=affine,
            )
        )
    return records


def cases_to_predict(path: Path, task: Task) -> list[CaseToPredict]:
    """A volume, a table of patients, or a folder of volumes."""
    return volumes_at(path, "volume", "volumes")
