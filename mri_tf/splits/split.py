"""Stratified random splits by patient, splits from a column or a file, and limits per class.

No patient is on two sides. Random numbers come from `numpy.random.Generator` with a seed.
"""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mri_tf.core.errors import InputError, first_few
from mri_tf.task.spec import SIDES

SPLIT_RULE = f"The split column must hold {', '.join(SIDES[:2])} or {SIDES[2]} in every row."

# Random orders tried in a split: 50, fewer where there are many units.
MAX_ORDERS, UNITS_DEALT = 50, 50_000


def tie_together(patients: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """(records,) unit numbers: records that share a patient or a (non-empty) group share a unit."""
    parent: dict[tuple[str, str], tuple[str, str]] = {}

    def root(node):
        parent.setdefault(node, node)
        while parent[node] != node:
            parent[node] = parent[parent[node]]
            node = parent[node]
        return node

    for patient, group in zip(patients, groups, strict=True):
        top = root(("patient", patient))
        if group:
            parent[root(("group", group))] = top
    roots = [root(("patient", patient)) for patient in patients]
    numbers: dict[tuple[str, str], int] = {}
    return np.array([numbers.setdefault(node, len(numbers)) for node in roots], dtype=np.int64)


def split_units(
    units: np.ndarray, labels: np.ndarray, fractions: tuple[float, ...], seed: int
) -> list[np.ndarray]:
    """Splits records at random, units kept whole and classes stratified.

    Units are dealt one by one, in a random order, to the side whose class counts (and number of units)
    lie furthest below their share; of several such orders the one with the best shares is kept.

    Args:
        units: (records,) unit of each record, such as the numbers of `tie_together`.
        labels: (records,) class of each record.
        fractions: share of each side; equal ones give folds.
        seed: of the random orders.

    Returns:
        Ascending record positions of each side; every side has at least one unit.

    Raises:
        InputError: if there are fewer units than sides.
    """
    names, unit_of = np.unique(units, return_inverse=True)
    if len(names) < len(fractions):
        raise InputError(
            f"A split into {len(fractions)} sides needs at least {len(fractions)} patients (or "
            "groups).",
            f"{len(names)}",
            "Add patients, or list the patients of each side in --split-file.",
        )
    classes, label_of = np.unique(labels, return_inverse=True)
    counts = np.zeros((len(names), len(classes) + 1))  # last column: the unit itself
    np.add.at(counts, (unit_of, label_of), 1)
    counts[:, -1] = 1
    target = np.asarray(fractions)[:, None] * counts.sum(axis=0)  # (sides, classes + 1)
    rng = np.random.default_rng(seed)
    # Dealing the largest units first would balance as well, and put the same patients on the same
    # side whatever the seed.
    orders = max(1, min(MAX_ORDERS, UNITS_DEALT // len(names)))
    dealt = [_deal(counts, target, rng.permutation(len(names))) for _ in range(orders)]
    side_of, _ = min(dealt, key=lambda pair: pair[1])
    return [np.flatnonzero(side_of[unit_of] == side) for side in range(len(fractions))]


def _deal(counts: np.ndarray, target: np.ndarray, order: np.ndarray) -> tuple[np.ndarray, float]:
    """The side of each unit, and how far the sides' counts end from their targets."""
    filled = np.zeros_like(target)
    side_of = np.empty(len(counts), dtype=np.int64)
    for place, unit in enumerate(order):
        # What each side's misfit becomes if this unit goes there.
        before = ((filled - target) ** 2 / target).sum(axis=1)
        after = ((filled + counts[unit] - target) ** 2 / target).sum(axis=1)
        gain = after - before
        empty = filled[:, -1] == 0
        if len(order) - place <= empty.sum():
            gain = np.where(empty, gain, np.inf)
        chosen = int(np.argmin(gain))
        side_of[unit] = chosen
        filled[chosen] += counts[unit]
    return side_of, float(((filled - target) ** 2 / target).sum())


def complete_column(
    splits: np.ndarray, units: np.ndarray, labels: np.ndarray, fractions: tuple[float, ...], seed: int
) -> np.ndarray:
    """A `split` column with a validation side: where it names none, a part of the training side.

    Args:
        splits: (records,) train, validation or test.
        units: (records,) numbers of what stays whole, as of `split_units`.
        labels: (records,) class of each record.
        fractions: of the three sides; the first two say how much of the training side is taken.
        seed: of the choice.
    """
    train = np.flatnonzero(splits == SIDES[0])
    if not len(train) or np.any(splits == SIDES[1]):
        return splits
    share = fractions[1] / (fractions[0] + fractions[1])
    _, taken = split_units(units[train], labels[train], (1 - share, share), seed)
    completed = splits.copy()
    completed[train[taken]] = SIDES[1]
    return completed


def split_by_column(
    patients: np.ndarray, groups: np.ndarray, splits: np.ndarray
) -> list[np.ndarray]:
    """Record positions of each side from a `split` column (one entry a record).

    Raises InputError for a patient or group on two sides.
    """
    unknown = sorted(set(splits) - set(SIDES))
    if unknown:
        raise InputError(
            SPLIT_RULE,
            first_few(repr(value) for value in unknown),
            "Fill in the column, or split at random with --split patient.",
        )
    sides = [np.flatnonzero(splits == side) for side in SIDES]
    return _checked(sides, patients, groups, "split column")


@dataclass(frozen=True)
class Limit:
    """How many records of each class the training side may hold, and the seed that draws them."""

    per_class: dict[str, int]  # class name -> most records; a class not named is kept whole
    seed: int


def read_split_file(path: Path) -> tuple[dict[str, list[str]], Limit | None]:
    """Reads the patients of each side: `{"train": [patient, ...], "validation": ..., "test": ...}`.

    `"limit": {"per_class": {class: most}, "seed": n}` beside the sides is optional. Raises InputError.
    """
    try:
        values = json.loads(Path(path).read_text(encoding="utf-8"))
        patients = {side: sorted({str(name) for name in _list(values[side])}) for side in SIDES}
        limit = values.get("limit")
        if limit is not None:
            per_class = {str(name): int(most) for name, most in limit["per_class"].items()}
            limit = Limit(per_class, int(limit["seed"]))
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise InputError(
            "Cannot read the split file.",
            f"{path} ({type(error).__name__}: {error})",
            'It must be JSON: {"train": [patient ids], "validation": [...], "test": [...]}.',
        ) from None
    return patients, limit


def split_by_patients(
    sides: dict[str, list[str]], patients: np.ndarray, groups: np.ndarray
) -> list[np.ndarray]:
    """Record positions of each side from its patient ids, as `read_split_file` returns them."""
    check_patients_known(sides, set(patients))
    records = [np.flatnonzero(np.isin(patients, sorted(sides[side]))) for side in SIDES]
    return _checked(records, patients, groups, "split file")


def check_patients_known(sides: dict[str, list[str]], patients: set[str]) -> None:
    """Raises InputError for a split file that names patients who are not among those of the data."""
    missing = sorted(set().union(*sides.values()) - patients)
    if missing:
        raise InputError(
            "--split-file names patients that are not in the data.", first_few(missing),
            "Use the patient ids of the data; patients who were joined by their DICOM headers have that "
            "of the first.",
        )


def limit_per_class(
    positions: np.ndarray, labels: np.ndarray, names: np.ndarray, most: dict[int, int], seed: int
) -> np.ndarray:
    """Draws at most `most[label]` records of each class; a larger draw contains the smaller ones.

    The order depends on the seed and the record ids (`names`) alone, so that the same records are drawn
    from a set that was prepared another way.
    """
    def lot(position: int) -> bytes:
        return hashlib.sha256(f"{seed} {names[position]}".encode()).digest()

    order = np.array(sorted(positions.tolist(), key=lot), dtype=np.int64)
    kept = [
        order[labels[order] == label][: most.get(label)] for label in np.unique(labels[order]).tolist()
    ]
    return np.sort(np.concatenate(kept)) if kept else order


def _list(value) -> list:
    if not isinstance(value, list):
        raise TypeError("a side must be a list of patient ids")
    return value


def _checked(
    sides: list[np.ndarray], patients: np.ndarray, groups: np.ndarray, source: str
) -> list[np.ndarray]:
    for name, side in zip(SIDES, sides, strict=True):
        if not len(side):
            raise InputError(
                f"The {source} must give every side at least one patient.", f"no patient in {name}",
                f"Add a patient to {name}.",
            )
    for first, second in ((0, 1), (0, 2), (1, 2)):
        for kind, names in (("patient", patients), ("group", groups)):
            shared = sorted((set(names[sides[first]]) & set(names[sides[second]])) - {""})
            if shared:
                raise InputError(
                    f"The {source} puts a {kind} on two sides, which makes every number too good.",
                    f"in {SIDES[first]} and {SIDES[second]}: {first_few(shared)}",
                    f"Move all records of the {kind} to one side.",
                )
    return sides
