"""Exchanges of labels: every one of them, or drawn ones, such that no patient's records are torn apart.

If images said nothing about labels, every exchange of the labels would be as likely as the labels that
were seen (Fisher 1935). Patients of one label exchange it with all their records. Patients of several
labels exchange them among their own records.
"""

import itertools
import math
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

AT_ONCE = 2**22  # labels of draws in memory together


class ExchangeUnits(NamedTuple):
    """What exchanges labels.

    Attributes:
        labels: (units,) class of each.
        blocks: (units,) units of one block exchange their labels among each other.
        owners: (units,) the patient, or the patients tied by a group, whom a unit belongs to.
        unit_of: (records,) the unit of each record.
    """

    labels: np.ndarray
    blocks: np.ndarray
    owners: np.ndarray
    unit_of: np.ndarray


def labelled_units(truth: np.ndarray, owner_of: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """What has one class together: an owner of one class, or each record of an owner of several.

    Args:
        truth: (records,) class numbers.
        owner_of: (records,) number of the patient, or of the patient in a fold.

    Returns:
        (records,) number of the unit, and (records,) whether its owner has records of several classes.
    """
    classes_of = np.zeros((owner_of.max() + 1, truth.max() + 1), bool)
    classes_of[owner_of, truth] = True
    several = classes_of.sum(axis=1)[owner_of] > 1
    alone = len(classes_of) + np.arange(len(truth))
    return np.unique(np.where(several, alone, owner_of), return_inverse=True)[1], several


def exchange_units(
    truth: np.ndarray, patients: np.ndarray, owners: np.ndarray | None = None
) -> ExchangeUnits:
    """The units of records: patients as whole as their labels allow.

    Owners of one label are one unit each, and exchange it among each other. Within an owner of several
    labels the patients of one label exchange theirs, and a patient of several labels exchanges them
    among the own records.

    Args:
        truth: (records,) class numbers.
        patients: (records,) whose each record is.
        owners: (records,) what must stay together: patients tied with their groups, as numbers. The
            patients unless given.
    """
    patient_of = np.unique(np.asarray(patients).astype(str), return_inverse=True)[1]
    owner_of = np.unique(np.asarray(patients if owners is None else owners).astype(str),
                         return_inverse=True)[1]  # fmt: skip
    _, tied_several = labelled_units(truth, owner_of)
    of_patient, torn = labelled_units(truth, patient_of)
    unit = np.where(tied_several, owner_of.max() + 1 + of_patient, owner_of)
    unit = np.unique(unit, return_inverse=True)[1]
    in_owner = 1 + owner_of
    in_patient = 1 + owner_of.max() + 1 + patient_of
    block = np.where(tied_several, np.where(torn, in_patient, in_owner), 0)
    count = unit.max() + 1
    labels, blocks, owned = (np.zeros(count, int) for _ in range(3))
    for values, of_record in ((labels, truth), (blocks, block), (owned, owner_of)):
        values[unit] = of_record
    return ExchangeUnits(labels, blocks, owned, unit)


def every_exchange(labels: np.ndarray, blocks: np.ndarray, most: int) -> np.ndarray | None:
    """(exchanges, units) labels of every different exchange; None where they are more than `most`.

    Args:
        labels: (units,) class of each.
        blocks: (units,) within which labels are exchanged.
        most: number of exchanges.
    """
    places = [np.flatnonzero(blocks == block) for block in np.unique(blocks)]
    number = 1
    for place in places:
        counts = np.bincount(labels[place])
        number *= math.factorial(len(place)) // math.prod(math.factorial(int(n)) for n in counts)
        if number > most:
            return None
    of_blocks = [list(_orders(sorted(labels[place].tolist()))) for place in places]
    found = np.zeros((number, len(labels)), int)
    for row, orders in enumerate(itertools.product(*of_blocks)):
        for place, order in zip(places, orders, strict=True):
            found[row, place] = order
    return found


def _orders(values: list[int]):
    """Every different order of values, of which some are equal; the values are sorted."""
    if not values:
        yield ()
    for position, value in enumerate(values):
        if position and value == values[position - 1]:
            continue
        for rest in _orders(values[:position] + values[position + 1 :]):
            yield (value, *rest)


def drawn_exchanges(
    labels: np.ndarray, blocks: np.ndarray, draws: int, rng: np.random.Generator
) -> Iterator[np.ndarray]:
    """Parts of `draws` exchanges, (part, units) labels each.

    Args:
        labels: (units,) class of each, at most 256 classes.
        blocks: (units,) within which labels are exchanged.
        draws: number of exchanges in all parts together.
        rng: draws them.
    """
    order = np.argsort(blocks, kind="stable")
    grouped = np.split(order, np.flatnonzero(np.diff(blocks[order])) + 1)
    by_size: dict[int, list[np.ndarray]] = {}
    for block in grouped:
        by_size.setdefault(len(block), []).append(block)
    places = [np.stack(equal) for equal in by_size.values()]  # (blocks, units of each)
    rows = max(1, AT_ONCE // len(labels))
    for start in range(0, draws, rows):
        count = min(rows, draws - start)
        drawn = np.empty((count, len(labels)), np.uint8)
        for place in places:
            # Sorting random numbers whose last byte is the label is a fast way to shuffle each block.
            keys = rng.integers(0, 2**32, (count, *place.shape), np.uint32) & ~np.uint32(0xFF)
            keys |= labels[place].astype(np.uint32)
            drawn[:, place] = np.sort(keys, axis=2).astype(np.uint8)
        yield drawn
