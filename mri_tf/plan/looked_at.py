"""Reads some cases of a raw folder for planning: the grid of a header, the voxels of an image."""

import sys
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image

from data_prep.case import Case, Unreadable
from data_prep.cases.any_case import MASK, read_volumes
from data_prep.cases.dicom_case import holds_all_files
from data_prep.cases.image_case import IMAGE, read_pixels
from data_prep.io.folders import require_file
from data_prep.io.geometry import Grid, grid_of, read_grid
from data_prep.ops.brain_mask import brain_mask
from data_prep.ops.crop import mask_box
from data_prep.volume import require_3d
from mri_tf.task import Task


@dataclass(frozen=True)
class Seen:
    """What was read of one case."""

    grid: Grid | None = None  # None where it could not be read
    values: dict[str, np.ndarray] = field(default_factory=dict)
    foreground_mm: tuple[float, ...] = ()
    colour: bool = False


def grid_of_case(raw: Path, case: Case, images: bool) -> Grid | None:
    """The grid of the first image of a case, by its header; None where that cannot be read."""
    path = raw / first_image(raw, case)
    try:
        if images:
            require_file(path)
            with Image.open(path) as opened:
                return Grid((*opened.size, 1), (0.0, 0.0, 0.0))
        return read_grid(path)
    except (Unreadable, OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return None


def first_image(raw: Path, case: Case) -> str:
    """The path of a case's first image; "" where its files are the single slices of DICOM series."""
    paths = {role: path for role, path in case.files.items() if role != MASK}
    return "" if holds_all_files(raw, paths) else next(iter(paths.values()))


def look_at(raw: Path, case: Case, task: Task, images: bool) -> Seen:
    """Reads the voxels of a case, thinned out; nothing where they cannot be read."""
    try:
        if images:
            return _look_at_image(raw, case, task)
        volumes, _ = read_volumes(raw, case, task)
    except Unreadable as error:
        print(f"one of the cases looked at cannot be read: {error}", file=sys.stderr)
        return Seen()
    first = require_3d(next(iter(volumes.values())))
    inside = brain_mask(first).inside
    extent = ()
    if inside.any():
        extent = tuple(float(v) for v in np.array(mask_box(inside).size) * first.spacing_mm)
    values = {name: volume.array[::2, ::2].astype(np.float32) for name, volume in volumes.items()}
    modality = first.facts.get("modality", "")
    return Seen(grid_of(first.array.shape, first.affine, modality), values, extent)


def _look_at_image(raw: Path, case: Case, task: Task) -> Seen:
    if IMAGE not in case.files:
        files = [raw / case.files[name] for name in task.channels if name in case.files]
        arrays = dict(zip(task.channels, (read_pixels(file, 1, 0) for file in files), strict=False))
    else:
        colours = read_pixels(raw / case.files[IMAGE], 3, 0)  # (rows, columns, 3)
        if (colours != colours[..., :1]).any():
            return Seen(_image_grid(colours), {task.channels[0]: colours}, colour=True)
        arrays = {task.channels[0]: colours[..., 0]}
    return Seen(_image_grid(next(iter(arrays.values()))), arrays)


def _image_grid(array: np.ndarray) -> Grid:
    return Grid((array.shape[1], array.shape[0], 1), (0.0, 0.0, 0.0))
