"""Reads and writes NIfTI files, and reads MGH files, as Volumes in RAS.

The orientation comes from the header's affine, never from the order of the array.
"""

import dataclasses
import gzip
import logging
import math
import os
import struct
import zlib
from pathlib import Path

import numpy as np

from data_prep.case import Unreadable
from data_prep.io.folders import require_file
from data_prep.io.nifti_header import nifti_image
from data_prep.volume import NO_PLACE, Volume, check_size, to_ras_volume

# nibabel logs each header field that it repairs; unreadable files are reported here, in one line.
logging.getLogger("nibabel.global").setLevel(logging.CRITICAL)
GZIP_MAGIC = b"\x1f\x8b"
MGH_MAGIC = b"\x00\x00\x00\x01"  # version 1, big-endian
FIRST_BYTES = 4096  # that hold any header
# By NIfTI's unit code. Files without a unit are in millimetres by convention.
MM_OF_UNIT = {1: 1000.0, 2: 1.0, 3: 0.001}


def read_nifti(path: Path) -> Volume:
    """Reads a `.nii`, `.nii.gz`, `.mgh` or `.mgz` file; the format is detected from the content.

    Returns:
        The Volume in RAS. Values are scaled as the header says: integers as stored where the scale
        changes nothing, else float32. A fourth axis (or a fifth, for NIfTI vectors) becomes
        channels; trailing axes of length 1 are dropped.

    Raises:
        Unreadable: the file is missing, damaged, of another format or without a position.
    """
    import nibabel

    try:
        require_file(path)
        _check_claimed_size(path)
        data = Path(path).read_bytes()
        if data.startswith(GZIP_MAGIC):  # all at once: nibabel alone does not compare the checksum
            data = gzip.decompress(data)
        image, length_mm = _image(data)
        _check_length(image, len(data))
        array = _with_channels(np.asanyarray(image.dataobj))
        affine = in_mm(image.affine, length_mm)
        return dataclasses.replace(to_ras_volume(array, affine), value_step=_value_step(image))
    except Unreadable:
        raise
    except FileNotFoundError:
        raise Unreadable("the file does not exist") from None
    except (
        OSError, EOFError, ValueError, TypeError, KeyError, OverflowError, MemoryError, zlib.error,
        nibabel.wrapstruct.WrapStructError, nibabel.filebasedimages.ImageFileError,
        nibabel.spatialimages.HeaderDataError, nibabel.orientations.OrientationError,
        nibabel.freesurfer.mghformat.MGHError, np.linalg.LinAlgError,
    ) as error:  # fmt: skip
        raise Unreadable(f"not a complete NIfTI or MGH file ({type(error).__name__})") from None


def read_place(path: Path) -> tuple[tuple[int, ...], np.ndarray]:
    """Shape and affine (4, 4) to RAS mm of a file that `read_nifti` reads, from its header alone."""
    image, length_mm = _image(_beginning(path))
    return image.shape, in_mm(image.affine, length_mm)


def in_mm(affine: np.ndarray, length_mm: float) -> np.ndarray:
    """An affine (4, 4) to RAS whose unit of length has so many millimetres, in mm."""
    return np.diag([length_mm] * 3 + [1.0]) @ affine


def mm_per_unit(header) -> float:
    """Millimetres of the unit of length that a NIfTI header names."""
    return MM_OF_UNIT.get(int(header["xyzt_units"]) % 8, 1.0)  # the higher bits are the unit of time


def _beginning(path: Path) -> bytes:
    """The first FIRST_BYTES of the file, unpacked."""
    with Path(path).open("rb") as file:
        packed = file.read(2) == GZIP_MAGIC
        file.seek(0)
        return (gzip.GzipFile(fileobj=file) if packed else file).read(FIRST_BYTES)


def _check_claimed_size(path: Path) -> None:
    """Raises Unreadable for a volume that its header calls larger than any, before it is read."""
    start = _beginning(path)
    if not start:
        raise Unreadable("the file is empty")
    if len(start) < FIRST_BYTES:
        return  # a shorter file claims nothing that matters
    if start.startswith(MGH_MAGIC):
        check_size(struct.unpack_from(">4i", start, 4))
    else:
        check_size(_image(start)[0].shape)


def _image(data: bytes):
    """The nibabel image in a file's bytes, and how many millimetres its unit of length has."""
    import nibabel

    if data.startswith(MGH_MAGIC):
        if data[28:30] == b"\x00\x00":  # goodRASFlag; nibabel would assume an orientation
            raise Unreadable(f"{NO_PLACE} (goodRASFlag is 0)")
        return nibabel.MGHImage.from_bytes(data), 1.0
    if data[128:132] == b"DICM":
        raise Unreadable("a DICOM file, not a NIfTI file")
    image = nifti_image(data)
    return image, mm_per_unit(image.header)


def _value_step(image) -> float:
    """The factor of stored whole numbers where it is not 1; else 0."""
    slope = getattr(image.dataobj, "slope", 1.0)
    scaled = image.get_data_dtype().kind in "iu" and slope not in (0.0, 1.0)
    return abs(float(slope)) if scaled else 0.0


def _check_length(image, length: int) -> None:
    """Raises Unreadable for a short file, before nibabel allocates what a damaged header asks for."""
    stored = image.dataobj
    if stored.offset + math.prod(map(int, stored.shape)) * stored.dtype.itemsize > length:
        raise Unreadable("the file is shorter than its header says")


def _with_channels(array: np.ndarray) -> np.ndarray:
    """Drops further axes of length 1: (i, j, k) or (i, j, k, channels); else raises Unreadable."""
    while array.ndim > 3 and array.shape[-1] == 1:
        array = array[..., 0]
    if array.ndim == 5 and array.shape[3] == 1:  # one vector per voxel, one time point
        array = array[:, :, :, 0]
    if array.ndim not in (3, 4):
        raise Unreadable(f"the image has {array.ndim} dimensions, not 3 (or 4 with channels)")
    if array.dtype.kind not in "iuf":
        raise Unreadable("the image contains colours or complex numbers, not intensities")
    return array


def write_nifti(path: Path, volume: Volume, axis_codes: str = "") -> None:
    """Writes a Volume as NIfTI-1, in the dtype of its array and with lengths in mm.

    Args:
        path: ending in .nii or .nii.gz; the file appears only when it is complete.
        volume: what is written.
        axis_codes: directions of the axes in the file, such as "LPS"; empty for `stored_axes`.
    """
    import nibabel
    from nibabel import orientations

    image = nibabel.Nifti1Image(volume.array, volume.affine)
    image.set_data_dtype(volume.array.dtype)
    image.header.set_xyzt_units("mm")
    turn = orientations.ornt_transform(
        orientations.io_orientation(volume.affine),
        orientations.axcodes2ornt(axis_codes or volume.stored_axes),
    )
    partial = path.with_name("." + path.name)  # the suffix tells nibabel the format
    try:
        nibabel.save(image.as_reoriented(turn), partial)
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)
