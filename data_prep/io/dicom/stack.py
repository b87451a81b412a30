"""Sorts the slices of a series into stacks: evenly spaced along the normal, one image per position."""

import itertools

import numpy as np

from data_prep.case import Unreadable
from data_prep.io.dicom.slices import DISTINGUISHING, Slice

SAME_DIRECTION = 1e-3  # largest difference of a direction cosine: 0.06 degrees
SAME_PLACE_MM = 1e-2
GAP_TOLERANCE, GAP_TOLERANCE_MM = 0.05, 0.05  # share of the median gap, or mm: headers round
MAX_FIELDS = 3  # header fields that separate the stacks of a series, such as echo and time point
# Fields that separate stacks whose slices lie between each other's; others, such as times and flip
# angles, may change from slice to slice of one stack.
FILLS_GAP = 0.9  # of a slice's thickness; with a smaller gap, slices overlap
OF_A_STACK = (
    "AcquisitionNumber", "EffectiveEchoTime", "EchoTime", "EchoNumbers", "TemporalPositionIdentifier",
    "TemporalPositionIndex", "DiffusionBValue", "StackID",
)  # fmt: skip


def split_into_stacks(slices: list[Slice]) -> list[list[Slice]]:
    """Sorts the slices of a series into stacks, each ordered along its normal.

    Where several images share positions, the smallest set of header fields (echo time, time point,
    b-value ...) is searched that gives stacks with one image per position. Stacks whose slices lie
    between each other's are told apart by a field that changes from each slice to the next.

    Raises:
        Unreadable: unlike slices, uneven gaps, or no header fields that separate the stacks.
    """
    _check_alike(slices)
    positions = _position_numbers(slices)
    count = len(np.unique(positions))
    if count == len(slices):
        return [_in_order(stack) for stack in _interleaved(slices) or [slices]]
    if count > 1 and len(slices) % count == 0:
        values = {name: {item.distinguishing.get(name) for item in slices} for name in DISTINGUISHING}
        varying = [name for name in DISTINGUISHING if len(values[name]) > 1]
        for size in range(1, MAX_FIELDS + 1):
            for names in itertools.combinations(varying, size):
                if stacks := _split(slices, positions, names, count):
                    return [_in_order(stack) for stack in stacks]
    at = f"{count} positions" if count > 1 else "one position"
    raise Unreadable(
        f"{len(slices)} slices at {at} with different pixels, and no header field separates them into "
        "stacks"
    )


def lps_to_indices(stack: list[Slice]) -> np.ndarray:
    """The affine (4, 4) of a stack, from (column, row, slice) indices to LPS millimetres.

    The third axis leads from each slice to the next, so the affine of a tilted gantry is sheared.
    Raises Unreadable if the slices do not lie on a line. Source: DICOM PS3.3 C.7.6.2.1.1.
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
    """(3,) mm from one slice to the next."""
    if len(stack) == 1:
        if stack[0].thickness_mm is None:
            raise Unreadable("a single slice of unknown thickness")
        return _normal(stack) * stack[0].thickness_mm
    positions = np.array([item.position for item in stack])  # (slices, 3)
    step = (positions[-1] - positions[0]) / (len(stack) - 1)
    line = positions[0] + np.arange(len(stack))[:, None] * step  # (slices, 3)
    if np.abs(positions - line).max() > _tolerance_mm(np.linalg.norm(step)):
        raise Unreadable("the slice positions do not lie on a straight line")
    return step


def _check_alike(slices: list[Slice]) -> None:
    """Raises Unreadable unless all slices have one shape, pixel spacing and orientation."""
    if len({item.shape for item in slices}) > 1:
        raise Unreadable("the slices have different numbers of rows or columns")
    if not np.allclose([item.pixel_mm for item in slices], slices[0].pixel_mm, rtol=1e-3, atol=0):
        raise Unreadable("the slices have different pixel spacing")
    planes = plane_numbers(slices)
    if any(planes):
        raise Unreadable(f"mixed orientations: the slices lie in {max(planes) + 1} different planes")


def plane_numbers(slices: list[Slice]) -> list[int]:
    """A number for each slice: 0 for those parallel to the first, 1 for those of the next plane ..."""
    planes: list[np.ndarray] = []
    numbers = []
    for item in slices:
        directions = np.array(item.directions)
        near = [np.abs(directions - other).max() <= SAME_DIRECTION for other in planes]
        numbers.append(near.index(True) if any(near) else len(planes))
        if not any(near):
            planes.append(directions)
    return numbers


def _normal(slices: list[Slice]) -> np.ndarray:
    normal = np.cross(*np.reshape(slices[0].directions, (2, 3)))
    return normal / np.linalg.norm(normal)


def _heights_mm(slices: list[Slice]) -> np.ndarray:
    """(slices,) position along the normal."""
    return np.array([item.position for item in slices]) @ _normal(slices)


def _position_numbers(slices: list[Slice]) -> np.ndarray:
    """(slices,) 1, 2, 3 ... along the normal; slices at one position share a number."""
    heights = _heights_mm(slices)
    order = np.argsort(heights, kind="stable")
    new = np.diff(heights[order], prepend=-np.inf) > SAME_PLACE_MM
    numbers = np.empty(len(slices), dtype=int)
    numbers[order] = np.cumsum(new)
    return numbers


def _split(slices, positions, names, count: int) -> list[list[Slice]]:
    """Stacks by the values of the named fields; none unless each has one image per position."""
    groups: dict[tuple, list[int]] = {}
    for index, item in enumerate(slices):
        groups.setdefault(tuple(item.distinguishing.get(name, "") for name in names), []).append(index)
    if any(len(group) != count or len(set(positions[group])) != count for group in groups.values()):
        return []
    return [[slices[index] for index in groups[values]] for values in sorted(groups, key=_by_number)]


def _interleaved(slices: list[Slice]) -> list[list[Slice]]:
    """Evenly spaced stacks whose slices lie between each other's; none where there is one stack.

    Slices as far apart as they are thick are one stack, acquired in turns.
    """
    heights = _heights_mm(slices)
    order = np.argsort(heights)
    thickness_mm, gaps_mm = slices[0].thickness_mm, np.diff(heights[order])
    if thickness_mm and len(gaps_mm) and np.median(gaps_mm) > FILLS_GAP * thickness_mm:
        return []
    for name in OF_A_STACK:
        values = [slices[index].distinguishing.get(name, "") for index in order]
        alternates = all(here != there for here, there in itertools.pairwise(values))
        if not alternates or not 1 < len(set(values)) <= len(slices) // 2:
            continue
        stacks = [
            [slices[index] for index, value in zip(order, values, strict=True) if value == wanted]
            for wanted in sorted(set(values), key=lambda value: _by_number((value,)))
        ]
        if min(map(len, stacks)) > 1 and all(map(_is_even, stacks)):
            return stacks
    return []


def _is_even(stack: list[Slice]) -> bool:
    try:
        _in_order(stack)
    except Unreadable:
        return False
    return True


def _by_number(values: tuple[str, ...]) -> list:
    """A sorting key that puts "9" before "10", and numbers before texts."""
    return [
        (0, float(text), "") if text.replace(".", "", 1).isdigit() else (1, 0.0, text)
        for text in values
    ]


def _in_order(stack: list[Slice]) -> list[Slice]:
    """The slices sorted along the normal; raises Unreadable for uneven gaps."""
    heights = _heights_mm(stack)
    order = np.argsort(heights)
    gaps = np.diff(heights[order])
    if len(gaps) and np.abs(gaps - np.median(gaps)).max() > _tolerance_mm(np.median(gaps)):
        wide, narrow = int(np.argmax(gaps)), int(np.argmin(gaps))
        raise Unreadable(
            f"uneven gaps: {gaps[wide]:.4g} mm between slices {wide + 1} and {wide + 2} "
            f"of {len(stack)}, {gaps[narrow]:.4g} mm between {narrow + 1} and {narrow + 2}"
            + ("; a slice may be missing" if gaps[wide] > 1.5 * gaps[narrow] else "")
        )
    return [stack[index] for index in order]


def _tolerance_mm(step_mm: float) -> float:
    return max(GAP_TOLERANCE * step_mm, GAP_TOLERANCE_MM)
