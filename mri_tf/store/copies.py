"""Finds records of different patients that show the same image: exact, near and turned copies.

Exact copies have the same pixels. Near copies (re-encoded, resized, brightened, rotated by a few
degrees, shifted by up to three hundredths of the picture, mirrored) have perceptual hashes that differ
in at most `distance` of 256 bits and, laid on each other, details that correlate by at least
`similarity` (mri_tf/store/image_similarity.py). So have images that are turned by quarters, turned over
or inverted (mri_tf/store/whole_turns.py), and each sequence by itself where an image has several. Of a
volume the three planes through its middle are compared (two with a mirror image). All of them must be
alike, except that one may be compared with the neighbouring plane, because a copy may be shifted by a
voxel. An image with one value everywhere is never
counted as a copy.
"""

import contextlib
import json
from dataclasses import dataclass, field

import numpy as np

from mri_tf.core.files import write_atomic
from mri_tf.core.hashing import fingerprint
from mri_tf.store.compared_images import WHOLE, ComparedImages, sequences_of
from mri_tf.store.image_similarity import (
    DEFAULTS,
    ROWS_AT_A_TIME,
    TURNS_DEGREES,
    UPRIGHT,
    VIEW_DEGREES,
    VIEWS,
    differing_bits,
    likeness,
)
from mri_tf.store.prepared import Prepared
from mri_tf.store.whole_turns import forms_of, turned_pairs

FILE = "copies.json"  # in a prepared set: the pairs found, so that they are looked for once
KINDS = ("exact", "near", "sequences")
RULE = 3  # to be raised when the rule changes


@dataclass(frozen=True)
class CopyPairs:
    """Pairs of records of different patients that show the same image, as positions in the set."""

    exact: np.ndarray  # (pairs, 2): each copy with the first record that has the same pixels
    near: np.ndarray  # (pairs, 2)
    # (pairs, 2): of which one sequence alone is a copy, and the whole image is none
    sequences: np.ndarray = field(default_factory=lambda: _as_pairs([]))

    @property
    def both(self) -> np.ndarray:
        """(pairs, 2) exact, near, and of one sequence."""
        return np.concatenate([self.exact, self.near, self.sequences])


def copy_pairs(prepared: Prepared, patients: np.ndarray) -> CopyPairs:
    """The copies in a prepared set, from its folder where they were looked for before.

    Args:
        prepared: the set.
        patients: (records,) a number for each record: records of one patient or group are not compared.
    """
    key = fingerprint([RULE, DEFAULTS, prepared.content_fingerprint(), patients.tolist()])
    path = prepared.folder / FILE
    try:
        stored = json.loads(path.read_text(encoding="utf-8"))
        if stored["key"] == key:
            return CopyPairs(*(_as_pairs(stored[kind]) for kind in KINDS))
    except (OSError, ValueError, KeyError, TypeError):
        pass  # not looked for yet, or by another rule
    pairs = _find(prepared, patients)
    values = {"key": key, **{kind: getattr(pairs, kind).tolist() for kind in KINDS}}
    with contextlib.suppress(OSError):  # a set that may not be written to is compared anew each time
        write_atomic(path, json.dumps(values).encode())
    return pairs


def _find(prepared: Prepared, patients: np.ndarray) -> CopyPairs:
    different, exact = [], []  # one record for each patient and content
    first_with: dict[str, list[int]] = {}
    for position, content in enumerate(prepared.contents):
        earlier = first_with.setdefault(content, [])
        if any(patients[other] == patients[position] for other in earlier):
            continue
        if earlier:
            exact.append((earlier[0], position))
        else:
            different.append(position)
        earlier.append(position)
    if len(set(patients.tolist())) < 2:
        return CopyPairs(_as_pairs([]), _as_pairs([]))
    images = ComparedImages([(prepared, different)], "looking for copies")
    near = _near(images, WHOLE, patients[images.positions])
    parts = [_near(images, name, patients[images.positions]) for name in sequences_of(prepared)]
    alone = {pair for found in parts for pair in map(tuple, found.tolist())}
    alone -= set(map(tuple, near.tolist()))
    shown = set(images.positions.tolist())
    exact = [pair for pair in exact if pair[0] in shown]
    return CopyPairs(
        _as_pairs(exact), images.positions[near], images.positions[_as_pairs(sorted(alone))]
    )


def copies_of_others(
    prepared: Prepared, records: np.ndarray, other: Prepared, others: np.ndarray
) -> np.ndarray:
    """Those of the records that have an exact, near or turned copy among records of another set.

    Args:
        prepared: the set.
        records: positions in it.
        other: a set whose images have as many dimensions.
        others: positions in `other`.

    Returns:
        Positions in `prepared`, ascending.
    """
    both = [(prepared, records.tolist()), (other, others.tolist())]
    images = ComparedImages(both, "looking for copies in other data")
    named = {WHOLE} | (set(sequences_of(prepared)) & set(sequences_of(other)))
    first = np.concatenate([_near(images, name, images.sides)[:, 0] for name in named])
    shown, of_others = (images.positions[images.sides == side] for side in (0, 1))
    same = np.isin(prepared.contents[shown], other.contents[of_others])
    return np.union1d(images.positions[first], shown[same])


def _near(images: ComparedImages, name: str, patients: np.ndarray) -> np.ndarray:
    """(pairs, 2) numbers of images of different patients whose planes, as shown by `name`, are all
    alike."""
    numbers = np.array(sorted(images.hashes[name]), np.int64)
    if not len(numbers):
        return _as_pairs([])
    found = [images.hashes[name][number] for number in numbers.tolist()]
    codes = np.stack([seen[: len(VIEWS)] for seen, _ in found])
    mirrored = np.stack([seen[len(VIEWS)] for seen, _ in found])
    forms = np.stack([turned for _, turned in found])
    owners, alike = patients[numbers], set()

    def compare(first: int, second: int, degrees: float, turn: int, form: str = "") -> None:
        pair = int(numbers[first]), int(numbers[second])
        if pair in alike:
            return
        planes = images.planes(pair[0], name), images.planes(pair[1], name, form)
        if _are_alike(*planes, degrees, turn):
            alike.add(pair)

    # Mirror images are not looked for at a shift: more pairs of different heads would be compared.
    turned = codes[:, : len(TURNS_DEGREES)]
    for seen, others, turn in ((codes, None, 1), (turned, mirrored, -1)):
        for first, second, degrees in near_pairs(seen, DEFAULTS["distance"], others, owners):
            compare(first, second, degrees, turn)
    names = list(forms_of(len(images.sets[0].image_shape)))
    for first, second, form in turned_pairs(codes[:, UPRIGHT], forms, DEFAULTS["distance"], owners):
        compare(first, second, 0.0, 1, names[form])
    return _as_pairs(sorted(alike))


def _are_alike(first: list, second: list, degrees: float, turn: int) -> bool:
    """Whether all planes are alike, those of the second mirrored where `turn` is -1.

    Of a volume one plane need only have the same layout: where a copy is shifted by a voxel across a
    plane, its neighbour is compared. The sagittal plane of a mirror image always lies beside it.
    """
    neighbours = 1 if len(first) > 1 else 0
    for number, (one, other) in enumerate(zip(first, second, strict=True)):
        if number == 2 and turn < 0:
            continue
        # The first plane of a volume is axial: only there a rotation is expected.
        alike = likeness(one, other[:, ::turn], degrees if number == 0 else 0.0)
        if alike >= DEFAULTS["similarity"]:
            continue
        if number == 0 or turn < 0 or alike <= 0 or not neighbours:
            return False
        neighbours -= 1
    return True


def near_pairs(
    codes: np.ndarray, distance: int, others: np.ndarray | None = None,
    patients: np.ndarray | None = None,
) -> list[tuple[int, int, float]]:  # fmt: skip
    """Finds the images whose hashes differ in at most `distance` bits, nearest first.

    Every pair is looked at, in blocks of popcounts: some seconds for 5,000 images.

    Args:
        codes: (images, views, 4) uint64, the hashes of each image in `VIEWS`.
        distance: number of bits.
        others: (images, 4) hashes of the same images mirrored, to find mirrored pairs.
        patients: (images,) images of one patient are no pair; without it all are compared.

    Returns:
        (first, second, degrees): positions, and by how much rotating the first brings it nearest to
        the second.
    """
    count = len(codes)
    upright = codes[:, UPRIGHT] if others is None else others
    back = -1 if others is None else 1  # what the rotation becomes where the two change places
    best: dict[tuple[int, int], tuple[int, int]] = {}  # pair -> fewest bits, and at which degrees
    for start in range(0, count, ROWS_AT_A_TIME):
        block = codes[start : start + ROWS_AT_A_TIME]
        nearest = np.full((len(block), count), np.iinfo(np.uint16).max, np.uint16)
        angle = np.zeros((len(block), count), np.uint8)
        for number in range(codes.shape[1]):
            differing = differing_bits(block[:, number], upright)
            closer = differing < nearest
            nearest[closer], angle[closer] = differing[closer], number
        near = nearest <= distance
        if patients is not None:
            near &= patients[start : start + len(block), None] != patients[None, :]
        for row, second in np.argwhere(near):
            first, second = int(start + row), int(second)
            bits, degrees = int(nearest[row, second]), VIEW_DEGREES[angle[row, second]]
            if first > second:
                first, second, degrees = second, first, back * degrees
            if first < second:
                pair = first, second
                best[pair] = min(best.get(pair, (bits, degrees)), (bits, degrees))
    ordered = sorted((bits, *pair, degrees) for pair, (bits, degrees) in best.items())
    return [(first, second, float(degrees)) for _, first, second, degrees in ordered]


def _as_pairs(pairs: list) -> np.ndarray:
    return np.array(pairs, dtype=np.int64).reshape(-1, 2)
