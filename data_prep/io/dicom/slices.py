"""Reads the slices of a DICOM header: the position and the value scale of each image plane.

Source: DICOM PS3.3, image plane module (C.7.6.2) and functional groups (C.7.6.16).
"""

import math
import re
from dataclasses import dataclass, field
from pathlib import Path

from data_prep.case import Unreadable
from data_prep.io.dicom.facts import Fields, acquisition_facts

NO_POSITION = "no position or orientation in the patient"
OTHER_IMAGES = {"Referenced", "Source", "Derivation"}  # words in keywords of sequences about them
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


def slices_of(path: Path, dataset) -> list[Slice]:
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
