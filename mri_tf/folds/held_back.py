"""The patients of a split column's test side, who are in no fold of a cross-validation."""

from dataclasses import dataclass

import numpy as np

from mri_tf.splits.known_copies import settle_copies
from mri_tf.splits.sides import units_of
from mri_tf.splits.split import complete_column, split_by_column
from mri_tf.store.prepared import Prepared
from mri_tf.task import Task
from mri_tf.task.spec import SIDES


@dataclass(frozen=True)
class HeldBack:
    """Patients that are in the folds, and those that no network may learn from."""

    in_folds: set[str]
    patients: tuple[str, ...] = ()


def held_back(prepared: Prepared, task: Task, seed: int) -> HeldBack:
    """The patients of the folds: all, or those that a split column does not put on the test side.

    Training and validation side of the column are in the folds alike.

    Raises:
        InputError: a patient, a group or copies of an image are in the folds and on the test side.
    """
    column = np.array(prepared.splits)
    if SIDES[2] not in column:
        return HeldBack(set(prepared.patients))
    units = units_of(prepared, "group")
    column = complete_column(column, units, prepared.labels, task.split_fractions, seed)
    train, validation, test = split_by_column(prepared.patients, prepared.groups, column)
    folds = np.sort(np.concatenate([train, validation]))
    settle_copies(prepared, [folds, folds[:0], test], "", "split column")
    apart = sorted(set(prepared.patients[test]))
    return HeldBack(set(prepared.patients[folds]), tuple(apart))
