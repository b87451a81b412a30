"""Separates the slices of a DICOM series from what lies beside them under the same SeriesInstanceUID.

Archives send raw data, presentation states, reports, localizers and screenshots in the series of the
images that they belong to, and some send a slice twice. None of these may cost the series.
"""

import filecmp
from pathlib import Path

import numpy as np

from data_prep.case import Unreadable
from data_prep.io.dicom.header import Header
from data_prep.io.dicom.pixels import values_of
from data_prep.io.dicom.slices import NO_POSITION, Slice
from data_prep.io.dicom.stack import plane_numbers

COPY = "a copy of another file in the folder"
LOCALIZER = "a localizer image"
OTHER_PLANE = "an image in another plane than the slices of its series, as localizers are"
SCREENSHOT = "a secondary capture without a position, such as a screenshot"
MAX_IN_OTHER_PLANES, MIN_IN_PLANE = 3, 6  # images: a few across a stack are localizers
SAME_PLACE_DIGITS = 2  # of positions in mm


def separate(headers: list[Header]) -> tuple[list[Header], list[tuple[str, Path]]]:
    """Sorts the files of one SeriesInstanceUID.

    Returns:
        The headers of its slices, and of its images that cannot be read, with their problems; and for
        each file that is no slice of the series, why, and its path.
    """
    companions = [(header.other_kind, header.file) for header in headers if header.other_kind]
    images = [header for header in headers if not header.other_kind]
    for reason, left_out in (
        (SCREENSHOT, _screenshots), (LOCALIZER, _localizers), (OTHER_PLANE, _in_other_planes),
        (COPY, _copies),
    ):  # fmt: skip
        files = {header.file for header in left_out(images)}
        companions += [(reason, header.file) for header in images if header.file in files]
        images = [header for header in images if header.file not in files]
    return images, companions


def _screenshots(images: list[Header]) -> list[Header]:
    if not any(header.slices for header in images):
        return []
    return [header for header in images if header.is_capture and header.problem == NO_POSITION]


def _localizers(images: list[Header]) -> list[Header]:
    """Those that are marked as such, if others are not."""
    marked = [header for header in images if header.is_localizer]
    return marked if any(header.slices and header not in marked for header in images) else []


def _in_other_planes(images: list[Header]) -> list[Header]:
    """A few images that are not parallel to a stack of others."""
    placed = [header for header in images if header.slices]
    planes = plane_numbers([header.slices[0] for header in placed])
    counts = np.bincount(planes, minlength=1)
    most = int(counts.argmax())
    others = [header for header, plane in zip(placed, planes, strict=True) if plane != most]
    return others if counts[most] >= MIN_IN_PLANE and len(others) <= MAX_IN_OTHER_PLANES else []


def _copies(images: list[Header]) -> list[Header]:
    """Files that repeat another: its bytes, or its pixels at its place."""
    copies, firsts = [], {}  # firsts: headers that are no copies, by what copies have in common
    for header in images:
        keys = [("image", header.image)] if header.image else []
        if header.slices:
            keys.append(tuple(sorted(map(_place_and_fields, header.slices))))
        earlier = [first for key in keys for first in firsts.get(key, [])]
        if any(_is_copy(header, first) for first in earlier):
            copies.append(header)
            continue
        for key in keys:
            firsts.setdefault(key, []).append(header)
    return copies


def _place_and_fields(item: Slice) -> tuple:
    return (
        tuple(round(number, SAME_PLACE_DIGITS) + 0.0 for number in item.position),  # no -0.0
        tuple(round(number, SAME_PLACE_DIGITS) + 0.0 for number in item.directions),
        item.shape,
        tuple(sorted(item.distinguishing.items())),
    )


def _is_copy(header: Header, first: Header) -> bool:
    if filecmp.cmp(first.file, header.file, False):
        return True
    places = [sorted(_place_and_fields(item)[:3] for item in own.slices) for own in (first, header)]
    if not header.slices or places[0] != places[1]:
        return False
    try:
        values = [values_of(sorted(own.slices, key=_place_and_fields)) for own in (first, header)]
    except Unreadable:
        return False  # the reason is given when the series is read
    return np.array_equal(values[0], values[1])
