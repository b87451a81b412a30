"""Training, validation and test side of a prepared set, and of the set of its feature network."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mri_tf.core.errors import InputError, first_few
from mri_tf.splits import split as splits
from mri_tf.splits.known_copies import settle_copies, tied_by_copies
from mri_tf.splits.reserved import (
    LIMITED,
    RANDOM_SPLIT,
    Reserved,
    none_reserved,
    reserve,
)
from mri_tf.splits.units import answering_records
from mri_tf.store.prepared import Prepared
from mri_tf.task import Task

SUPPLIED = {"file": "split file", "column": "split column"}  # ways to split that are not ours


@dataclass(frozen=True)
class SplitOptions:
    """The flags --split, --split-file, --train-size, --seed and --known-copies."""

    mode: str | None
    file: Path | None
    train_size: int | None
    seed: int
    known_copies: str = ""  # drop or keep; "" refuses copies across the sides of a supplied split


@dataclass(frozen=True)
class Sides:
    """The records of each side, and how they were chosen."""

    records: list[np.ndarray]  # positions in the prepared set: train, validation, test
    mode: str  # file, column, patient, group or random
    natural_counts: np.ndarray | None  # (classes,) of a classifier's training side, before a limit
    known_copies: dict | None = None  # what `settle_copies` says of copies across the sides
    dropped: np.ndarray | None = None  # positions that --known-copies drop left out
    # Of a classifier's validation side, for prediction sets; None: nothing is reserved.
    reserved: Reserved | None = None

    @property
    def withheld(self) -> list[np.ndarray]:
        """The sides with what was dropped among the held-out records: no other network may see it."""
        if self.dropped is None:
            return self.records
        return [*self.records[:2], np.concatenate([self.records[2], self.dropped])]


def choose_sides(prepared: Prepared, task: Task, options: SplitOptions) -> Sides:
    """Splits a prepared set as the options say.

    Without a mode it is the set's split column if there is one, else by group, else by patient. Copies
    of an image stay on one side, unless the split is random or supplied.

    Raises:
        InputError: that is not possible, or a supplied split puts copies on two sides.
    """
    answering_records(task, prepared, np.arange(len(prepared)))  # refuses a patient with several labels
    labels, patients, groups = prepared.labels, prepared.patients, prepared.groups
    mode = "file" if options.file else options.mode
    if not mode and any(prepared.splits):
        mode = "column"
    mode = mode or ("group" if any(groups) else "patient")
    limit, known_copies = None, None
    if mode == "file":
        patient_lists, limit = splits.read_split_file(options.file)
        sides = splits.split_by_patients(patient_lists, patients, groups)
    elif mode == "column":
        units = units_of(prepared, "group")
        column = splits.complete_column(
            prepared.splits, units, labels, task.split_fractions, options.seed
        )
        # Groups of copies that stand for unknown patients may be on two sides: settled below.
        names = patients if prepared.patients_known else prepared.record_ids
        tied = groups if prepared.patients_known else np.full(len(prepared), "", dtype=object)
        sides = splits.split_by_column(names, tied, column)
    dropped = None
    if mode in SUPPLIED:
        supplied = np.concatenate(sides)
        sides, known_copies = settle_copies(prepared, sides, options.known_copies, SUPPLIED[mode])
        dropped = np.setdiff1d(supplied, np.concatenate(sides))
    else:
        units = units_of(prepared, mode)
        sides = splits.split_units(units, labels, task.split_fractions, options.seed)
    if options.train_size:
        limit = splits.Limit(dict.fromkeys(task.class_names, options.train_size), options.seed)
    natural, reserved = None, None
    if task.kind == "classification":
        counted = answering_records(task, prepared, sides[0])
        natural = np.bincount(labels[counted], minlength=len(task.class_names))
    if limit:
        sides = _limited(sides, prepared, limit, task)
    if task.kind == "classification":
        reserved = _reserved(sides[1], prepared, mode, bool(limit))
    return Sides(sides, mode, natural, known_copies, dropped, reserved)


def _reserved(validation: np.ndarray, prepared: Prepared, mode: str, limited: bool) -> Reserved:
    """The part of a validation side that chooses nothing."""
    if mode == "random" or limited:
        return none_reserved(validation, RANDOM_SPLIT if mode == "random" else LIMITED)
    units = units_of(prepared, "group")[validation]
    return reserve(validation, units, prepared.labels[validation])


def units_of(prepared: Prepared, mode: str) -> np.ndarray:
    """(records,) numbers of what a split by `mode` keeps whole: patients or groups, with those that have
    copies of their images, or single records."""
    if mode == "random":
        return np.arange(len(prepared))
    groups = prepared.groups if mode == "group" else np.full(len(prepared), "")
    return tied_by_copies(prepared, splits.tie_together(prepared.patients, groups))


def _limited(
    sides: list[np.ndarray], prepared: Prepared, limit: splits.Limit, task: Task
) -> list[np.ndarray]:
    """Limits the training side (its patients, for a task with `bag`), and the validation side to no
    more of each class than the training side."""
    unknown = sorted(set(limit.per_class) - set(prepared.class_names))
    if unknown:
        raise InputError(
            "The limit in the split file names classes that the task does not have.",
            first_few(unknown),
            f"Its classes: {', '.join(prepared.class_names)}.",
        )
    labels, names = prepared.labels, prepared.record_ids
    most = {prepared.class_names.index(name): count for name, count in limit.per_class.items()}
    pools = [answering_records(task, prepared, side) for side in sides[:2]]
    train = splits.limit_per_class(pools[0], labels, names, most, limit.seed)
    trained = {label: int(np.sum(labels[train] == label)) for label in np.unique(labels).tolist()}
    kept = [train, splits.limit_per_class(pools[1], labels, names, trained, limit.seed)]
    if task.bag:  # all records of the patients that are kept
        kept = [
            side[np.isin(prepared.patients[side], prepared.patients[first_records])]
            for side, first_records in zip(sides[:2], kept, strict=True)
        ]
    return [*kept, sides[2]]


def sides_for_features(
    features: Prepared, task: Task, prepared: Prepared, sides: list[np.ndarray], seed: int
) -> Sides:
    """Splits the set of a feature network: whom the classifier holds out is on its test side too.

    Args:
        features: the feature network's prepared set.
        task: the feature network's task, whose `split_fractions` are used.
        prepared: the classifier's prepared set.
        sides: the classifier's train, validation and test positions.
        seed: of the split.

    Returns:
        Sides of `features`. On its test side are patients of the classifier's validation and test
        side, by id and by pixels, and all that share a group with them.

    Raises:
        InputError: if no patient is left to train on.
    """
    held_out = np.concatenate(sides[1:])
    held_groups = sorted(set(prepared.groups[held_out]) - {""})
    blocked = (
        np.isin(features.patients, sorted(set(prepared.patients[held_out])))
        | np.isin(features.contents, sorted(set(prepared.contents[held_out])))
        | np.isin(features.groups, held_groups)
    )
    units = units_of(features, "group")
    blocked = np.isin(units, units[blocked])
    free = np.flatnonzero(~blocked)
    if not len(free):
        raise InputError(
            "The classifier holds out all patients that the feature network could train on.",
            "no other patients",
            "Split by patient, give other data with --features-data, or use a variant without features.",
        )
    column = features.splits[free]
    if set(column) >= {"train", "validation"}:
        test = np.concatenate([free[column == "test"], np.flatnonzero(blocked)])
        records = [free[column == "train"], free[column == "validation"], test]
        return Sides(records, "column", None)
    if len(free) == len(features):
        records = splits.split_units(units, features.labels, task.split_fractions, seed)
        return Sides(records, "patient", None)
    train, validation = task.split_fractions[:2]
    inner = splits.split_units(
        units[free], features.labels[free],
        (train / (train + validation), validation / (train + validation)), seed,
    )  # fmt: skip
    return Sides([free[inner[0]], free[inner[1]], np.flatnonzero(blocked)], "patient", None)
