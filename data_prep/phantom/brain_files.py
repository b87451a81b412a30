"""Files of the synthetic brains, whole or not there."""

import csv
import os
from pathlib import Path

import nibabel as nib
import numpy as np


def save_nifti(path: Path, array: np.ndarray, affine: np.ndarray, axis_codes: str) -> None:
    """Write array (x, y, z, in RAS) with its axes reordered to `axis_codes`, such as "LPS"."""
    image = nib.Nifti1Image(array, affine)
    image.set_data_dtype(array.dtype)
    image.header.set_xyzt_units("mm")
    turn = nib.orientations.ornt_transform(
        nib.orientations.io_orientation(affine), nib.orientations.axcodes2ornt(axis_codes)
    )
    partial = path.with_name("." + path.name)  # the suffix tells nibabel the format
    try:
        nib.save(image.as_reoriented(turn), partial)
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def write_table(path: Path, columns: tuple[str, ...], rows: list[tuple]) -> None:
    """Write a CSV table with a header."""
    partial = path.with_name("." + path.name)
    with partial.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows(rows)
    os.replace(partial, path)
