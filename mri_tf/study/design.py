"""The cells of a study: variants x repeats x folds x training sizes, on identical splits."""

import re
from dataclasses import dataclass

import numpy as np

from mri_tf.core.errors import InputError, first_few
from mri_tf.core.hashing import fingerprint
from mri_tf.splits.sides import units_of
from mri_tf.splits.split import split_by_column, split_units
from mri_tf.store.prepared import Prepared
from mri_tf.task import Task
from mri_tf.task.spec import SIDES

TUNED = "+tuned"  # ends the name of a variant whose values are searched inside each fold
WHOLE = 0  # the training size of a cell that is not limited
LONGEST_NAME = 80  # letters of a variant in a file name


@dataclass(frozen=True)
class Plan:
    """What a study's flags ask for."""

    variants: tuple[str, ...]  # each "a,b" as --variant takes it; BASE_VARIANT for none
    folds: int  # 1: a random split a repeat, in the task's fractions
    repeats: int
    train_sizes: tuple[int, ...]  # records a class; WHOLE for all
    keep_all: tuple[str, ...]  # classes that no training size limits
    restarts: int
    seed: int
    trials: int = 0  # of the search of each tuned variant

    def seeds(self, repeat: int) -> list[int]:
        """Of a cell's restarts; the same for every variant, fold and size."""
        first = self.seed + repeat * self.restarts
        return list(range(first, first + self.restarts))


@dataclass(frozen=True)
class Cell:
    """One number of a study: one variant on one fold of one repeat at one training size."""

    variant: str
    repeat: int
    fold: int
    train_size: int

    @property
    def name(self) -> str:
        """Also the name of its folder."""
        size = f"-n{self.train_size}" if self.train_size else ""
        return f"{file_name(self.variant)}-r{self.repeat}-f{self.fold}{size}"


def file_name(variant: str) -> str:
    """A variant as part of a file name: another for every variant, whatever its letters."""
    plain = re.sub(r"[^A-Za-z0-9_.,-]", "_", variant)
    if plain != variant or len(plain) > LONGEST_NAME:
        plain = f"{plain[:LONGEST_NAME]}-{fingerprint(variant)[:8]}"
    return plain.replace(",", "+")


def cells_of(plan: Plan) -> list[Cell]:
    """Every cell; all variants of one split after another, so that an early stop is still paired."""
    return [
        Cell(variant, repeat, fold, size)
        for repeat in range(plan.repeats)
        for fold in range(plan.folds)
        for size in plan.train_sizes
        for variant in plan.variants
    ]


def fold_patients(
    prepared: Prepared, task: Task, plan: Plan, common: set[str]
) -> dict[tuple[int, int], dict[str, list[str]]]:
    """(repeat, fold) -> patients a side; patients and groups whole, classes stratified.

    Of each repeat every patient is in the test side of one fold. What a fold does not test is
    split into training and validation side in the proportion of the task. `common` are the
    patients that the prepared sets of all variants hold. With one fold, a `split` column says
    the sides of every repeat, else each repeat is a random split of its own.

    Raises InputError if there are fewer patients (or groups) than folds.
    """
    there = np.flatnonzero(np.isin(prepared.patients, sorted(common)))
    labels, patients = prepared.labels[there], prepared.patients[there]
    units = units_of(prepared, "group")[there]
    _check_enough(units, plan)
    if plan.folds == 1 and any(prepared.splits):
        sides = split_by_column(patients, prepared.groups[there], prepared.splits[there])
        return {(repeat, 0): _named(patients, sides) for repeat in range(plan.repeats)}
    found = {}
    train, validation, _ = task.split_fractions
    inner = (train / (train + validation), validation / (train + validation))
    for repeat in range(plan.repeats):
        if plan.folds == 1:
            sides = split_units(units, labels, task.split_fractions, [plan.seed, repeat])
            found[repeat, 0] = _named(patients, sides)
            continue
        tests = split_units(units, labels, (1 / plan.folds,) * plan.folds, [plan.seed, repeat])
        for fold, test in enumerate(tests):
            rest = np.setdiff1d(np.arange(len(there)), test)
            if len(np.unique(units[rest])) < 2:
                raise InputError(
                    "Every fold leaves at least two patients (or groups) for training and validation.",
                    f"1 in fold {fold} of {plan.folds}", "Use more --folds, or add patients.",
                )  # fmt: skip
            seed = [plan.seed, repeat, fold]
            sides = split_units(units[rest], labels[rest], inner, seed)
            found[repeat, fold] = _named(patients, [rest[sides[0]], rest[sides[1]], test])
    return found


def split_file(plan: Plan, class_names: tuple[str, ...], patients: dict, cell: Cell) -> dict:
    """The values of a cell's --split-file."""
    values = dict(patients)
    if cell.train_size:
        limited = [name for name in class_names if name not in plan.keep_all]
        values["limit"] = {
            "per_class": dict.fromkeys(limited, cell.train_size),
            "seed": plan.seed + cell.repeat,  # smaller sizes are part of larger ones
        }
    return values


def check_plan(plan: Plan, tasks: list[Task]) -> None:
    """Raises InputError for flags that do not fit the task, or variants that cannot be compared."""
    task = tasks[0]
    for name, other in zip(plan.variants, tasks, strict=True):
        if (other.kind, other.class_names) != (task.kind, task.class_names):
            raise InputError(
                "The variants of a study have the same kind and classes.",
                f"{name} of {other.kind}: {', '.join(other.class_names)}",
                "Compare them in studies of their own.",
            )
    unknown = sorted(set(plan.keep_all) - set(task.class_names))
    if unknown:
        raise InputError(
            "--keep-all names classes of the task.", first_few(unknown),
            f"Classes: {', '.join(task.class_names)}.",
        )  # fmt: skip
    if plan.train_sizes != (WHOLE,) and task.kind == "segmentation":
        raise InputError("--train-sizes is for classifiers.", task.name, "Leave it away.")
    if plan.keep_all and plan.train_sizes == (WHOLE,):
        raise InputError(
            "--keep-all goes with --train-sizes.", ",".join(plan.keep_all), "Add --train-sizes."
        )


def _check_enough(units: np.ndarray, plan: Plan) -> None:
    count = len(np.unique(units))
    if count < max(plan.folds, len(SIDES)):
        raise InputError(
            "A study needs at least as many patients (or groups) as folds, and three.",
            f"{count} for {plan.folds} folds", "Use fewer --folds, or add patients.",
        )  # fmt: skip


def _named(patients: np.ndarray, sides: list[np.ndarray]) -> dict[str, list[str]]:
    return {
        name: sorted(set(patients[side])) for name, side in zip(SIDES, sides, strict=True)
    }
