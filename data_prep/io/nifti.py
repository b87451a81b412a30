"""NIfTI and MGH files to Volumes in RAS, orientation from the affine, never from array order."""

import gzip
import logging
import math
import os
import zlib
from pathlib import Path

import numpy as np

from data_prep.case import Unreadable
from data_prep.volume import Volume, in_ras

# What nibabel mends in a header it says; what cannot be read is said here, in one line.
logging.getLogger("nibabel.global").setLevel(logging.CRITICAL)
GZIP_MAGIC = b"\x1f\x8b"
MGH_MAGIC = b"\x00\x00\x00\x01"  # version 1, big-endian
HEADER_BYTES = {348: "NIfTI-1", 540: "NIfTI-2"}
# NIfTI's unit codes; files that leave the unit open are in millimetres by custom.
MM_OF_UNIT = {1: 1000.0, 2: 1.0, 3: 0.001}
NO_PLACE = "the header does not say where the image lies"


def read_nifti(path: Path) -> Volume:
    """A `.nii`, `.nii.gz`, `.mgh` or `.mgz` file as a Volume in RAS; raises Unreadable.

    Told apart by content, not by name. Values are those the header's scale gives: integers as
    stored where it changes nothing, else float32. A fourth axis (or a fifth, for NIfTI vectors)
    becomes channels; trailing axes of length 1 are dropped. A compressed file is decompressed
    whole, so that its checksum is compared: nibabel alone does not, and a flipped byte would
    pass for an image.
    """
    import nibabel

    try:
        data = Path(path).read_bytes()
        if data.startswith(GZIP_MAGIC):
            data = gzip.decompress(data)
        image, mm_per_unit = _image(data)
        _check_length(image, len(data))
        array = _with_channels(np.asanyarray(image.dataobj))
        affine = np.diag([mm_per_unit] * 3 + [1.0]) @ image.affine
        return in_ras(array, affine)
    except Unreadable:
        raise
    except FileNotFoundError:
        raise Unreadable("the file does not exist") from None
    except (
        OSError, EOFError, ValueError, TypeError, KeyError, OverflowError, MemoryError, zlib.error,
        nibabel.wrapstruct.WrapStructError, nibabel.filebasedimages.ImageFileError,
        nibabel.spatialimages.HeaderDataError, nibabel.orientations.OrientationError,
        np.linalg.LinAlgError,
    ) as error:  # fmt: skip
        raise Unreadable(f"not a whole NIfTI or MGH file ({type(error).__name__})") from None


def _image(data: bytes):
    """The nibabel image in a file's bytes, and the millimetres in its unit of length."""
    import nibabel

    if data.startswith(MGH_MAGIC):
        if data[28:30] == b"\x00\x00":  # goodRASFlag; nibabel would assume an orientation
            raise Unreadable(f"{NO_PLACE} (goodRASFlag is 0)")
        return nibabel.MGHImage.from_bytes(data), 1.0
    if data[128:132] == b"DICM":
        raise Unreadable("a DICOM file, not a NIfTI file")
    kind = _nifti_kind(data)
    image = (nibabel.Nifti1Image if kind == "NIfTI-1" else nibabel.Nifti2Image).from_bytes(data)
    if not (image.header["sform_code"] or image.header["qform_code"]):
        raise Unreadable(f"{NO_PLACE} (no sform, no qform)")
    unit = int(image.header["xyzt_units"]) % 8  # the higher bits are the unit of time
    return image, MM_OF_UNIT.get(unit, 1.0)


def _check_length(image, length: int) -> None:
    """nibabel fills the memory that a damaged header asks for before it sees that data are short."""
    stored = image.dataobj
    if stored.offset + math.prod(map(int, stored.shape)) * stored.dtype.itemsize > length:
        raise Unreadable("the file is shorter than its header says")


def _nifti_kind(data: bytes) -> str:
    for order in ("little", "big"):
        kind = HEADER_BYTES.get(int.from_bytes(data[:4], order))
        magic = {"NIfTI-1": data[344:347], "NIfTI-2": data[4:7]}.get(kind, b"")
        if magic in (b"ni1", b"ni2"):
            raise Unreadable("half of a pair of files (.hdr and .img): convert them to one .nii file")
        if kind == "NIfTI-1" and magic != b"n+1":
            raise Unreadable(f"{NO_PLACE} (an ANALYZE file, or a damaged NIfTI file)")
        if kind:
            return kind
    raise Unreadable("not a NIfTI or MGH file")


def _with_channels(array: np.ndarray) -> np.ndarray:
    """(i, j, k) or (i, j, k, channels) of an array whose further axes are of length 1."""
    while array.ndim > 3 and array.shape[-1] == 1:
        array = array[..., 0]
    if array.ndim == 5 and array.shape[3] == 1:  # a vector a voxel, at one time
        array = array[:, :, :, 0]
    if array.ndim not in (3, 4):
        raise Unreadable(f"the image has {array.ndim} dimensions, not 3 (or 4 with channels)")
    if array.dtype.kind not in "iuf":
        raise Unreadable("the image holds colours or complex numbers, not intensities")
    return array


def write_nifti(path: Path, volume: Volume, axis_codes: str = "") -> None:
    """Writes a Volume's array in its own dtype, lengths in mm, its axes reordered to `axis_codes`
    ("LPS" and the like; those of the file it came from unless given)."""
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
