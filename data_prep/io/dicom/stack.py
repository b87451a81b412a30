"""Slices of one series to stacks: in order along the normal, evenly spaced, one image a place."""

import itertools

import numpy as np

from data_prep.case import Unreadable
from data_prep.io.dicom.header import DISTINGUISHING, Slice

SAME_DIRECTION = 1e-3  # largest difference of a direction cosine: 0.06 degrees
SAME_PLACE_MM = 1e-2
GAP_TOLERANCE, GAP_TOLERANCE_MM = 0.05, 0.05  # of the median gap; headers round positions
MAX_FIELDS = 3  # that tell stacks of one series apart, such as echo, time point and phase map


def split_into_stacks(slices: list[Slice]) -> list[list[Slice]]:
    """The slices of a series as stacks, each from its first place to its last; raises Unreadable.

    Where several images share places, the smallest set of header fields is sought (echo time,
    time point, b-value ...) that gives stacks of one image a place.
    """
    _check_alike(slices)
    places = _places(slices)
    count = len(np.unique(places))
    if count == len(slices):
        return [_in_order(slices)]
    if count > 1 and len(slices) % count == 0:
        varying = [
            name for name in DISTINGUISHING if len({item.apart.get(name) for item in slices}) > 1
        ]
        for size in range(1, MAX_FIELDS + 1):
            for names in itertools.combinations(varying, size):
                if stacks := _split(slices, places, names, count):
                    return [_in_order(stack) for stack in stacks]
    at = f"{count} places" if count > 1 else "one place"
    raise Unreadable(f"{len(slices)} slices at {at}, and no field of the header tells stacks apart")


def lps_to_indices(stack: list[Slice]) -> np.ndarray:
    """(4, 4) from (column, row, slice) to the patient's LPS millimetres (PS3.3 C.7.6.2.1.1).

    The third axis leads from slice to slice, wherever the next one lies: a stack of a tilted
    gantry is sheared here and not resampled. Raises Unreadable.
    """
    first = stack[0]
    along_row, along_column = np.reshape(first.directions, (2, 3))
    affine = np.eye(4)
    affine[:3, 0] = along_row / np.linalg.norm(along_row) * first.pixel_mm[1]
    affine[:3, 1] = along_column / np.linalg.norm(along_column) * first.pixel_mm[0]
    affine[:3, 2] = _step(stack)
    affine[:3, 3] = first.position
    return affine


def _step(stack: list[Slice]) -> np.ndarray:
    """From one slice to the next, (3,) mm."""
    if len(stack) == 1:
        if stack[0].thickness_mm is None:
            raise Unreadable("a single slice of unknown thickness")
        return _normal(stack) * stack[0].thickness_mm
    positions = np.array([item.position for item in stack])  # (slices, 3)
    step = (positions[-1] - positions[0]) / (len(stack) - 1)
    line = positions[0] + np.arange(len(stack))[:, None] * step
    if np.abs(positions - line).max() > _tolerance_mm(np.linalg.norm(step)):
        raise Unreadable("the slices do not lie on one straight line")
    return step


def _check_alike(slices: list[Slice]) -> None:
    if len({item.shape for item in slices}) > 1:
        raise Unreadable("slices of different numbers of rows or columns")
    if not np.allclose([item.pixel_mm for item in slices], slices[0].pixel_mm, rtol=1e-3, atol=0):
        raise Unreadable("slices of different pixel spacing")
    planes: list[np.ndarray] = []
    for item in slices:
        directions = np.array(item.directions)
        if not any(np.abs(directions - other).max() <= SAME_DIRECTION for other in planes):
            planes.append(directions)
    if len(planes) > 1:
        raise Unreadable(f"mixed orientations: the slices lie in {len(planes)} different planes")


def _normal(slices: list[Slice]) -> np.ndarray:
    normal = np.cross(*np.reshape(slices[0].directions, (2, 3)))
    return normal / np.linalg.norm(normal)


def _heights_mm(slices: list[Slice]) -> np.ndarray:
    """(slices,) along the normal."""
    return np.array([item.position for item in slices]) @ _normal(slices)


def _places(slices: list[Slice]) -> np.ndarray:
    """(slices,) number of the place along the normal that each slice has; equal ones share it."""
    heights = _heights_mm(slices)
    order = np.argsort(heights, kind="stable")
    new = np.diff(heights[order], prepend=-np.inf) > SAME_PLACE_MM
    places = np.empty(len(slices), dtype=int)
    places[order] = np.cumsum(new)
    return places


def _split(slices, places, names, count: int) -> list[list[Slice]]:
    """Stacks by the values of these fields, if each then has one image at each of the places."""
    groups: dict[tuple, list[int]] = {}
    for index, item in enumerate(slices):
        groups.setdefault(tuple(item.apart.get(name, "") for name in names), []).append(index)
    if any(
        len(group) != count or len(set(places[group])) != count for group in groups.values()
    ):
        return []
    return [[slices[index] for index in group] for _, group in sorted(groups.items(), key=_by_number)]


def _by_number(item) -> list:
    """Sorts "9" before "10", and texts as texts."""
    return [
        (0, float(text), "") if text.replace(".", "", 1).isdigit() else (1, 0.0, text)
        for text in item[0]
    ]


def _in_order(stack: list[Slice]) -> list[Slice]:
    heights = _heights_mm(stack)
    order = np.argsort(heights)
    gaps = np.diff(heights[order])
    if len(gaps) and np.abs(gaps - np.median(gaps)).max() > _tolerance_mm(float(np.median(gaps))):
        wide, narrow = int(np.argmax(gaps)), int(np.argmin(gaps))
        raise Unreadable(
            f"uneven gaps: {gaps[wide]:.4g} mm between slices {wide + 1} and {wide + 2} "
            f"of {len(stack)}, {gaps[narrow]:.4g} mm between {narrow + 1} and {narrow + 2}"
            + ("; a slice may be missing" if gaps[wide] > 1.5 * gaps[narrow] else "")
        )
    return [stack[index] for index in order]


def _tolerance_mm(step_mm: float) -> float:
    return max(GAP_TOLERANCE * step_mm, GAP_TOLERANCE_MM)
