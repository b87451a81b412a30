"""Folders of DICOM as scanners and archives write them: each function writes one and names its kind."""

from pathlib import Path

import numpy as np
from dicom_series import AFFINE, LPS_TO_RAS, decimals, each, multi_frame, series, write
from pydicom.dataset import FileDataset
from pydicom.uid import (
    CTImageStorage,
    EnhancedCTImageStorage,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLSLossless,
    RLELossless,
)
from scipy.spatial.transform import Rotation

SHAPE = (20, 16, 12)  # columns, rows, slices
SHEARED = np.array([[-1.0, 0, 0, 10], [0, -1, 0.4, 8], [0, 0, 3, -20], [0, 0, 0, 1]])
SAGITTAL = np.array([[0, 0, 2.5, -15], [-1.2, 0, 0, 20], [0, -1, 0, 10], [0, 0, 0, 1.0]])
COMPRESSED = {"RLE": RLELossless, "JPEG-LS": JPEGLSLossless, "JPEG 2000": JPEG2000Lossless}


def bright_ellipsoid(shape=SHAPE) -> np.ndarray:
    """(columns, rows, slices) uint16: 200 inside, off the middle, 20 outside."""
    place = np.stack(np.meshgrid(*map(np.arange, shape), indexing="ij"), axis=-1)
    middle, radii = np.array(shape) * (0.35, 0.55, 0.4), np.array(shape) * (0.22, 0.2, 0.25)
    inside = (((place - middle) / radii) ** 2).sum(axis=-1) < 1
    return np.where(inside, 200, 20).astype(np.uint16)


def turned(angles=(8, -6, 12), spacing=(1, 1.2, 2.5)) -> np.ndarray:
    """An oblique affine from indices to RAS mm."""
    affine = np.eye(4)
    affine[:3, :3] = Rotation.from_euler("xyz", angles, True).as_matrix() @ np.diag((-1, -1, 1))
    affine[:3, :3] = affine[:3, :3] @ np.diag(spacing)
    affine[:3, 3] = (30, -12, 44)
    return affine


def compressed(datasets: list[FileDataset], syntax) -> list[FileDataset]:
    """The same pixels in a compressed transfer syntax."""
    import imagecodecs
    from pydicom.encaps import encapsulate

    for data in datasets:
        if syntax == RLELossless:
            data.compress(syntax)
            continue
        encode = imagecodecs.jpegls_encode if syntax == JPEGLSLossless else _jpeg2000
        data.PixelData = encapsulate([encode(np.ascontiguousarray(data.pixel_array))])
        data["PixelData"].is_undefined_length = True
        data.file_meta.TransferSyntaxUID = syntax
    return datasets


def _jpeg2000(pixels: np.ndarray) -> bytes:
    import imagecodecs

    return imagecodecs.jpeg2k_encode(pixels, level=0, codecformat="J2K", reversible=True)


def _of_ct(data: FileDataset, number: int = 0) -> None:
    data.SOPClassUID = data.file_meta.MediaStorageSOPClassUID = CTImageStorage
    data.Modality, data.RescaleSlope, data.RescaleIntercept = "CT", 1, -10
    del data.RepetitionTime, data.EchoTime


def _strange(data: FileDataset, number: int) -> None:
    """Values that are no dates, ages or codes, and a name that needs another alphabet."""
    data.SpecificCharacterSet = "ISO_IR 192"
    data.PatientName, data.PatientSex = "Müller^Jürgen=山田^太郎", "X"
    data.PatientID = "0042"
    data.add_new("StudyDate", "DA", "yesterday")
    data.add_new("PatientAge", "AS", "old")
    data.StudyID, data.AccessionNumber = "1", "A-77"


def _bare(data: FileDataset, number: int) -> None:
    for keyword in ("PatientName", "PatientID", "InstanceNumber", "SeriesNumber"):
        if keyword in data:
            delattr(data, keyword)


def _jittered(data: FileDataset, number: int) -> None:
    """Directions that differ in the last digits from slice to slice, as some scanners write them."""
    directions = np.array(data.ImageOrientationPatient, float) + 1e-5 * (number % 3)
    data.ImageOrientationPatient = decimals(directions)


def two_echoes(array: np.ndarray, affine: np.ndarray = AFFINE) -> FileDataset:
    """One multi-frame object of two stacks at the same places, of different echo times."""
    double = np.concatenate([array, array[..., ::-1]], axis=2)
    data = multi_frame(double, affine)
    count, to_lps = array.shape[2], LPS_TO_RAS @ affine
    order = np.random.default_rng(2).permutation(double.shape[2])
    for number, group in zip(order, data.PerFrameFunctionalGroupsSequence, strict=True):
        place = decimals((to_lps @ [0, 0, number % count, 1])[:3])
        group.PlanePositionSequence[0].ImagePositionPatient = place
        echo = FileDataset("", {})
        echo.EffectiveEchoTime = 12.0 if number < count else 80.0
        group.MREchoSequence = [echo]
    return data


def folders(home: Path) -> dict[str, Path]:
    """Kind of source -> a folder that holds one series of `bright_ellipsoid` written in that way."""
    array = bright_ellipsoid()
    made: dict[str, list[FileDataset]] = {
        "MR": series(array),
        "oblique": series(array, turned()),
        "steep": series(array, turned((50, 20, -35))),
        "sagittal": series(array, SAGITTAL),
        "tilted gantry": each(series(array, SHEARED), _of_ct),
        "CT": each(series(array), _of_ct),
        "one slice": series(array[..., 4:5], turned()),
        "feet first": series(array[..., ::-1], turned() @ np.diag([1, 1, -1, 1])),
        "bare headers": each(series(array), _bare),
        "strange values": each(series(array), _strange),
        "uneven directions": each(series(array, turned()), _jittered),
        "multi-frame": [multi_frame(array)],
        "multi-frame oblique": [multi_frame(array, turned())],
        "multi-frame CT": [_enhanced_ct(array)],
        "implicit VR": each(series(array), _implicit),
    }
    made |= {name: compressed(series(array, turned()), syntax) for name, syntax in COMPRESSED.items()}
    found = {}
    for kind, datasets in made.items():
        write(home / kind.replace(" ", "_"), datasets)
        found[kind] = home / kind.replace(" ", "_")
    return found


def _enhanced_ct(array: np.ndarray) -> FileDataset:
    data = multi_frame(array, turned((3, 4, 5)))
    data.SOPClassUID = data.file_meta.MediaStorageSOPClassUID = EnhancedCTImageStorage
    data.Modality = "CT"
    return data


def _implicit(data: FileDataset, number: int) -> None:
    data.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian
    data.set_original_encoding(True, True)
