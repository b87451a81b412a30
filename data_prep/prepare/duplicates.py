"""Copies in a set of pictures, found before it is split, so that no copy is on another side.

Exact copies have the same pixels once decoded. Near ones (re-encoded, resized, brightened, turned
by a few degrees) have perceptual hashes that differ in at most `distance` of 256 bits and, laid on
each other, details that correlate by at least `similarity`
(data_prep/ops/image_similarity.py). A mirrored, cropped or redrawn copy is not found.

Copies of copies share a group, also where the two ends are no longer alike: on two sides either
would give the other away.
"""

import hashlib
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np

from data_prep.case import Case, Unreadable, main_file
from data_prep.io.image import read_image
from data_prep.ops.image_similarity import (
    ANGLES_DEGREES,
    UPRIGHT,
    check_duplicates,
    hashes,
    likeness,
    thumbnail,
)
from mri_tf.core.executors import map_in_order
from mri_tf.core.progress import progress

ROWS_AT_A_TIME, PAIRS_AT_A_TIME = 256, 32
NAMED_GROUPS = 10  # on the terminal; the private sidecar names all
NO_CODES = np.zeros((0, len(ANGLES_DEGREES), 4), np.uint64)


@dataclass(frozen=True)
class Signature:
    """What is kept of a picture to compare it with the others."""

    pixels: str  # hash of the decoded pixels
    thumb: np.ndarray  # (128, 128) float16
    hashes: np.ndarray  # (angles, 4) uint64


@dataclass(frozen=True)
class Copies:
    """Which sources are copies of each other."""

    group_of: list[str]  # a name each, shared by copies; empty for an unreadable one
    exact: int  # sources with the pixels of an earlier one
    compared: int  # pairs of pictures whose hashes were near
    settings: dict


def find_copies(
    raw: Path, cases: list[Case], settings: dict, bits: int, pool: Executor, ahead: int
) -> Copies:
    """Groups the sources' images; `pool` reads and compares, `ahead` calls at a time."""
    settings = check_duplicates(settings)
    files = [case.files["image"] for case in cases]
    signatures = []
    with progress("looking for duplicates", len(cases)) as advance:
        for signature in map_in_order(pool, partial(sign, str(raw), bits), files, ahead):
            signatures.append(signature)
            advance(len(signatures))
    forest = Forest(len(cases))
    first_of: dict[str, int] = {}
    for number, signature in enumerate(signatures):
        if signature:
            forest.join(number, first_of.setdefault(signature.pixels, number))
    for number, case in enumerate(cases):
        if case.group:  # copies of a group's members belong to the group
            forest.join(number, first_of.setdefault(f"group {case.group}", number))
    apart = sorted(place for key, place in first_of.items() if not key.startswith("group "))
    exact = sum(signature is not None for signature in signatures) - len(apart)
    codes = np.stack([signatures[place].hashes for place in apart]) if apart else NO_CODES
    pairs = near_pairs(codes, settings["distance"])
    pairs = [(apart[one], apart[other], degrees) for one, other, degrees in pairs]
    join_alike(forest, signatures, pairs, settings["similarity"], pool, ahead)
    return Copies(_names(forest, signatures, cases), exact, len(pairs), settings)


def sign(raw: str, bits: int, file: str) -> Signature | None:
    """Runs in a worker: the signature of an image file; None if it cannot be read."""
    try:
        pixels = read_image(Path(raw) / file, 3, bits)
    except Unreadable:
        return None
    # 16 bits brought to 8 are no whole numbers; compared as a record of 8 bits would hold them.
    kind = np.uint8 if pixels.max() <= 255 and pixels.min() >= 0 else np.float32
    stored = np.rint(pixels).astype(kind) if kind is np.uint8 else pixels
    digest = hashlib.sha256(str(stored.shape).encode())
    digest.update(np.ascontiguousarray(stored))
    thumb = thumbnail(pixels)
    return Signature(digest.hexdigest()[:32], thumb, hashes(thumb))


def near_pairs(codes: np.ndarray, distance: int) -> list[tuple[int, int, float]]:
    """(first, second, degrees) of pictures whose hashes differ in at most `distance` bits.

    `codes` (pictures, angles, 4) uint64; nearest first. `degrees` is by how much turning the first
    brings it nearest to the second. Every pair is looked at, in blocks of popcounts: of 5,000
    pictures in some seconds.
    """
    count = len(codes)
    found = []
    for start in range(0, count, ROWS_AT_A_TIME):
        block = codes[start : start + ROWS_AT_A_TIME]
        nearest = np.full((len(block), count), np.iinfo(np.uint16).max, np.uint16)
        angle = np.zeros((len(block), count), np.uint8)
        for number in range(codes.shape[1]):
            differ = np.zeros((len(block), count), np.uint16)
            for word in range(codes.shape[2]):
                bits = block[:, number, word, None] ^ codes[None, :, UPRIGHT, word]
                differ += np.bitwise_count(bits)
            closer = differ < nearest
            nearest[closer], angle[closer] = differ[closer], number
        for row, other in np.argwhere(nearest <= distance):
            one, other = int(start + row), int(other)
            degrees = ANGLES_DEGREES[angle[row, other]]
            if one < other:
                found.append((int(nearest[row, other]), one, other, degrees))
            elif one > other:
                found.append((int(nearest[row, other]), other, one, -degrees))
    best = {}
    for bits, one, other, degrees in sorted(found):
        best.setdefault((one, other), (bits, degrees))
    ordered = sorted((bits, *pair, degrees) for pair, (bits, degrees) in best.items())
    return [(one, other, float(degrees)) for _, one, other, degrees in ordered]


def join_alike(
    forest: "Forest", signatures: list[Signature], pairs: list, similarity: float,
    pool: Executor, ahead: int,
) -> None:  # fmt: skip
    """Joins the pairs whose details correlate; those joined already are not compared."""
    waiting: list[list] = []

    def chunks() -> Iterator[list]:
        for start in range(0, len(pairs), PAIRS_AT_A_TIME):
            chunk = pairs[start : start + PAIRS_AT_A_TIME]
            open_ = [pair for pair in chunk if forest.root(pair[0]) != forest.root(pair[1])]
            waiting.append(open_)
            yield [
                (signatures[one].thumb, signatures[other].thumb, degrees)
                for one, other, degrees in open_
            ]

    with progress("comparing pictures", len(pairs)) as advance:
        for done, alike in enumerate(map_in_order(pool, likenesses, chunks(), ahead)):
            for (one, other, _), value in zip(waiting[done], alike, strict=True):
                if value >= similarity:
                    forest.join(one, other)
            advance(min((done + 1) * PAIRS_AT_A_TIME, len(pairs)))


def likenesses(pairs: list) -> list[float]:
    """Runs in a worker: `likeness` of (thumbnail, thumbnail, degrees) triples."""
    return [likeness(*pair) for pair in pairs]


class Forest:
    """Numbers that are joined into groups."""

    def __init__(self, count: int):
        self._parent = list(range(count))

    def root(self, number: int) -> int:
        """The smallest number of a group."""
        while self._parent[number] != number:
            self._parent[number] = self._parent[self._parent[number]]
            number = self._parent[number]
        return number

    def join(self, one: int, other: int) -> None:
        low, high = sorted((self.root(one), self.root(other)))
        self._parent[high] = low


def _names(forest: Forest, signatures: list, cases: list[Case]) -> list[str]:
    """A group's name comes from pixels, so that another order or more files do not change it."""
    members: dict[int, list[int]] = {}
    for number in range(len(cases)):
        members.setdefault(forest.root(number), []).append(number)
    names = {}
    for root, numbers in members.items():
        given = sorted({cases[number].group for number in numbers} - {""})
        pixels = min((signatures[number].pixels for number in numbers if signatures[number]), default="")
        names[root] = given[0] if given else f"g-{pixels[:12]}" if pixels else ""
    return [names[forest.root(number)] for number in range(len(cases))]


def tied(cases: list[Case], copies: Copies) -> list[Case]:
    """The sources with their groups; where nobody knows the patient, the group stands for it.

    A patient's own image without copies keeps no group. An image of an unknown patient is a group
    of one: it is at least itself.
    """
    sizes = Counter(copies.group_of)
    return [
        replace(case, patient=group, group=group) if not case.patient
        else replace(case, group=group if sizes[group] > 1 else case.group)
        for case, group in zip(cases, copies.group_of, strict=True)
    ]  # fmt: skip


def across_classes(cases: list[Case], copies: Copies) -> list[list[int]]:
    """Numbers of the sources of each group that holds several classes, as the files are labelled."""
    return [
        members for members in members_of(copies)
        if len({cases[number].label for number in members} - {""}) > 1
    ]  # fmt: skip


def members_of(copies: Copies) -> list[list[int]]:
    """Source numbers of each group of two and more."""
    groups: dict[str, list[int]] = {}
    for number, name in enumerate(copies.group_of):
        if name:
            groups.setdefault(name, []).append(number)
    return [members for members in groups.values() if len(members) > 1]


def report(cases: list[Case], copies: Copies, record_ids: Callable[[int], list[str]]) -> dict:
    """For the manifest: how many copies there are, and the records of groups across classes."""
    groups = members_of(copies)
    return {
        **copies.settings,
        "exact_copies": copies.exact,
        "groups": len(groups),
        "in_groups": sum(map(len, groups)),
        "largest_group": max(map(len, groups), default=1),
        "pairs_compared": copies.compared,
        "across_classes": [
            [name for number in members for name in record_ids(number)]
            for members in across_classes(cases, copies)
        ],
    }


def lines(cases: list[Case], copies: Copies) -> list[str]:
    """For the terminal, which may name files."""
    groups, across = members_of(copies), across_classes(cases, copies)
    largest = max(map(len, groups), default=1)
    said = [
        f"duplicates: {sum(map(len, groups))} of {len(cases)} images in {len(groups)} groups "
        f"({copies.exact} exact copies, largest group {largest}); {len(across)} groups hold several "
        "classes"
    ]
    said += [
        "one group, several classes: "
        + " = ".join(main_file(cases[number]) for number in members[:4])
        + (f" and {len(members) - 4} more" if len(members) > 4 else "")
        for members in across[:NAMED_GROUPS]
    ]
    if len(across) > NAMED_GROUPS:
        said.append(f"and {len(across) - NAMED_GROUPS} more, in sources.private.csv")
    return said
