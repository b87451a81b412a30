"""How phantoms write CSV tables and DICOM series: each appears under its name only when complete."""

import csv
import os
import shutil
from pathlib import Path

import numpy as np
from pydicom import dcmwrite
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, MRImageStorage, generate_uid
from pydicom.valuerep import DSfloat

from data_prep.volume import LPS_TO_RAS


def write_table(path: Path, columns: tuple[str, ...], rows: list[tuple]) -> None:
    """Writes a CSV table with a header."""
    partial = path.with_name("." + path.name)
    with partial.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows(rows)
    os.replace(partial, path)


def save_series(folder: Path, array: np.ndarray, affine: np.ndarray, header: dict, key: str) -> None:
    """Writes an MR series as Image-<n>.dcm, one file per slice. An existing folder is kept.

    Args:
        folder: of the series.
        array: uint16 (columns, rows, slices).
        affine: (4, 4), from indices of the array to RAS mm.
        header: DICOM keyword -> value.
        key: text from which all UIDs are computed, so that the same phantom has the same UIDs.
    """
    if folder.exists():
        return
    partial = folder.with_name("." + folder.name)
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    spacing = np.linalg.norm(affine[:3, :3], axis=0)
    to_lps = LPS_TO_RAS @ affine
    series = generate_uid(entropy_srcs=[key])
    for number in range(array.shape[2]):
        image = generate_uid(entropy_srcs=[key, str(number)])
        meta = FileMetaDataset()
        meta.TransferSyntaxUID, meta.MediaStorageSOPClassUID = ExplicitVRLittleEndian, MRImageStorage
        meta.MediaStorageSOPInstanceUID = image
        data = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
        data.SOPClassUID, data.SOPInstanceUID = MRImageStorage, image
        data.SeriesInstanceUID, data.Modality, data.InstanceNumber = series, "MR", number + 1
        data.ImageOrientationPatient = _decimals((to_lps[:3, :2] / spacing[:2]).T)
        data.ImagePositionPatient = _decimals((to_lps @ [0, 0, number, 1])[:3])
        data.PixelSpacing = _decimals([spacing[1], spacing[0]])
        data.SliceThickness = _decimals([spacing[2]])[0]
        for keyword, value in header.items():
            setattr(data, keyword, value)
        pixels = np.ascontiguousarray(array[:, :, number].T)  # (rows, columns)
        data.Rows, data.Columns = pixels.shape
        data.SamplesPerPixel, data.PhotometricInterpretation = 1, "MONOCHROME2"
        data.BitsAllocated, data.BitsStored, data.HighBit, data.PixelRepresentation = 16, 16, 15, 0
        data.PixelData = pixels.astype("<u2").tobytes()
        dcmwrite(partial / f"Image-{number + 1}.dcm", data, enforce_file_format=True)
    os.replace(partial, folder)


def _decimals(values) -> list[DSfloat]:
    """Decimal strings of at most 16 characters, as DICOM requires."""
    return [DSfloat(float(value), auto_format=True) for value in np.ravel(values)]
