"""Who is trained on, who chooses the weights and who is only counted: splits by patient.

Chance (`numpy.random.Generator` from a seed) decides among equals; stratification keeps the
classes' shares alike. Sides are disjoint in patients for every input.
"""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mri_tf.core.errors import InputError, first_few
from mri_tf.task.spec import SIDES

MAX_ORDERS, UNITS_DEALT = 50, 50_000  # orders tried in a split; fewer where there are many units


def tie_together(patients: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """A unit number a record: records that share a patient or a (non-empty) group share a unit."""
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
    """Record positions a side, units whole, classes stratified; also folds, as equal fractions.

    `units` and `labels` have one entry a record. Units are dealt one by one in a seeded order to
    the side whose class counts (and number of units) lie furthest below their share; of several
    such orders the one with the best shares is kept. Every side gets at least one unit. Raises
    InputError if there are fewer units than sides.
    """
    names, unit_of = np.unique(units, return_inverse=True)
    if len(names) < len(fractions):
        raise InputError(
            f"A split into {len(fractions)} sides needs at least {len(fractions)} patients (or "
            "groups).",
            f"{len(names)}",
            "Add patients, or name the sides with --split-file.",
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


def split_by_column(
    patients: np.ndarray, groups: np.ndarray, splits: np.ndarray
) -> list[np.ndarray]:
    """Record positions a side from a `split` column; refuses a patient or group on two sides."""
    unknown = sorted(set(splits) - set(SIDES))
    if unknown:
        raise InputError(
            f"The split column holds {', '.join(SIDES)} in every row.",
            first_few(repr(value) for value in unknown),
            "Correct the column, or split by patient with --split patient.",
        )
    sides = [np.flatnonzero(splits == side) for side in SIDES]
    return _checked(sides, patients, groups, "split column")


@dataclass(frozen=True)
class Limit:
    """How many records of a class the training side may hold, drawn with a seed of their own."""

    per_class: dict[str, int]  # class name -> most records; a class not named is kept whole
    seed: int


def read_split_file(path: Path) -> tuple[dict[str, list[str]], Limit | None]:
    """Patients a side from JSON `{"train": [patient, ...], "validation": ..., "test": ...}`.

    `"limit": {"per_class": {class: most}, "seed": n}` beside the sides is optional.
    """
    try:
        values = json.loads(Path(path).read_text(encoding="utf-8"))
        patients = {side: sorted({str(name) for name in _list(values[side])}) for side in SIDES}
        limit = values.get("limit")
        if limit is not None:
            per_class = {str(name): int(most) for name, most in limit["per_class"].items()}
            limit = Limit(per_class, int(limit["seed"]))
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(
            '--split-file is JSON: {"train": [patient ids], "validation": [...], "test": [...]}.',
            f"{path} ({type(error).__name__}: {error})",
            "Correct the file.",
        ) from None
    return patients, limit


def split_by_patients(
    sides: dict[str, list[str]], patients: np.ndarray, groups: np.ndarray
) -> list[np.ndarray]:
    """Record positions a side from patient ids a side, those of `read_split_file`."""
    missing = sorted(set().union(*sides.values()) - set(patients))
    if missing:
        raise InputError(
            "--split-file names patients of the prepared set.",
            f"unknown: {first_few(missing)}",
            "Use the ids of the prepared set.",
        )
    records = [np.flatnonzero(np.isin(patients, sorted(sides[side]))) for side in SIDES]
    return _checked(records, patients, groups, "split file")


def limit_per_class(
    positions: np.ndarray, labels: np.ndarray, names: np.ndarray, most: dict[int, int], seed: int
) -> np.ndarray:
    """At most `most[label]` records of each class; larger draws hold smaller ones.

    The order comes from the seed and the record's name alone, so that the same records are drawn
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
        raise TypeError("a side is a list")
    return value


def _checked(
    sides: list[np.ndarray], patients: np.ndarray, groups: np.ndarray, what: str
) -> list[np.ndarray]:
    for name, side in zip(SIDES, sides, strict=True):
        if not len(side):
            raise InputError(
                f"The {what} gives every side at least one patient.", f"none in {name}", "Add one."
            )
    for first, second in ((0, 1), (0, 2), (1, 2)):
        for kind, names in (("patient", patients), ("group", groups)):
            both = sorted((set(names[sides[first]]) & set(names[sides[second]])) - {""})
            if both:
                raise InputError(
                    f"A {kind} is on one side of a {what} only.",
                    f"in {SIDES[first]} and {SIDES[second]}: {first_few(both)}",
                    f"Correct it: a {kind} on two sides makes every number too good.",
                )
    return sides
