"""Sides of a prepared set as a command's flags ask for them, and those of its feature network."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mri_tf import splits
from mri_tf.errors import InputError
from mri_tf.prepared import Prepared
from mri_tf.task import Task


@dataclass(frozen=True)
class HowToSplit:
    """--split, --split-file, --train-size and --seed as given."""

    mode: str | None
    file: Path | None
    train_size: int | None
    seed: int


def choose_sides(prepared: Prepared, task: Task, how: HowToSplit) -> tuple[list[np.ndarray], str]:
    """Record positions of train, validation and test, and the name of the way they were split."""
    labels, patients, groups = prepared.labels, prepared.patients, prepared.groups
    mode = "file" if how.file else how.mode
    if not mode and any(prepared.splits):
        mode = "column"
    mode = mode or ("group" if any(groups) else "patient")
    if mode == "file":
        sides = splits.split_by_file(how.file, patients, groups)
    elif mode == "column":
        sides = splits.split_by_column(patients, groups, prepared.splits)
    else:
        units = np.arange(len(labels))  # random: every record for itself
        if mode != "random":
            tied = groups if mode == "group" else np.full(len(labels), "")
            units = splits.tie_together(patients, tied)
        sides = splits.split_units(units, labels, task.split_fractions, how.seed)
    if how.train_size:
        classes = np.unique(labels)
        sides[0] = splits.limit_per_class(
            sides[0], labels, dict.fromkeys(classes, how.train_size), how.seed
        )
        # The validation side is never larger than the training side.
        trained = {label: int(np.sum(labels[sides[0]] == label)) for label in classes}
        sides[1] = splits.limit_per_class(sides[1], labels, trained, how.seed)
    return sides, mode


def sides_for_features(
    features: Prepared, task: Task, prepared: Prepared, sides: list[np.ndarray], seed: int
) -> list[np.ndarray]:
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
            "Split by patient, name other data with --features-data, or use a variant without "
            "features.",
        )
    column = features.splits[free]
    if set(column) >= {"train", "validation"}:
        rest = [free[column == "test"], np.flatnonzero(blocked)]
        return [free[column == "train"], free[column == "validation"], np.concatenate(rest)]
    if len(free) == len(features):
        return splits.split_units(units, features.labels, task.split_fractions, seed)
    train, validation = task.split_fractions[:2]
    inner = splits.split_units(
        units[free], features.labels[free],
        (train / (train + validation), validation / (train + validation)), seed,
    )  # fmt: skip
    return [free[inner[0]], free[inner[1]], np.flatnonzero(blocked)]
