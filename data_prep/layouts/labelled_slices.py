"""Layout: CT volumes with label maps, cut into axial slices with masks, for 2D segmentation.

    volumes/<patient>.nii.gz   in Hounsfield units
    labels/<patient>.nii.gz    on the same grid, values in the order of class_names

Files may also end in .nii. A volume without a label map is not listed.
"""

from pathlib import Path

import numpy as np

from data_prep.case import Case, nifti_file, record_of
from data_prep.cases.case_volumes import read_labels, read_volume
from data_prep.cases.neighbours import with_neighbours
from data_prep.cases.to_predict import CaseToPredict, volumes_at
from data_prep.ops.axial import AIR_HU, axial_slice, check_tilt, hounsfield_int16
from data_prep.ops.stack import check_label_map
from data_prep.volume import geometry_facts
from mri_tf.core.errors import InputError
from mri_tf.store.record import Record
from mri_tf.task import Task

VERSION = 2
SETTINGS = {"slice_step", "slope", "intercept"}
OPERATIONS = ("orient_ras", "axial_slices", "resample_in_plane")


def list_cases(raw: Path, task: Task) -> list[Case]:
    """One case per label map; raises InputError if there is none."""
    maps = [
        path
        for path in sorted((raw / "labels").glob("[!.]*"))
        if path.name.endswith((".nii", ".nii.gz"))
    ]
    if not maps:
        raise InputError(
            "The raw folder holds no label maps.", f"{raw} without labels/*.nii.gz",
            "Put label maps into labels/<patient>.nii.gz, volumes into volumes/<patient>.nii.gz.",
        )
    return [
        Case(
            patient=path.name.partition(".nii")[0],
            files={
                "volume": nifti_file(raw, f"volumes/{path.name.partition('.nii')[0]}"),
                "labels": f"labels/{path.name}",
            },
        )
        for path in maps
    ]


def read_case(raw: Path, case: Case, task: Task) -> list[Record]:
    """Every `prep["slice_step"]`-th axial slice, head first, with its label map; every slice of a
    volume that has none. Neighbours that the task asks for are the next slices, whatever the step."""
    volume, labels, step = read_volume(raw, case, "volume"), None, 1
    check_tilt(volume)
    if "labels" in case.files:
        labels = read_labels(raw, case, "labels")
        check_label_map(labels, volume, len(task.class_names))
        step = max(1, task.prep.get("slice_step", 1))
    facts, count = geometry_facts(volume, volume.stored_axes), volume.array.shape[2]

    def slice_at(z: int) -> tuple[np.ndarray, np.ndarray]:
        image, affine = axial_slice(volume, z, task.image_shape, fill=AIR_HU)
        return hounsfield_int16(image)[..., None], affine  # (rows, columns, 1)

    records = []
    for z in range(count - 1, -1, -step):
        image, affine, known = with_neighbours(slice_at, z, count, task)
        mask = None
        if labels is not None:
            mask = axial_slice(labels, z, task.image_shape, fill=0, nearest=True)[0].astype(np.uint8)
        known = {**facts, **known}
        records.append(record_of(case, task, image, mask, facts=known, affine=affine))
    return records


def cases_to_predict(path: Path, task: Task) -> list[CaseToPredict]:
    """A volume, a table of patients, or a folder of volumes."""
    return volumes_at(path, "volume", "volumes")
