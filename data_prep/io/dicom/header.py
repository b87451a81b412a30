"""Reads the header of one DICOM file: whose it is, of which series, and whether it holds grey slices."""

import contextlib
import logging
import warnings
from dataclasses import dataclass, field
from pathlib import Path

from data_prep.case import Unreadable
from data_prep.io.dicom.facts import Fields
from data_prep.io.dicom.slices import Slice, slices_of

PIXEL_TAGS = {0x7FE00008, 0x7FE00009, 0x7FE00010}  # float, double and integer pixel data
PREFIX_AT = 128
# First element's group, with which a file begins that lacks the 128 bytes and "DICM" of part 10.
FIRST_GROUPS = (b"\x02\x00", b"\x08\x00", b"\x00\x08")
NOT_SCANS = {"SEG", "RTDOSE", "PR", "KO", "REG", "FID", "M3D"}
IMAGES_BY_ANOTHER_NAME = {"Enhanced US Volume Storage", "Parametric Map Storage"}
SECONDARY_CAPTURE = "Secondary Capture"
NOT_DICOM = "not a DICOM file"
# Fields with a value that no other patient has.
IDENTITIES = ("PatientID", "StudyInstanceUID", "SeriesInstanceUID", "FrameOfReferenceUID")
IMAGE_TYPES = ("ImageType", "FrameType")


@dataclass(frozen=True)
class Header:
    """The header of one file. Fields that may identify the patient stay out of its repr."""

    file: Path
    series: str = field(default="", repr=False)  # UID
    image: str = field(default="", repr=False)  # UID
    series_number: int = 0
    patient_id: str = field(default="", repr=False)
    description: str = field(default="", repr=False)
    institution: str = field(default="", repr=False)
    slices: tuple[Slice, ...] = ()
    problem: str = ""  # why the file gives no slices
    other_kind: str = ""  # why it is not expected to: what else than an image it is
    is_capture: bool = False  # such as a screenshot

    @property
    def is_localizer(self) -> bool:
        """Whether every image in the file is one for planning the others."""
        marks = [item.distinguishing.get(name, "") for item in self.slices for name in IMAGE_TYPES]
        marked = ["LOCALIZER" in mark.upper() for mark in marks if mark]
        return bool(marked) and all(marked)


@contextlib.contextmanager
def quiet_pydicom():
    """Silences pydicom's warnings and log, because they quote values such as names and dates."""
    from pydicom import config

    level = config.logger.level
    config.logger.setLevel(logging.CRITICAL + 1)  # its loggers below this one inherit the level
    try:
        with warnings.catch_warnings(), config.disable_value_validation():
            warnings.simplefilter("ignore")
            yield
    finally:
        config.logger.setLevel(level)


def read_header(path: Path) -> Header:
    """Reads the header of one file without its pixel data.

    A DICOM file without usable slices is returned with its `problem`, so that its series is known.
    Raises Unreadable for a file that is not DICOM or cannot be parsed.
    """
    with quiet_pydicom():
        dataset, has_pixels = _parse(path)
        fields = Fields([dataset])
        known = {
            "file": path,
            "series": fields.text("SeriesInstanceUID"),
            "image": fields.text("SOPInstanceUID"),
            "series_number": int(fields.number("SeriesNumber") or 0),
            "patient_id": fields.text("PatientID"),
            "description": fields.text("SeriesDescription"),
            "institution": fields.text("InstitutionName"),
        }
        if other_kind := _other_kind(fields, has_pixels):
            return Header(**known, other_kind=other_kind)
        try:
            _check_image(fields, has_pixels)
            return Header(**known, slices=tuple(slices_of(path, dataset)))
        except Unreadable as reason:
            return Header(**known, problem=str(reason), is_capture=_is_capture(fields))
        except Exception as error:  # pydicom converts values on access: a damaged one raises here
            return Header(**known, problem=f"a damaged DICOM header ({type(error).__name__})")


def read_identities(path: Path, keywords: tuple[str, ...] = IDENTITIES) -> dict[str, str]:
    """Keyword -> value of those that the header of a file has; empty for files of other formats."""
    from pydicom import dcmread

    with quiet_pydicom():
        try:
            with path.open("rb") as file:
                if not begins_like_dicom(file.read(PREFIX_AT + 4)):
                    return {}
                file.seek(0)
                dataset = dcmread(
                    file, stop_before_pixels=True, force=True, specific_tags=list(keywords)
                )
            values = {keyword: Fields([dataset]).text(keyword) for keyword in keywords}
        except Exception:  # a damaged file is named when it is read
            return {}
    return {keyword: value for keyword, value in values.items() if value}


def begins_like_dicom(head: bytes) -> bool:
    """Whether the first 132 bytes of a file may be DICOM, with or without the prefix of part 10."""
    return head[PREFIX_AT:] == b"DICM" or head[:2] in FIRST_GROUPS


def _parse(path: Path):
    """Reads (dataset up to the pixel data, whether there is pixel data); raises Unreadable."""
    from pydicom.filereader import read_partial

    pixel_tags = []

    def at_pixels(tag, _vr, _length) -> bool:
        if tag in PIXEL_TAGS:
            pixel_tags.append(tag)
        return bool(pixel_tags)

    try:
        with path.open("rb") as file:
            head = file.read(PREFIX_AT + 4)
            if not begins_like_dicom(head):
                raise Unreadable(NOT_DICOM)
            file.seek(0)
            dataset = read_partial(file, at_pixels, force=True)
        if head[PREFIX_AT:] != b"DICM" and "SOPClassUID" not in dataset:
            raise Unreadable(NOT_DICOM)
        return dataset, bool(pixel_tags)
    except Unreadable:
        raise
    except OSError as error:
        raise Unreadable(f"the file cannot be opened ({error.strerror or 'input error'})") from None
    except Exception as error:  # a damaged file makes pydicom's parser raise any error
        raise Unreadable(f"a damaged DICOM file ({type(error).__name__})") from None


def _other_kind(fields: Fields, has_pixels: bool) -> str:
    """What a file is that cannot be a slice, by its SOP class; "" for images, also without pixels."""
    from pydicom.uid import UID

    modality = fields.text("Modality")
    if modality in NOT_SCANS:
        return f"a {modality} object, not a scan"
    uid = UID(fields.text("SOPClassUID"))
    if uid.name == uid:  # a private class, an unknown one, or none
        return "" if has_pixels or not uid else "an object of a private kind without pixel data"
    if "Image" in uid.name or uid.name in IMAGES_BY_ANOTHER_NAME:
        return ""
    return f"not an image but {uid.name.removesuffix(' Storage')}"


def _is_capture(fields: Fields) -> bool:
    from pydicom.uid import UID

    return SECONDARY_CAPTURE in UID(fields.text("SOPClassUID")).name


def _check_image(fields: Fields, has_pixels: bool) -> None:
    """Raises Unreadable for what is not a grey image whose values a slope and intercept scale."""
    if not has_pixels:
        raise Unreadable("no pixel data")
    if not (fields.number("Rows") and fields.number("Columns")):
        raise Unreadable("no rows or columns in the header")
    if fields.number("SamplesPerPixel") not in (None, 1) or "PALETTE" in fields.text(
        "PhotometricInterpretation"
    ):
        raise Unreadable("a colour image")
    if "MOSAIC" in fields.text("ImageType").upper():
        raise Unreadable("a mosaic: all slices of a volume as tiles of one image")
    if fields.get("ModalityLUTSequence"):
        raise Unreadable("values that need a lookup table (ModalityLUTSequence), which is not supported")
