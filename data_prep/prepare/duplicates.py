"""Finds copies of images before a set is split, so that no copy ends up on another side.

Exact copies have the same decoded pixels. Near copies (re-encoded, resized, brightened, rotated by a
few degrees) have perceptual hashes that differ in at most `distance` of 256 bits and, laid on each
other, details that correlate by at least `similarity` (mri_tf/store/image_similarity.py). A mirrored
copy is found later, in the prepared set (mri_tf/store/copies.py); a cropped or redrawn one is not.

Copies of copies share a group, even where the two ends are no longer alike: on two sides, either would
give the other away.
"""

import hashlib
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
from scipy.cluster.hierarchy import DisjointSet

from data_prep.case import Case, Unreadable, main_file
from data_prep.cases.image_case import read_pixels
from mri_tf.core.executors import map_in_order
from mri_tf.core.progress import progress
from mri_tf.store.copies import near_pairs
from mri_tf.store.image_similarity import (
    VIEW_DEGREES,
    check_duplicates,
    hashes,
    likeness,
    thumbnail,
)

PAIRS_AT_A_TIME = 32
NAMED_GROUPS = 10  # on the terminal; the private sidecar names all
NO_CODES = np.zeros((0, len(VIEW_DEGREES), 4), np.uint64)


@dataclass(frozen=True)
class Signature:
    """What is kept of an image to compare it with the others."""

    pixels: str  # hash of the decoded pixels
    thumb: np.ndarray  # (128, 128) float16
    hashes: np.ndarray  # (angles, 4) uint64


@dataclass(frozen=True)
class Copies:
    """Which cases are copies of each other."""

    group_of: list[str]  # of each case the name of its group; empty for an unreadable one
    exact: int  # cases with the same pixels as an earlier one
    compared: int  # pairs of images with near hashes
    settings: dict


def find_copies(
    raw: Path, cases: list[Case], settings: dict, bits: int, pool: Executor, ahead: int
) -> Copies:
    """Groups the images of cases by what they show.

    Args:
        raw: the raw folder.
        cases: one image each; cases that already have a group keep it, and it takes in their copies.
        settings: `duplicates` of a task's prep: distance (bits) and similarity (0 to 1).
        bits: 8 to scale 16-bit files to 0..255 first, else 0.
        pool: reads and compares the images.
        ahead: number of calls that wait in the pool.
    """
    settings = check_duplicates(settings)
    files = [case.files["image"] for case in cases]
    signatures = []
    with progress("looking for duplicates", len(cases)) as advance:
        for signature in map_in_order(pool, partial(sign, str(raw), bits), files, ahead):
            signatures.append(signature)
            advance(len(signatures))
    groups = DisjointSet(range(len(cases)))
    first_with: dict[str, int] = {}  # hash of the pixels -> the first case that has them
    first_of_group: dict[str, int] = {}
    for number, (case, signature) in enumerate(zip(cases, signatures, strict=True)):
        if signature:
            groups.merge(number, first_with.setdefault(signature.pixels, number))
        if case.group:
            groups.merge(number, first_of_group.setdefault(case.group, number))
    different = list(first_with.values())  # one case for each set of pixels
    codes = np.stack([signatures[number].hashes for number in different]) if different else NO_CODES
    pairs = [
        (different[first], different[second], degrees)
        for first, second, degrees in near_pairs(codes, settings["distance"])
    ]
    _merge_alike(groups, signatures, pairs, settings["similarity"], pool, ahead)
    exact = sum(signature is not None for signature in signatures) - len(different)
    return Copies(_group_names(groups, signatures, cases), exact, len(pairs), settings)


def sign(raw: str, bits: int, file: str) -> Signature | None:
    """Runs in a worker: the signature of an image, read as for its record; None if it cannot be read."""
    try:
        pixels = read_pixels(Path(raw) / file, 3, bits)  # (rows, columns, 3)
    except Unreadable:
        return None
    # 16 bits scaled to 8 are not whole numbers; compared as a record of 8 bits would hold them.
    in_8_bits = pixels.max() <= 255 and pixels.min() >= 0
    stored = np.rint(pixels).astype(np.uint8) if in_8_bits else pixels
    digest = hashlib.sha256(str(stored.shape).encode())
    digest.update(np.ascontiguousarray(stored))
    thumb = thumbnail(pixels)
    return Signature(digest.hexdigest()[:32], thumb, hashes(thumb))


def _merge_alike(
    groups: DisjointSet, signatures: list[Signature], pairs: list, similarity: float,
    pool: Executor, ahead: int,
) -> None:  # fmt: skip
    """Merges the pairs whose details correlate; pairs already in one group are not compared."""

    def chunks() -> Iterator[list]:
        for start in range(0, len(pairs), PAIRS_AT_A_TIME):
            yield [
                (first, second, signatures[first].thumb, signatures[second].thumb, degrees)
                for first, second, degrees in pairs[start : start + PAIRS_AT_A_TIME]
                if not groups.connected(first, second)
            ]

    with progress("comparing pictures", len(pairs)) as advance:
        compare = partial(_alike, similarity)
        for done, alike in enumerate(map_in_order(pool, compare, chunks(), ahead), 1):
            for first, second in alike:
                groups.merge(first, second)
            advance(min(done * PAIRS_AT_A_TIME, len(pairs)))


def _alike(similarity: float, chunk: list) -> list[tuple[int, int]]:
    """Runs in a worker: those of (first, second, thumb, thumb, degrees) that are copies."""
    return [(first, second) for first, second, *pair in chunk if likeness(*pair) >= similarity]


def _group_names(groups: DisjointSet, signatures: list, cases: list[Case]) -> list[str]:
    """The group of each case, named by its pixels: neither order nor number of files changes it."""
    names = [""] * len(cases)
    for members in groups.subsets():
        known = sorted({cases[number].group for number in members} - {""})
        pixels = min((signatures[number].pixels for number in members if signatures[number]), default="")
        name = known[0] if known else f"g-{pixels[:12]}" if pixels else ""
        for number in members:
            names[number] = name
    return names


def with_groups(cases: list[Case], copies: Copies) -> list[Case]:
    """The cases with their groups; where the patient is unknown, the group stands for the patient.

    An image of a known patient without copies keeps its group, if any. An image of an unknown patient
    is at least a group of one, also where it cannot be read.
    """
    sizes = Counter(copies.group_of)
    named = []
    for number, (case, group) in enumerate(zip(cases, copies.group_of, strict=True), 1):
        if case.patient:
            named.append(replace(case, group=group if sizes[group] > 1 else case.group))
        else:
            own = group or f"unknown-{number:06d}"
            named.append(replace(case, patient=own, group=own))
    return named


def members_of(copies: Copies) -> list[list[int]]:
    """The numbers of the cases of each group of two and more."""
    groups: dict[str, list[int]] = {}
    for number, name in enumerate(copies.group_of):
        if name:
            groups.setdefault(name, []).append(number)
    return [members for members in groups.values() if len(members) > 1]


def _across_classes(cases: list[Case], copies: Copies) -> list[list[int]]:
    """Those of `members_of` whose cases have labels of several classes."""
    return [
        members for members in members_of(copies)
        if len({cases[number].label for number in members} - {""}) > 1
    ]  # fmt: skip


def report(cases: list[Case], copies: Copies, record_ids: list[str], case_of: list[int]) -> dict:
    """For the manifest: how many copies there are, and the records of groups across classes.

    `case_of` is the number of each record's case.
    """
    groups = members_of(copies)
    ids_of: dict[int, list[str]] = {}
    for record_id, number in zip(record_ids, case_of, strict=True):
        ids_of.setdefault(number, []).append(record_id)
    return {
        **copies.settings,
        "exact_copies": copies.exact,
        "groups": len(groups),
        "in_groups": sum(map(len, groups)),
        "largest_group": max(map(len, groups), default=1),
        "pairs_compared": copies.compared,
        "across_classes": [
            [record_id for number in members for record_id in ids_of.get(number, [])]
            for members in _across_classes(cases, copies)
        ],
    }


def summary_lines(cases: list[Case], copies: Copies) -> list[str]:
    """For the terminal, where files may be named."""
    groups, across = members_of(copies), _across_classes(cases, copies)
    largest = max(map(len, groups), default=1)
    lines = [
        f"duplicates: {sum(map(len, groups))} of {len(cases)} images in {len(groups)} groups "
        f"({copies.exact} exact copies, largest group {largest}); {len(across)} groups hold several "
        "classes"
    ]
    for members in across[:NAMED_GROUPS]:
        names = " = ".join(main_file(cases[number]) for number in members[:4])
        more = f" and {len(members) - 4} more" if len(members) > 4 else ""
        lines.append(f"one group, several classes: {names}{more}")
    if len(across) > NAMED_GROUPS:
        lines.append(f"and {len(across) - NAMED_GROUPS} more such groups, in sources.private.csv")
    return lines
