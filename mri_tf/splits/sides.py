"""Sides of a prepared set as a command's flags ask for them, and those of its feature network."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mri_tf.core.errors import InputError, first_few
from mri_tf.splits import split as splits
from mri_tf.splits.units import answered
from mri_tf.store.prepared import Prepared
from mri_tf.task import Task


@dataclass(frozen=True)
class SplitOptions:
    """--split, --split-file, --train-size and --seed as given."""

    mode: str | None
    file: Path | None
    train_size: int | None
    seed: int


@dataclass(frozen=True)
class Sides:
    """Who is on which side, and what the training side held before it was limited."""

    records: list[np.ndarray]  # positions in the prepared set: train, validation, test
    mode: str  # how they were split
    natural_counts: np.ndarray | None  # (classes,) of the whole training side of a classifier


def choose_sides(prepared: Prepared, task: Task, how: SplitOptions) -> Sides:
    """Sides of a prepared set as the flags ask for them; raises InputError."""
    answered(task, prepared, np.arange(len(prepared)))  # one label a patient, where it answers for them
    labels, patients, groups = prepared.labels, prepared.patients, prepared.groups
    mode = "file" if how.file else how.mode
    if not mode and any(prepared.splits):
        mode = "column"
    mode = mode or ("group" if any(groups) else "patient")
    limit = None
    if mode == "file":
        named, limit = splits.read_split_file(how.file)
        sides = splits.split_by_patients(named, patients, groups)
    elif mode == "column":
        sides = splits.split_by_column(patients, groups, prepared.splits)
    else:
        units = units_of(prepared, mode)
        sides = splits.split_units(units, labels, task.split_fractions, how.seed)
    if how.train_size:
        limit = splits.Limit(dict.fromkeys(task.class_names, how.train_size), how.seed)
    natural = None
    if task.kind == "classification":
        counted = answered(task, prepared, sides[0])
        natural = np.bincount(labels[counted], minlength=len(task.class_names))
    if limit:
        sides = _limited(sides, prepared, limit, task)
    return Sides(sides, mode, natural)


def units_of(prepared: Prepared, mode: str) -> np.ndarray:
    """(records,) numbers of what a split by `mode` keeps whole: patient, group, or each record."""
    if mode == "random":
        return np.arange(len(prepared))
    tied = prepared.groups if mode == "group" else np.full(len(prepared), "")
    return splits.tie_together(prepared.patients, tied)


def _limited(
    sides: list[np.ndarray], prepared: Prepared, limit: splits.Limit, task: Task
) -> list[np.ndarray]:
    """Training records (or patients, where a task answers for them) as limited, and a validation
    side no larger than the training side."""
    unknown = sorted(set(limit.per_class) - set(prepared.class_names))
    if unknown:
        raise InputError(
            "The limit of a split file names classes of the task.",
            first_few(unknown),
            f"Classes: {', '.join(prepared.class_names)}.",
        )
    labels, names = prepared.labels, prepared.record_ids
    most = {prepared.class_names.index(name): count for name, count in limit.per_class.items()}
    pools = [answered(task, prepared, side) for side in sides[:2]]
    train = splits.limit_per_class(pools[0], labels, names, most, limit.seed)
    trained = {label: int(np.sum(labels[train] == label)) for label in np.unique(labels).tolist()}
    kept = [train, splits.limit_per_class(pools[1], labels, names, trained, limit.seed)]
    if task.bag:
        kept = [
            side[np.isin(prepared.patients[side], prepared.patients[some])]
            for side, some in zip(sides, kept, strict=False)
        ]
    return [*kept, sides[2]]


def sides_for_features(
    features: Prepared, task: Task, prepared: Prepared, sides: list[np.ndarray], seed: int
) -> Sides:
    """Sides of the feature set; who is held out from the classifier's training is test here too.

    Held out are patients by id and by pixels, and everybody in a group with one.
    """
    held_out = np.concatenate(sides[1:])
    held_groups = sorted(set(prepared.groups[held_out]) - {""})
    blocked = (
        np.isin(features.patients, sorted(set(prepared.patients[held_out])))
        | np.isin(features.contents, sorted(set(prepared.contents[held_out])))
        | np.isin(features.groups, held_groups)
    )
    units = splits.tie_together(features.patients, features.groups)
    blocked = np.isin(units, units[blocked])
    free = np.flatnonzero(~blocked)
    if not len(free):
        raise InputError(
            "The feature network trains on patients that the classifier does not hold out.",
            "none are left",
            "Split by patient, name other data with --features-data, or use a variant without features.",
        )
    column = features.splits[free]
    if set(column) >= {"train", "validation"}:
        rest = [free[column == "test"], np.flatnonzero(blocked)]
        records = [free[column == "train"], free[column == "validation"], np.concatenate(rest)]
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
