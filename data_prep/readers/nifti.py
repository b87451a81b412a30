"""NIfTI files to Volumes in RAS, orientation from the affine, never from array order."""

import gzip
import zlib
from pathlib import Path

import numpy as np

from data_prep.source import Unreadable
from data_prep.volume import Volume

NIFTI1_HEADER_BYTES, NIFTI2_HEADER_BYTES = 348, 540
GZIP_MAGIC = b"\x1f\x8b"


def read_nifti(path: Path) -> Volume:
    """A 3D image as a Volume in RAS, in the scaled values of its header; raises Unreadable.

    Trailing axes of length 1 are dropped. A compressed file is decompressed whole, so that its
    checksum is compared: nibabel alone does not, and a flipped byte would pass for an image.
    """
    import nibabel

    try:
        data = Path(path).read_bytes()
        if data.startswith(GZIP_MAGIC):
            data = gzip.decompress(data)
        image = _from_bytes(data)
        if not (image.header["sform_code"] or image.header["qform_code"]):
            raise Unreadable("the header does not say where the image lies (no sform, no qform)")
        array = np.asanyarray(image.dataobj)
        image = nibabel.Nifti1Image(_three_dimensional(array), image.affine)
        image = nibabel.as_closest_canonical(image)
    except Unreadable:
        raise
    except FileNotFoundError:
        raise Unreadable("the file does not exist") from None
    except (
        OSError, EOFError, ValueError, TypeError, MemoryError, zlib.error,
        nibabel.wrapstruct.WrapStructError, nibabel.filebasedimages.ImageFileError,
        nibabel.spatialimages.HeaderDataError, nibabel.orientations.OrientationError,
        np.linalg.LinAlgError,
    ) as error:  # fmt: skip
        raise Unreadable(f"not a whole NIfTI file ({type(error).__name__})") from None
    array = np.asanyarray(image.dataobj)
    if not np.all(np.isfinite(array)):
        raise Unreadable("the image holds NaN or infinite values")
    return Volume(array=array, affine=np.asarray(image.affine, dtype=np.float64))


def _from_bytes(data: bytes):
    import nibabel

    size = data[:4]
    for header_bytes, kind in (
        (NIFTI1_HEADER_BYTES, nibabel.Nifti1Image),
        (NIFTI2_HEADER_BYTES, nibabel.Nifti2Image),
    ):
        if size in (header_bytes.to_bytes(4, "little"), header_bytes.to_bytes(4, "big")):
            return kind.from_bytes(data)
    raise Unreadable("not a NIfTI file")


def _three_dimensional(array: np.ndarray) -> np.ndarray:
    while array.ndim > 3 and array.shape[-1] == 1:
        array = array[..., 0]
    if array.ndim != 3:
        raise Unreadable(f"the image has {array.ndim} dimensions, not 3")
    if array.dtype.kind not in "iuf":
        raise Unreadable("the image holds colours or complex numbers, not intensities")
    return array
