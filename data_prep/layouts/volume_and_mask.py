"""Meningiomas: T1 after contrast agent with the tumour's mask, NIfTI a patient; recipe B.

Raw layout: manifest.csv (patient_id, grade; site, scanner, field_strength_t, age, sex, group, split
where known) and, in a folder a patient, t1ce.nii.gz and mask.nii.gz (anything but 0 is tumour), in any
orientation. Grades I to III, or 1 to 3; rows without a grade are left out.

A record is one axial slice with tumour on pixels of the study's own size, cut about the middle of the
tumour's box, with the mask; 0 where the grid reaches beyond the study. Pixels and slices much finer
than `finest_mm` (in-plane, across slices; 0.4 and 2) are averaged in groups first. The spacing
that networks see is fitted on the training side, later.
"""

from pathlib import Path

import numpy as np

from data_prep.case import Case, Unreadable
from data_prep.cases.to_predict import CaseToPredict, folders_at
from data_prep.cases.volume_case import check_settings, in_dtype, joined_study
from data_prep.io.nifti import read_nifti
from data_prep.io.table import check_patients, read_table
from data_prep.ops.average import averaged, averaging_factors
from data_prep.ops.axial import check_tilt
from data_prep.ops.crop import Box, crop, mask_box
from data_prep.volume import Volume, three_dimensional
from mri_tf.core.errors import InputError, first_few
from mri_tf.store.record import NO_LABEL, Record
from mri_tf.task import Task

VERSION = 1
SETTINGS = {"n4", "dtype", "finest_mm"}
OPERATIONS = (
    "orient_ras", "n4 if set", "brain_mask", "region_stats", "average_fine_voxels",
    "cut_about_tumour",
)  # fmt: skip
SEQUENCE, TABLE = "t1ce", "manifest.csv"
FINEST_MM = (0.4, 2.0)
CLASSES = {"I": "I", "1": "I", "II": "II_III", "2": "II_III", "III": "II_III", "3": "II_III"}
FACTS = ("site", "scanner", "field_strength_t", "age", "sex")


def list_cases(raw: Path, task: Task) -> list[Case]:
    """One source a row of manifest.csv with a grade; raises InputError for a table that cannot be."""
    check_settings(task, (SEQUENCE,), axes=2)
    _check_task(task)
    rows = read_table(raw / TABLE, ("patient_id", "grade"))
    check_patients(rows, TABLE)
    names = [row["patient_id"] for row in rows]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise InputError(
            f"A patient may have one row only in {TABLE}.", first_few(twice), "Keep one case of each."
        )
    rows = [row for row in rows if row["grade"]]
    unknown = sorted({row["grade"] for row in rows} - set(CLASSES))
    if unknown or not rows:
        raise InputError(
            f"grade in {TABLE} is one of {', '.join(CLASSES)}, or empty.",
            first_few(unknown) if unknown else "no grade at all",
            "Correct the table.",
        )
    return [
        Case(
            patient=row["patient_id"],
            files={name: f"{row['patient_id']}/{name}.nii.gz" for name in (SEQUENCE, "mask")},
            label=CLASSES[row["grade"]],
            group=row.get("group", ""),
            split=row.get("split", ""),
            facts={key: row[key] for key in FACTS if row.get(key)},
        )
        for row in rows
    ]


def read_case(raw: Path, case: Case, task: Task) -> list[Record]:
    """The slices with tumour, head first; raises Unreadable."""
    image = three_dimensional(read_nifti(raw / case.files[SEQUENCE]))
    if "mask" not in case.files:
        raise Unreadable("it has no tumour mask: name it with --mask")
    try:
        labels = three_dimensional(read_nifti(raw / case.files["mask"]))
    except Unreadable as error:
        raise Unreadable(f"mask: {error}") from None
    tumour = Volume((labels.array != 0).astype(np.uint8), labels.affine)
    study = joined_study({SEQUENCE: image}, tumour, case, task, (SEQUENCE,))
    check_tilt(study.volume)
    in_plane, across = task.prep.get("finest_mm", FINEST_MM)
    factors = averaging_factors(study.volume.spacing_mm, (in_plane, in_plane, across))
    volume = averaged(study.volume, factors)
    mask = _half_full(averaged(study.mask, factors))
    box = _about(mask, task.image_shape)
    cut, marked = crop(volume, box), crop(mask, box)
    heights = np.flatnonzero(marked.array.any(axis=(0, 1)))[::-1]
    return [
        Record(
            record_id="",
            patient=case.patient,
            image=in_dtype(_turned(cut.array[:, :, z]), task.prep.get("dtype", "float32")),
            label=task.class_names.index(case.label) if case.label else NO_LABEL,
            mask=_turned(marked.array[:, :, z]),
            group=case.group,
            split=case.split,
            facts=study.facts,
            affine=cut.affine @ _to_voxel(task.image_shape, int(z)),
            intensity_stats=study.stats,
        )
        for z in heights
    ]


def cases_to_predict(path: Path, task: Task) -> list[CaseToPredict]:
    """A patient's folder (t1ce.nii.gz, mask.nii.gz), a volume whose mask is named beside it, a table
    of patients, or a folder of patients."""
    if path.is_file() and path.suffix != ".csv":
        case = Case(path.name.partition(".")[0], {SEQUENCE: path.name})
        return [CaseToPredict(path.name, path.parent, case)]
    rule = f"A patient is a folder with {SEQUENCE}.nii.gz and mask.nii.gz (or --mask)."
    return folders_at(path, _patient_files, rule)


def _patient_files(folder: Path) -> dict[str, str]:
    """The volume and its mask, whose lack has a reason later."""
    there = (folder / f"{SEQUENCE}.nii.gz").is_file()
    return {name: f"{name}.nii.gz" for name in (SEQUENCE, "mask")} if there else {}


def _check_task(task: Task) -> None:
    wrong = sorted(set(CLASSES.values()) ^ set(task.class_names))
    finest = task.prep.get("finest_mm", FINEST_MM)
    if wrong:
        raise InputError(
            f"Task {task.name} has the classes {', '.join(sorted(set(CLASSES.values())))}.",
            first_few(task.class_names), "Change class_names.",
        )  # fmt: skip
    if not isinstance(finest, tuple) or len(finest) != 2 or not min(finest) > 0:
        raise InputError(
            "finest_mm in prep is two lengths: of pixels and from slice to slice.", finest,
            "For example (0.4, 2.0).",
        )  # fmt: skip


def _half_full(share: Volume) -> Volume:
    """Voxels of which half is tumour; where there is none, those with most of it."""
    least = min(0.5, float(share.array.max()))
    marked = (share.array > 0) & (share.array >= least)
    return Volume(marked.astype(np.uint8), share.affine)


def _about(mask: Volume, grid: tuple[int, int]) -> Box:
    """The box of all slices with tumour, `grid` pixels about its middle; raises Unreadable."""
    tumour = mask_box(mask.array)
    size, wanted = np.array(tumour.size), np.array([grid[1], grid[0], tumour.size[2]])  # x, y, z
    if np.any(size > wanted):
        wide_mm = size * mask.spacing_mm
        raise Unreadable(
            f"the tumour is {wide_mm[1]:.0f} x {wide_mm[0]:.0f} mm, {size[1]} x {size[0]} pixels: "
            f"more than image_shape of the task, {grid[0]} x {grid[1]} (or set a larger finest_mm)"
        )
    start = np.array(tumour.start) - (wanted - size) // 2
    return Box(tuple(start.tolist()), tuple((start + wanted).tolist()))


def _turned(plane: np.ndarray) -> np.ndarray:
    """(x, y) or (x, y, channels) -> rows front to back, columns patient's right to left."""
    return np.ascontiguousarray(np.swapaxes(plane[::-1, ::-1], 0, 1))


def _to_voxel(grid: tuple[int, int], z: int) -> np.ndarray:
    """(column, row, 0) of a record -> voxel of the cut volume."""
    rows, columns = grid
    return np.array([[-1.0, 0, 0, columns - 1], [0, -1, 0, rows - 1], [0, 0, 1, z], [0, 0, 0, 1]])
