"""Reads the header of one DICOM file: the position and the value scale of each slice in it.

Source: DICOM PS3.3, image plane module (C.7.6.2) and functional groups (C.7.6.16).
"""

import contextlib
import logging
import math
import re
import warnings
from dataclasses import dataclass, field
from pathlib import Path

from data_prep.case import Unreadable
from data_prep.io.dicom.facts import Fields, acquisition_facts

PIXEL_TAGS = {0x7FE00008, 0x7FE00009, 0x7FE00010}  # float, double and integer pixel data
PREFIX_AT = 128
# First element's group, with which a file begins that lacks the 128 bytes and "DICM" of part 10.
FIRST_GROUPS = (b"\x02\x00", b"\x08\x00", b"\x00\x08")
NOT_SCANS = {"SEG", "RTDOSE", "PR", "KO", "REG", "FID", "M3D"}
IMAGES_BY_ANOTHER_NAME = {"Enhanced US Volume Storage", "Parametric Map Storage"}
SECONDARY_CAPTURE = "Secondary Capture"
NO_POSITION = "no position or orientation in the patient"
NOT_DICOM = "not a DICOM file"
OTHER_IMAGES = {"Referenced", "Source", "Derivation"}  # words in keywords of sequences about them
# Fields with a value that no other patient has.
IDENTITIES = ("PatientID", "StudyInstanceUID", "SeriesInstanceUID", "FrameOfReferenceUID")
IMAGE_TYPES = ("ImageType", "FrameType")
# Fields in which images at one position may differ (echoes, time points, b-values, phase maps).
DISTINGUISHING = (
    "EffectiveEchoTime", "EchoTime", "EchoNumbers", "TemporalPositionIdentifier",
    "TemporalPositionIndex", "AcquisitionNumber", "DiffusionBValue",
    "DiffusionGradientOrientation", "ComplexImageComponent", "ImageType", "FrameType",
    "InversionTime", "TriggerTime", "NominalCardiacTriggerDelayTime", "FlipAngle", "StackID",
    "AcquisitionTime",
)  # fmt: skip


@dataclass(frozen=True)
class Slice:
    """One image plane, with its position in the patient (LPS, mm)."""

    file: Path
    frame: int  # index in the file's pixel data
    shape: tuple[int, int]  # rows, columns
    position: tuple[float, ...]  # (3,) centre of the first pixel
    directions: tuple[float, ...]  # (6,) unit vectors of growing column index and row index
    pixel_mm: tuple[float, ...]  # distance between rows, between columns
    slope: float
    intercept: float
    thickness_mm: float | None
    distinguishing: dict[str, str] = field(repr=False)  # DISTINGUISHING fields; may contain dates
    facts: dict = field(default_factory=dict)


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
            return Header(**known, slices=tuple(_slices(path, dataset)))
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


def _slices(path: Path, dataset) -> list[Slice]:
    """The slice of every frame in the file; raises Unreadable."""
    fields = Fields([dataset])
    frames = int(fields.number("NumberOfFrames") or 1)
    groups = fields.get("PerFrameFunctionalGroupsSequence")
    if not groups:
        if frames > 1:
            raise Unreadable("several frames without a position for each")
        return [_slice(path, 0, fields)]
    if len(groups) != frames:
        raise Unreadable(f"{frames} frames, but positions for {len(groups)}")
    shared = _flat((fields.get("SharedFunctionalGroupsSequence") or [{}])[0])
    return [
        _slice(path, number, Fields([_flat(group), shared, dataset]))
        for number, group in enumerate(groups)
    ]


def _flat(group) -> dict:
    """The fields of a frame's functional groups in one dictionary, without their sequences.

    Only public ones, and those of a sequence before those of sequences within it: scanners repeat
    positions and times in private sequences, and those of other images in references to them.
    """
    values, level = {}, [group]
    while level:
        deeper = []
        for item in level:
            for element in item:
                if element.tag.is_private or OTHER_IMAGES & set(_words(element.keyword)):
                    continue
                if element.VR != "SQ":
                    values.setdefault(element.keyword, element.value)
                elif element.value:
                    deeper.append(element.value[0])
        level = deeper
    return values


def _words(keyword: str) -> list[str]:
    """The words of a field's keyword: "ReferencedImageSequence" -> Referenced, Image, Sequence."""
    return re.findall("[A-Z]+[a-z]*", keyword)


def _slice(path: Path, frame: int, fields: Fields) -> Slice:
    position = fields.numbers("ImagePositionPatient", 3)
    directions = fields.numbers("ImageOrientationPatient", 6)
    if position is None or directions is None:
        raise Unreadable(NO_POSITION)
    _check_directions(directions)
    pixel_mm = fields.numbers("PixelSpacing", 2)
    if pixel_mm is None or min(pixel_mm) <= 0:
        raise Unreadable("no pixel spacing")
    slope, intercept = _scale(fields, "RescaleSlope", 1.0), _scale(fields, "RescaleIntercept", 0.0)
    if slope == 0:
        raise Unreadable("a rescale slope of 0")
    thickness_mm = fields.number("SliceThickness")
    return Slice(
        file=path,
        frame=frame,
        shape=(int(fields.number("Rows")), int(fields.number("Columns"))),
        position=position,
        directions=directions,
        pixel_mm=pixel_mm,
        slope=slope,
        intercept=intercept,
        thickness_mm=thickness_mm if thickness_mm and thickness_mm > 0 else None,
        distinguishing={name: fields.text(name) for name in DISTINGUISHING if fields.text(name)},
        facts=acquisition_facts(fields),
    )


def _scale(fields: Fields, keyword: str, default: float) -> float:
    number = fields.number(keyword)
    if number is None and fields.text(keyword):
        raise Unreadable(f"{keyword} is not a number")
    return default if number is None else number


def _check_directions(directions: tuple[float, ...]) -> None:
    along_row, along_column = directions[:3], directions[3:]
    lengths = [math.hypot(*along_row), math.hypot(*along_column)]
    cosine = sum(a * b for a, b in zip(along_row, along_column, strict=True))
    if any(abs(length - 1) > 0.01 for length in lengths) or abs(cosine) > 0.01:
        raise Unreadable("the directions of rows and columns are not perpendicular unit vectors")
