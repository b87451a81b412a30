"""Reads pairs of a header (.hdr) and voxels (.img): ANALYZE 7.5, also as SPM writes it, and NIfTI."""

from pathlib import Path

import numpy as np

from data_prep.case import Unreadable
from data_prep.io.nifti import in_mm, mm_per_unit
from data_prep.volume import NO_PLACE, Volume, to_ras_volume

SUFFIXES = (".hdr", ".img")
# ANALYZE has no reliable field for left and right. SPM and nibabel take files to be stored with the
# patient's right first, which is what SPM's own files are.
ASSUMED = {"orientation": "assumed"}


def is_header_pair(path: Path) -> bool:
    """Whether a path is one file of an .hdr and .img pair, by its name."""
    return path.suffix.lower() in SUFFIXES


def read_header_pair(path: Path) -> Volume:
    """Reads the pair that one of its files names.

    Returns:
        The Volume in RAS. Of an ANALYZE file without a .mat file beside it, left and right are assumed
        to be as SPM writes them, and the volume's facts say so.

    Raises:
        Unreadable: one of the files is missing or damaged, or the image is not 3D.
    """
    import nibabel

    try:
        image = nibabel.load(path)
        affine = _affine_of(image)
        has_place = isinstance(image, nibabel.Nifti1Pair) or path.with_suffix(".mat").is_file()
        facts = {} if has_place else dict(ASSUMED)
        array = np.asanyarray(image.dataobj)
        while array.ndim > 3 and array.shape[-1] == 1:
            array = array[..., 0]
        if array.ndim not in (3, 4) or array.dtype.kind not in "iuf":
            raise Unreadable("the image is not a volume of intensities")
        return to_ras_volume(array, affine, facts)
    except Unreadable:
        raise
    except FileNotFoundError:
        raise Unreadable("the .hdr or the .img file of the pair does not exist") from None
    except (
        OSError, EOFError, ValueError, TypeError, KeyError, OverflowError, MemoryError,
        nibabel.filebasedimages.ImageFileError, nibabel.spatialimages.HeaderDataError,
        nibabel.wrapstruct.WrapStructError, np.linalg.LinAlgError,
    ) as error:  # fmt: skip
        raise Unreadable(f"not a complete pair of .hdr and .img ({type(error).__name__})") from None


def read_place_of_pair(path: Path) -> tuple[tuple[int, ...], np.ndarray]:
    """Shape and affine (4, 4) to RAS mm of a pair, from its header alone."""
    import nibabel

    image = nibabel.load(path)
    return image.shape, _affine_of(image)


def _affine_of(image) -> np.ndarray:
    """The affine (4, 4) to RAS mm; raises Unreadable for a NIfTI header that gives no place."""
    import nibabel

    if not isinstance(image, nibabel.Nifti1Pair):
        return image.affine
    if not (image.header["sform_code"] or image.header["qform_code"]):
        raise Unreadable(NO_PLACE)
    return in_mm(image.affine, mm_per_unit(image.header))
