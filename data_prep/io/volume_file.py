"""Reads one volume from a path: a NIfTI, MGH, NRRD, MetaImage or ANALYZE file, a DICOM file, or the
folder of one DICOM series. The format is detected from the content.
"""

import os
from pathlib import Path

import numpy as np

from data_prep.case import Unreadable
from data_prep.io.dicom.header import begins_like_dicom
from data_prep.io.folders import IMAGES, VOLUMES, require_file
from data_prep.io.header_pair import is_header_pair, read_header_pair
from data_prep.io.nifti import read_nifti
from data_prep.volume import LPS_TO_RAS, NO_PLACE, Volume, check_size, to_ras_volume

NRRD, META_IMAGE = "NRRD", "MetaImage"
READERS = {NRRD: "NrrdImageIO", META_IMAGE: "MetaImageIO"}  # of SimpleITK
HEADER_BYTES = 4096  # of a text header, in which the keys below are looked for
PLACES = {  # what a header must say for the image to have a position and an orientation
    NRRD: (b"space directions:",),
    META_IMAGE: (b"\nTransformMatrix", b"\nOrientation", b"\nRotation"),
}
SPACINGS = {NRRD: PLACES[NRRD], META_IMAGE: (b"\nElementSpacing", b"\nElementSize")}
NRRD_SPACES = (b"left-posterior-superior", b"right-anterior-superior", b"left-anterior-superior",
               b"lps", b"ras", b"las")  # fmt: skip
# Suffixes of files that are certainly no DICOM.
OF_OTHER_FORMATS = (*VOLUMES, ".img", *IMAGES, ".gif")


def read_volume_file(path: Path) -> Volume:
    """Reads a volume in RAS.

    Args:
        path: a file, or a folder whose DICOM files are one series.

    Returns:
        Values scaled as the header says. A fourth axis becomes channels; acquisition facts come with
        DICOM only.

    Raises:
        Unreadable: the path does not exist, is of another format, is damaged, has no position, or is a
            folder of no series or of several.
    """
    path = Path(path)
    if os.path.isdir(path):  # unlike Path.is_dir, False for a name that is too long
        return _of_series(path)
    start = _first_bytes(path)
    if begins_like_dicom(start[:132]):
        return _of_series(path)
    kind = _text_header(start)
    if kind:
        return _by_itk(path, kind, start)
    if is_header_pair(path):
        return read_header_pair(path)
    return read_nifti(path)


def is_dicom(path: Path) -> bool:
    """Whether a path is a folder, or a file that begins as DICOM files do."""
    if os.path.isdir(path):
        return True
    try:
        return begins_like_dicom(_first_bytes(path)[:132])
    except Unreadable:
        return False


def text_header_kind(path: Path) -> str:
    """NRRD or MetaImage for files of these formats; "" for others. Raises Unreadable."""
    return _text_header(_first_bytes(path))


def may_be_dicom(file_name: str) -> bool:
    """Whether a file or folder may be DICOM, by its name."""
    return not file_name.lower().endswith(OF_OTHER_FORMATS)


def _of_series(path: Path) -> Volume:
    """The only series of a DICOM file or folder."""
    from data_prep.io.dicom.series import find_series

    contents = find_series(path)
    if len(contents.series) == 1:
        return contents.series[0].read()
    if contents.series:
        raise Unreadable(f"its folder holds {len(contents.series)} series, not one")
    reasons = "; ".join(dict.fromkeys(refused.reason for refused in contents.refused))
    raise Unreadable(f"it holds no DICOM series ({reasons})")


def _first_bytes(path: Path) -> bytes:
    require_file(path)
    try:
        with path.open("rb") as file:
            return file.read(HEADER_BYTES)
    except FileNotFoundError:
        raise Unreadable("the file does not exist") from None
    except OSError as error:
        raise Unreadable(f"the file cannot be opened ({error.strerror})") from None


def _text_header(start: bytes) -> str:
    """NRRD or MetaImage, whose headers are text; "" for other content."""
    if start.startswith(b"NRRD000"):
        return NRRD
    first = start.partition(b"=")[0].strip()
    return META_IMAGE if first in (b"ObjectType", b"NDims", b"Comment") and b"\n" in start else ""


def _by_itk(path: Path, kind: str, start: bytes) -> Volume:
    import SimpleITK

    _check_text_header(kind, start)
    SimpleITK.ProcessObject.SetGlobalWarningDisplay(False)
    reader = SimpleITK.ImageFileReader()
    reader.SetImageIO(READERS[kind])
    reader.SetFileName(str(path))
    try:
        reader.ReadImageInformation()
        if reader.GetDimension() != 3:
            raise Unreadable(f"the image has {reader.GetDimension()} dimensions, not 3")
        check_size(reader.GetSize())
        image = reader.Execute()
    except (RuntimeError, MemoryError):  # the text names the path
        raise Unreadable(f"not a complete {kind} file") from None
    array = SimpleITK.GetArrayFromImage(image)  # (z, y, x) or (z, y, x, channels)
    if array.dtype.kind not in "iuf":
        raise Unreadable("the image contains complex numbers, not intensities")
    affine = np.eye(4)
    affine[:3, :3] = np.reshape(image.GetDirection(), (3, 3)) @ np.diag(image.GetSpacing())
    affine[:3, 3] = image.GetOrigin()
    return to_ras_volume(array.swapaxes(0, 2), LPS_TO_RAS @ affine)


def _check_text_header(kind: str, start: bytes) -> None:
    """Raises Unreadable for an image without a position, or whose voxels are in another file."""
    start = start.replace(b"\r\n", b"\n")
    header, end, _ = start.partition(b"\n\n" if kind == NRRD else b"ElementDataFile")
    if not end:  # what follows could name another file
        raise Unreadable(f"its header is longer than {HEADER_BYTES} bytes")
    if not any(key in header for key in PLACES[kind]):
        raise Unreadable(NO_PLACE)
    if not any(key in header for key in SPACINGS[kind]):
        raise Unreadable(f"{NO_PLACE} (no spacing)")
    fields = (line.partition(b":")[::2] for line in header.lower().splitlines())
    lines = {name.strip(): value for name, value in fields}
    if kind == NRRD and lines.get(b"space", b"").strip() not in NRRD_SPACES:
        raise Unreadable(f"{NO_PLACE} (its space is none of LPS, RAS and LAS)")
    units = set(lines.get(b"space units", b"").replace(b'"', b" ").split())
    if kind == NRRD and units - {b"mm"}:
        raise Unreadable("its lengths are not in mm (space units)")
    data_file = start.partition(b"\nElementDataFile")[2].split(b"\n")[0].strip(b" =\r")
    # The first mention must be the field itself: a comment may say LOCAL where the field does not.
    is_local = kind == NRRD or (data_file == b"LOCAL" and header.endswith(b"\n"))
    if b"data file" in lines or b"datafile" in lines or not is_local:
        raise Unreadable("its voxels are in another file: convert both to one file")
