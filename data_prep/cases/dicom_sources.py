"""The DICOM series that a case to predict is read from, and how an answer lies on their pixels."""

import os
from pathlib import Path

import numpy as np

from data_prep.case import Case
from data_prep.cases.dicom_case import choose_series, holds_all_files
from data_prep.cases.usual_sequences import usual_rules
from data_prep.cases.volume_settings import sequences_of
from data_prep.io.dicom.masks import mask_object
from data_prep.io.dicom.series import Series, find_series
from data_prep.io.volume_file import is_dicom, may_be_dicom
from data_prep.volume import Volume
from mri_tf.task import Task

ON_PIXELS = 0.01  # pixels by which a grid may lie off that of a series and still be the same


def is_dicom_case(raw: Path, case: Case) -> bool:
    """Whether the images of a case are DICOM: each of its roles but masks, or some of a patient's files,
    among which others may lie."""
    paths = [raw / path for role, path in case.files.items() if "mask" not in role]
    of_dicom = [may_be_dicom(path.name) and is_dicom(path) for path in paths if os.path.lexists(path)]
    return any(of_dicom) if holds_all_files(raw, case.files) else bool(of_dicom) and all(of_dicom)


def series_of_case(raw: Path, case: Case, task: Task) -> dict[str, Series]:
    """Sequence or role -> the series that is read for it, from headers alone; that of the grid first.

    Args:
        raw: the folder that the files of the case are relative to.
        case: its files are DICOM: one file or folder for each role, or all files of a patient, whose
            roles are their paths.
        task: its rules, or the usual ones, tell the sequences of a patient apart.

    Raises:
        Unreadable: as `read_sequences`.
    """
    if holds_all_files(raw, case.files):
        rules = task.prep.get("sequences") or usual_rules(sequences_of(task))
        found = choose_series(raw, case, rules)[0]
    else:
        found = {}
        for role, path in case.files.items():
            if os.path.isfile(raw / path) and mask_object(raw / path):
                continue
            series = find_series(raw / path).series
            if len(series) == 1:
                found[role] = series[0]
    first = [name for name in (task.prep.get("reference", ""), *sequences_of(task)) if name in found]
    return {name: found[name] for name in dict.fromkeys([*first, *found])}


def series_on_grid(found: dict[str, Series], grid: Volume) -> Series | None:
    """The first of the series whose pixels are the voxels of a grid; None if none is."""
    return next((one for one in found.values() if _turn(grid, one) is not None), None)


def on_pixels(volume: Volume, series: Series) -> np.ndarray:
    """The values of a volume (x, y, z) on the pixels of a series: (slices, rows, columns).

    The slices are those of `series.stack`, in its order. Raises ValueError where the volume lies on
    another grid.
    """
    turn = _turn(volume, series)
    if turn is None:
        raise ValueError("the volume does not lie on the pixels of the series")
    axes, backwards = turn
    turned = np.flip(volume.array.transpose(axes), [axis for axis in range(3) if backwards[axis]])
    return np.ascontiguousarray(turned.transpose(2, 1, 0))


def _turn(volume: Volume, series: Series) -> tuple[tuple[int, ...], tuple[bool, ...]] | None:
    """Which axis of the volume each of (column, row, slice) runs along, and whether backwards; None
    unless every pixel's centre is a voxel's and the other way round."""
    rows, columns = series.stack[0].shape
    size = np.array([columns, rows, len(series.stack)])
    to_voxel = np.linalg.inv(volume.affine) @ series.affine  # (column, row, slice) -> (x, y, z)
    axes = tuple(int(axis) for axis in np.abs(to_voxel[:3, :3]).argmax(axis=0))
    if sorted(axes) != [0, 1, 2] or tuple(np.array(volume.array.shape[:3])[list(axes)]) != tuple(size):
        return None
    backwards = tuple(bool(to_voxel[axis, place] < 0) for place, axis in enumerate(axes))
    exact = np.eye(4)
    exact[:3, :3] = 0
    for place, axis in enumerate(axes):
        exact[axis, place] = -1 if backwards[place] else 1
        exact[axis, 3] = size[place] - 1 if backwards[place] else 0
    corners = np.array([[0, 0, 0, 1], [*(size - 1), 1], [size[0] - 1, 0, size[2] - 1, 1]]).T
    off = np.abs((to_voxel - exact) @ corners).max()
    return (axes, backwards) if off < ON_PIXELS else None
