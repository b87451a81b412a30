"""Copies of images: on two sides, between patients, and under two labels; exact, near and mirrored ones.

What a copy is, is decided in mri_tf/store/copies.py; which are on two sides, in
mri_tf/splits/known_copies.py.
"""

from collections import defaultdict
from collections.abc import Sequence

import numpy as np

from mri_tf.audit.finding import FOUND, NOT_APPLICABLE, NOT_FOUND, Finding
from mri_tf.core.words import plural
from mri_tf.splits.known_copies import CopiesAcross, in_words
from mri_tf.store.copies import CopyPairs
from mri_tf.store.record import NO_LABEL
from mri_tf.task.spec import SIDES

AS_PATIENTS = "A copy of a held-out image in training makes numbers too good, as its patient would."


def copies_on_two_sides(
    across: CopiesAcross | None, sides: Sequence[np.ndarray] | None, between: CopyPairs
) -> Finding:
    """Whether an image and its copy are on two sides.

    Args:
        across: the copies across the sides; None where there are no sides.
        sides: positions of the training, validation and test side.
        between: copies between patients, wherever they are.
    """
    name = "copies on two sides"
    if across is None:
        return Finding(name, NOT_APPLICABLE, "the set has no sides of its own")
    if not len(across.pairs):
        kept = f"; {_counted(between)} between patients are on one side" if len(between.both) else ""
        return Finding(name, NOT_FOUND, f"no image has a copy on another side{kept}")
    held_out = across.of_side(sides[2])
    return Finding(
        name, FOUND, f"{in_words(across)}, of {len(held_out)} of {len(sides[2])} {SIDES[2]} records",
        meaning=AS_PATIENTS, records=_positions(across.pairs), certain=True,
        what_to_do="Correct the split, or split with --split patient, which keeps copies together; or "
        "train with --known-copies drop.",
    )  # fmt: skip


def copies_between_patients(pairs: CopyPairs, patients: int, remaining: int, sides: bool) -> Finding:
    """Whether images of different patients are copies of each other.

    Args:
        pairs: the copies.
        patients: how many patients there are by their ids.
        remaining: how many can be split, when those with copies count as one.
        sides: whether there are sides, on which copies are looked for by themselves.
    """
    name = "copies"
    if not len(pairs.both):
        return Finding(name, NOT_FOUND, "no image is a copy of another patient's", n=patients)
    return Finding(
        name, FOUND,
        f"{_counted(pairs)} between patients: the patients are {remaining} that can be split",
        n=patients,
        meaning="Two ids may be one patient. Splits of mri_tf keep copies on one side; any other split "
        "of these data leaks.",
        what_to_do="Look at these records: remove the copies, or give them one patient id.",
        records=_positions(pairs.both), certain=not sides,
    )  # fmt: skip


def _counted(pairs: CopyPairs) -> str:
    alone = len(pairs.sequences)
    return f"{len(pairs.exact)} exact and {len(pairs.near)} near copies" + (
        f" and {plural(alone, 'pair')} with one sequence alike and others not" if alone else ""
    )


def _positions(pairs: np.ndarray) -> tuple[int, ...]:
    return tuple(sorted({int(one) for one in pairs.ravel()}))


def copies_under_two_labels(labels: np.ndarray, contents: np.ndarray, pairs: CopyPairs) -> Finding:
    """Whether one image stands under two classes: one of the labels is wrong.

    Args:
        labels: (records,) class of each record.
        contents: (records,) hash of the pixels of each; those of one patient are compared too.
        pairs: exact and near copies between patients.
    """
    name = "copies under two labels"
    torn = torn_contents(labels, contents)
    near = torn_near(labels, pairs)
    if not torn and not near:
        return Finding(name, NOT_FOUND, "no image stands under two classes")
    parts = [f"{len(torn)} images stand under two classes"] if torn else []
    parts += [f"{len(near)} near copies stand under another class"] if near else []
    positions = [position for found in torn for position in found]
    return Finding(
        name, FOUND, "; ".join(parts), meaning="One of the labels is wrong.",
        what_to_do="Keep one copy, under the right class.",
        records=tuple(sorted({int(one) for one in [*positions, *np.ravel(near)]})),
    )  # fmt: skip


def torn_contents(labels: np.ndarray, contents: np.ndarray) -> list[list[int]]:
    """The positions of the records of each image that stands under two classes."""
    by_content = defaultdict(list)
    for position, (label, content) in enumerate(zip(labels, contents, strict=True)):
        if label != NO_LABEL:
            by_content[content].append(position)
    return [found for found in by_content.values() if len(set(labels[found])) > 1]


def torn_near(labels: np.ndarray, pairs: CopyPairs) -> list[np.ndarray]:
    """The near copies whose records have two classes."""
    near = [pair for pair in pairs.near if labels[pair[0]] != labels[pair[1]]]
    return [pair for pair in near if NO_LABEL not in labels[pair]]


def torn_copies(labels: np.ndarray, contents: np.ndarray, pairs: CopyPairs) -> dict[int, set[int]]:
    """Position of a record -> those of records that show its image under another class.

    Args:
        labels: (records,) class of each record.
        contents: (records,) hash of the pixels of each.
        pairs: exact and near copies between patients.
    """
    found: dict[int, set[int]] = defaultdict(set)
    near = [pair.tolist() for pair in torn_near(labels, pairs)]
    for group in [*torn_contents(labels, contents), *near]:
        for one in group:
            found[one] |= {other for other in group if labels[other] != labels[one]}
    return dict(found)
