"""Copies of images on two sides of a split: kept together by splits of ours, refused in supplied ones.

A copy of a test image in the training side makes every number too good, as a patient on both sides does:
copies count as the same patient.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.cluster.hierarchy import DisjointSet

from mri_tf.core.errors import InputError
from mri_tf.splits import split as splits
from mri_tf.store.copies import CopyPairs, copy_pairs
from mri_tf.store.prepared import Prepared
from mri_tf.task.spec import SIDES

KEEP, DROP = "keep", "drop"
NAMED_PAIRS = 5  # in a message


@dataclass(frozen=True)
class CopiesAcross:
    """Copies of which the two records lie on different sides.

    Attributes:
        pairs: (pairs, 2) positions: the first record of a group of copies, and each on a later side.
        exact: how many of the pairs have the same pixels; the others are near or mirrored copies.
    """

    pairs: np.ndarray
    exact: int

    def of_side(self, records: np.ndarray) -> np.ndarray:
        """Those of the records that have a copy on another side, ascending."""
        return np.intersect1d(records, self.pairs)


def tied_by_copies(prepared: Prepared, units: np.ndarray) -> np.ndarray:
    """(records,) unit numbers, those of copies merged: copies count as the same patient."""
    copies = _groups_of_copies(prepared)
    names = np.array([f"c{group}" if group >= 0 else "" for group in copies], dtype=object)
    return splits.tie_together(units.astype(str), names)


def tied_by_copies_elsewhere(
    patients: np.ndarray, units: np.ndarray, others: Sequence[Prepared]
) -> np.ndarray:
    """Unit numbers, those of patients merged who have copies in another preparation of the same data.

    Args:
        patients: (records,) ids.
        units: (records,) numbers of what stays whole.
        others: prepared sets of the same patients, in which other images may be alike.
    """
    for other in others:
        copies = _groups_of_copies(other)
        for group in range(copies.max(initial=-1) + 1):
            members = np.isin(patients, sorted(set(other.patients[copies == group])))
            names = np.where(members, "copies", "").astype(object)
            units = splits.tie_together(units.astype(str), names)
    return units


def copies_across(prepared: Prepared, sides: list[np.ndarray]) -> CopiesAcross:
    """The exact, near and mirrored copies between the sides of a split, copies of copies included.

    Args:
        prepared: the set; its copies are looked for once and kept in its folder.
        sides: positions of the training, validation and test side.
    """
    copies, contents = _groups_of_copies(prepared), prepared.contents
    side_of = _side_of(prepared, sides)
    pairs = []
    for group in range(copies.max(initial=-1) + 1):
        members = np.flatnonzero((copies == group) & (side_of >= 0))
        members = members[np.argsort(side_of[members], kind="stable")]
        pairs += [(members[0], one) for one in members if side_of[one] > side_of[members[0]]]
    across = np.array(pairs, dtype=np.int64).reshape(-1, 2)
    exact = contents[across[:, 0]] == contents[across[:, 1]]
    return CopiesAcross(across, int(np.sum(exact)))


def copies_of(prepared: Prepared) -> CopyPairs:
    """The copies between patients of a set; of unknown patients between all records."""
    # Where patients are not known, groups of copies stand for them.
    known = prepared.patients_known
    patients = prepared.patients.astype(str) if known else np.arange(len(prepared))
    return copy_pairs(prepared, np.unique(patients, return_inverse=True)[1])


def _groups_of_copies(prepared: Prepared) -> np.ndarray:
    """(records,) number of the group of copies that a record is in, -1 for one without copies."""
    pairs = copies_of(prepared).both
    joined = DisjointSet(np.unique(pairs).tolist())
    for first, second in pairs.tolist():
        joined.merge(first, second)
    groups = np.full(len(prepared), -1)
    for number, members in enumerate(joined.subsets()):
        groups[list(members)] = number
    return groups


def _side_of(prepared: Prepared, sides: list[np.ndarray]) -> np.ndarray:
    """(records,) the number of a record's side, -1 for one on none."""
    side_of = np.full(len(prepared), -1)
    for number, records in enumerate(sides):
        side_of[records] = number
    return side_of


def settle_copies(
    prepared: Prepared, sides: list[np.ndarray], choice: str, source: str
) -> tuple[list[np.ndarray], dict | None]:
    """Refuses copies across the sides of a supplied split, or does with them what --known-copies says.

    Args:
        prepared: the set.
        sides: positions of the training, validation and test side.
        choice: "drop" leaves patients with a copy on a later side out of the training and validation
            side; "keep" leaves the sides as they are; "" refuses.
        source: what supplied the split, for the message.

    Returns:
        The sides, and for the run how many copies there were and the ids of held-out records with a
        copy; None without copies.

    Raises:
        InputError: there are copies and no choice, or dropping them leaves nothing to train on.
    """
    across = copies_across(prepared, sides)
    if not len(across.pairs):
        return sides, None
    if choice not in (KEEP, DROP):
        raise InputError(
            f"The {source} puts copies of an image on two sides, which makes every number too good.",
            f"{in_words(across)}, of {len(across.of_side(sides[2]))} of {len(sides[2])} test records: "
            f"{_named(prepared, sides, across)}",
            "Correct the split; or leave it out and split with --split patient, which keeps copies "
            "together; or train with --known-copies drop, which leaves their patients out of training, "
            "or --known-copies keep, which says so beside every number.",
        )
    values = {
        "choice": choice,
        "exact": across.exact,
        "near": len(across.pairs) - across.exact,
        "held_out": prepared.record_ids[across.of_side(sides[2])].tolist(),
        "dropped": [],
    }
    if choice == KEEP:
        return sides, values
    kept = _without_copies(prepared, sides)
    dropped = np.setdiff1d(np.concatenate(sides[:2]), np.concatenate(kept[:2]))
    values["dropped"] = prepared.record_ids[dropped].tolist()
    return kept, values


def in_words(across: CopiesAcross) -> str:
    """Such as "20 exact and 3 near copies"."""
    near = len(across.pairs) - across.exact
    return f"{across.exact} exact and {near} near copies"


def known_copies_note(values: dict | None, held_out: int) -> str:
    """What stands beside the numbers of a run that was trained with --known-copies; "" without."""
    if not values:
        return ""
    if values["choice"] == KEEP:
        return (
            f"KNOWN COPIES: {len(values['held_out'])} of {held_out} held-out records have a copy on the "
            f"training or validation side ({values['exact']} exact and {values['near']} near copies)"
        )
    return (
        f"{len(values['dropped'])} records of patients with copies of held-out images were left out of "
        "training"
    )


def _without_copies(prepared: Prepared, sides: list[np.ndarray]) -> list[np.ndarray]:
    """The sides without training and validation patients that have a copy on a later side."""
    copies, side_of = _groups_of_copies(prepared), _side_of(prepared, sides)
    last = np.full(copies.max(initial=-1) + 2, -1)  # side of each group; its last place is for -1
    np.maximum.at(last, copies, side_of)
    leaves = (copies >= 0) & (side_of >= 0) & (side_of < last[copies])
    leaving = sorted(set(prepared.patients[leaves]))
    stays = [records[~np.isin(prepared.patients[records], leaving)] for records in sides[:2]]
    for name, records in zip(SIDES, stays, strict=False):
        if not len(records):
            raise InputError(
                "--known-copies drop leaves no patient on a side.",
                f"all patients in {name} have copies",
                "Correct the split, or leave it out and split with --split patient.",
            )  # fmt: skip
    return [*stays, sides[2]]


def _named(prepared: Prepared, sides: list[np.ndarray], across: CopiesAcross) -> str:
    """The first pairs by their files, where the set still has its private sidecar, else by record."""
    files = prepared.sources()
    side_of = {position: name for name, side in zip(SIDES, sides, strict=True) for position in side}

    def name(position: int) -> str:
        record = prepared.record_ids[position]
        return f"{files.get(record, f'record {record}')} ({side_of[position]})"

    named = [f"{name(first)} = {name(second)}" for first, second in across.pairs[:NAMED_PAIRS].tolist()]
    more = len(across.pairs) - len(named)
    return "; ".join(named) + (f" and {more} more" if more else "")
