"""Layout: a folder for each patient with T1 after contrast agent and a tumour mask (meningiomas).

    manifest.csv             patient_id, grade (I to III or 1 to 3; rows without one are left out);
                             optional: site, scanner, field_strength_t, age, sex, group, split
    <patient>/t1ce.nii.gz    in any orientation
    <patient>/mask.nii.gz    on the same grid; not 0 is tumour

A record is one axial slice with tumour in the pixels of the image, cut about the middle of the tumour's
box, with its mask; 0 where the grid reaches beyond the image. Pixels and slices much finer than
`finest_mm` in `prep` (in-plane, across slices; 0.4 and 2) are first averaged in groups. The spacing
that networks see is fitted on the training side, later.
"""

from pathlib import Path

import numpy as np

from data_prep.case import Case, Unreadable, record_of
from data_prep.cases.case_volumes import Masks, read_labels, read_volume
from data_prep.cases.neighbours import stats_of_slices, with_neighbours
from data_prep.cases.to_predict import CaseToPredict, folders_at, is_table
from data_prep.cases.volume_case import in_dtype, join_sequences
from data_prep.cases.volume_settings import check_settings
from data_prep.io.table import check_patients, path_in, read_table
from data_prep.ops.average import average_groups, averaging_factors
from data_prep.ops.axial import check_tilt
from data_prep.ops.crop import Box, crop, mask_box
from data_prep.volume import Volume
from mri_tf.core.errors import InputError, first_few
from mri_tf.store.record import Record
from mri_tf.task import Task

VERSION = 3
SETTINGS = {"n4", "dtype", "finest_mm"}
OPERATIONS = (
    "orient_ras", "n4 if set", "brain_mask", "region_stats", "standardise if set",
    "average_fine_voxels", "cut_about_tumour",
)  # fmt: skip
SEQUENCE, TABLE = "t1ce", "manifest.csv"
FINEST_MM = (0.4, 2.0)
CLASSES = {"I": "I", "1": "I", "II": "II_III", "2": "II_III", "III": "II_III", "3": "II_III"}
FACTS = ("site", "scanner", "field_strength_t", "age", "sex")


def list_cases(raw: Path, task: Task) -> list[Case]:
    """One case per graded row of manifest.csv; raises InputError for a table that cannot be used."""
    check_settings(task, (SEQUENCE,), axes=2)
    _check_task(task)
    rows = read_table(raw / TABLE, ("patient_id", "grade"))
    check_patients(rows, TABLE)
    names = [row["patient_id"] for row in rows]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise InputError(
            f"Patients have several rows in {TABLE}.", first_few(twice), "Keep one row for each patient."
        )
    rows = [row for row in rows if row["grade"]]
    unknown = sorted({row["grade"] for row in rows} - set(CLASSES))
    if unknown or not rows:
        raise InputError(
            f"grade in {TABLE} must be one of {', '.join(CLASSES)}, or empty.",
            first_few(unknown) if unknown else "no row with a grade",
            "Correct the table.",
        )
    return [
        Case.from_row(
            row,
            {name: path_in(raw, f"{row['patient_id']}/{name}.nii.gz") for name in (SEQUENCE, "mask")},
            CLASSES[row["grade"]],
            FACTS,
        )
        for row in rows
    ]


def read_case(raw: Path, case: Case, task: Task) -> list[Record]:
    """The slices with tumour, head first; raises Unreadable."""
    image = read_volume(raw, case, SEQUENCE)
    try:
        labels = read_labels(raw, case, "mask")
    except Unreadable as error:
        raise Unreadable(f"mask: {error}") from None
    if labels is None:
        raise Unreadable("it has no tumour mask: give one with --mask")
    tumour = Volume((labels.array != 0).astype(np.uint8), labels.affine)
    joined = join_sequences({SEQUENCE: image}, Masks(tumour), case, task, (SEQUENCE,))
    check_tilt(joined.volume)
    in_plane_mm, across_mm = task.prep.get("finest_mm", FINEST_MM)
    factors = averaging_factors(joined.volume.spacing_mm, (in_plane_mm, in_plane_mm, across_mm))
    volume = average_groups(joined.volume, factors)
    mask = _half_full(average_groups(joined.mask, factors))
    box = _box_about(mask, task.image_shape)
    first, count = box.start[2], volume.array.shape[2]
    whole = Box((*box.start[:2], 0), (*box.stop[:2], count))  # of all slices, for the neighbours
    tall, volume, mask = crop(volume, whole), crop(volume, box), crop(mask, box)

    def slice_at(z: int) -> tuple[np.ndarray, np.ndarray]:
        image = in_dtype(_turned(tall.array[:, :, z]), task.prep.get("dtype", "float32"))
        return image, volume.affine @ _to_voxel(task.image_shape, z - first)

    records, stats = [], stats_of_slices(joined.stats, task)
    for number in np.flatnonzero(mask.array.any(axis=(0, 1)))[::-1].tolist():
        image, affine, known = with_neighbours(slice_at, first + number, count, task)
        records.append(record_of(
            case, task, image, mask=_turned(mask.array[:, :, number]), facts={**joined.facts, **known},
            affine=affine, stats=stats,
        ))  # fmt: skip
    return records


def cases_to_predict(path: Path, task: Task) -> list[CaseToPredict]:
    """A patient's folder (t1ce.nii.gz, mask.nii.gz), a volume with --mask, a table of patients, or a
    folder of patients."""
    if path.is_file() and not is_table(path):
        case = Case(path.name.partition(".")[0], {SEQUENCE: path.name})
        return [CaseToPredict(path.name, path.parent, case)]
    form = f"A patient is a folder with {SEQUENCE}.nii.gz and mask.nii.gz (or --mask)."
    return folders_at(path, _patient_files, form)


def _patient_files(folder: Path) -> dict[str, str]:
    """The volume, if there is one, and always its mask, so that reading says where it is missing."""
    has_volume = (folder / f"{SEQUENCE}.nii.gz").is_file()
    return {name: f"{name}.nii.gz" for name in (SEQUENCE, "mask")} if has_volume else {}


def _check_task(task: Task) -> None:
    wrong = sorted(set(CLASSES.values()) ^ set(task.class_names))
    finest = task.prep.get("finest_mm", FINEST_MM)
    if wrong:
        raise InputError(
            f"Task {task.name} must have the classes {', '.join(sorted(set(CLASSES.values())))}.",
            first_few(task.class_names), "Correct class_names in the task file.",
        )  # fmt: skip
    if not isinstance(finest, tuple) or len(finest) != 2 or not min(finest) > 0:
        raise InputError(
            "finest_mm in prep must be two lengths in mm: of pixels and from slice to slice.", finest,
            "For example (0.4, 2.0).",
        )  # fmt: skip


def _half_full(share: Volume) -> Volume:
    """Voxels that are at least half tumour; if there are none, those with the largest share."""
    least = min(0.5, float(share.array.max()))
    marked = (share.array > 0) & (share.array >= least)
    return Volume(marked.astype(np.uint8), share.affine)


def _box_about(mask: Volume, grid: tuple[int, int]) -> Box:
    """The box of all slices with tumour, `grid` (rows, columns) about its middle; raises Unreadable."""
    tumour = mask_box(mask.array)
    size, box_size = np.array(tumour.size), np.array([grid[1], grid[0], tumour.size[2]])  # x, y, z
    if np.any(size > box_size):
        size_mm = size * mask.spacing_mm
        raise Unreadable(
            f"the tumour is {size_mm[1]:.0f} x {size_mm[0]:.0f} mm, {size[1]} x {size[0]} pixels: "
            f"more than image_shape of the task, {grid[0]} x {grid[1]} (set a larger one, or a larger "
            "finest_mm)"
        )
    start = np.array(tumour.start) - (box_size - size) // 2
    return Box(tuple(start.tolist()), tuple((start + box_size).tolist()))


def _turned(plane: np.ndarray) -> np.ndarray:
    """(x, y) or (x, y, channels) -> (rows, columns, ...), front to back and patient's right to left."""
    return np.ascontiguousarray(np.swapaxes(plane[::-1, ::-1], 0, 1))


def _to_voxel(grid: tuple[int, int], z: int) -> np.ndarray:
    """(4, 4): (column, row, 0) of a record -> voxel of the cropped volume."""
    rows, columns = grid
    return np.array([[-1.0, 0, 0, columns - 1], [0, -1, 0, rows - 1], [0, 0, 1, z], [0, 0, 0, 1]])
