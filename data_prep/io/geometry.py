"""Reads the grid of a volume from its header alone: how many voxels, how large."""

import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from data_prep.case import Unreadable
from data_prep.io.dicom.series import Series, find_series
from data_prep.io.header_pair import is_header_pair, read_place_of_pair
from data_prep.io.nifti import read_place
from data_prep.io.volume_file import READERS, is_dicom, may_be_dicom, text_header_kind


@dataclass(frozen=True)
class Grid:
    """The voxels of a volume along x (to the right), y (to the front) and z (to the head)."""

    shape: tuple[int, int, int]
    spacing_mm: tuple[float, float, float]
    modality: str = ""  # as DICOM writes it; empty for other formats


def read_grid(path: Path) -> Grid:
    """The grid of a volume file or of a DICOM series; raises Unreadable for what has none."""
    import nibabel

    if may_be_dicom(path.name) and is_dicom(path):
        return _of_dicom(path)
    try:
        if kind := text_header_kind(path):
            shape, affine = _of_itk(path, kind)
        elif is_header_pair(path):
            shape, affine = read_place_of_pair(path)
        else:
            shape, affine = read_place(path)
        return grid_of(shape[:3], affine)
    except Unreadable:
        raise
    except FileNotFoundError:
        raise Unreadable("the file does not exist") from None
    except (
        OSError, EOFError, ValueError, RuntimeError, KeyError, TypeError, zlib.error,
        nibabel.filebasedimages.ImageFileError, nibabel.spatialimages.HeaderDataError,
    ) as error:  # fmt: skip
        raise Unreadable(f"its header cannot be read ({type(error).__name__})") from None


def grid_of(shape: tuple[int, ...], affine: np.ndarray, modality: str = "") -> Grid:
    """The grid of an array (i, j, k) with its affine (4, 4) to RAS mm; raises ValueError."""
    from nibabel import orientations

    turn = orientations.io_orientation(affine)
    if len(shape) != 3 or np.isnan(turn).any():
        raise ValueError("no volume")
    spacing_mm = np.linalg.norm(affine[:3, :3], axis=0)
    order = np.argsort(turn[:, 0])  # stored axis of x, y and z
    return Grid(
        tuple(int(shape[axis]) for axis in order),
        tuple(round(float(spacing_mm[axis]), 4) for axis in order), modality,
    )  # fmt: skip


def _of_itk(path: Path, kind: str) -> tuple[tuple[int, ...], np.ndarray]:
    import SimpleITK

    reader = SimpleITK.ImageFileReader()
    reader.SetImageIO(READERS[kind])
    reader.SetFileName(str(path))
    reader.ReadImageInformation()
    affine = np.eye(4)
    directions = np.reshape(reader.GetDirection(), (reader.GetDimension(),) * 2)[:3, :3]
    affine[:3, :3] = np.diag([-1, -1, 1]) @ directions @ np.diag(reader.GetSpacing()[:3])
    return reader.GetSize()[:3], affine


def _of_dicom(path: Path) -> Grid:
    series = find_series(path).series
    if len(series) != 1:
        raise Unreadable(f"it holds {len(series)} series")
    return grid_of_series(series[0])


def grid_of_series(series: Series) -> Grid:
    """The grid of a DICOM series; raises Unreadable."""
    rows, columns = series.stack[0].shape
    return grid_of((columns, rows, len(series.stack)), series.affine, series.facts.get("modality", ""))
