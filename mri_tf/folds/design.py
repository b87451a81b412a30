"""The cells of a study: variants x repeats x folds x training sizes, on identical splits."""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mri_tf.core.errors import InputError, first_few
from mri_tf.core.files import write_atomic
from mri_tf.core.hashing import fingerprint
from mri_tf.splits.known_copies import settle_copies, tied_by_copies_elsewhere
from mri_tf.splits.sides import units_of
from mri_tf.splits.split import complete_column, split_by_column, split_units
from mri_tf.store.prepared import Prepared
from mri_tf.task import Task
from mri_tf.task.rules import PRECISIONS
from mri_tf.task.spec import SIDES

WHOLE = 0  # training size of a cell that trains on all records
PLAN = "plan.json"  # in the folder of a study: what its first start decided for all cells
LONGEST_NAME = 80  # characters of a variant in a file name


@dataclass(frozen=True)
class Plan:
    """What a study compares, as its flags say."""

    variants: tuple[str, ...]  # each "a,b" as --variant takes it; BASE_VARIANT: no variant
    folds: int  # 1: the split column, or a random split per repeat in the task's fractions
    repeats: int
    train_sizes: tuple[int, ...]  # records per class; WHOLE for all
    keep_all: tuple[str, ...]  # classes that train_sizes do not limit
    restarts: int
    seed: int
    trials: int = 0  # of the search in each tuned cell
    # Whether a fold is validated on patients of the next fold, so that nearly every patient is answered
    # by two networks that were not trained on it; otherwise on patients drawn from all other folds.
    validate_on_next: bool = False
    sites: tuple[str, ...] = ()  # of a study that leaves one site out: the site that each fold tests

    def seeds(self, repeat: int) -> list[int]:
        """Seeds of a cell's restarts: the same for every variant, fold and size."""
        first = self.seed + repeat * self.restarts
        return list(range(first, first + self.restarts))


@dataclass(frozen=True)
class Cell:
    """One variant on one fold of one repeat at one training size."""

    variant: str
    repeat: int
    fold: int
    train_size: int

    @property
    def name(self) -> str:
        """Its name in results, and of its folder."""
        size = f"-n{self.train_size}" if self.train_size else ""
        return f"{file_name(self.variant)}-r{self.repeat}-f{self.fold}{size}"


def file_name(variant: str) -> str:
    """A variant as part of a file name: different for every variant, whatever its characters."""
    plain = re.sub(r"[^A-Za-z0-9_.,-]", "_", variant)
    if plain != variant or len(plain) > LONGEST_NAME:
        plain = f"{plain[:LONGEST_NAME]}-{fingerprint(variant)[:8]}"
    return plain.replace(",", "+")


def cells_of(plan: Plan) -> list[Cell]:
    """Every cell, split by split, so that the variants of a study that stops early can be paired."""
    return [
        Cell(variant, repeat, fold, size)
        for repeat in range(plan.repeats)
        for fold in range(plan.folds)
        for size in plan.train_sizes
        for variant in plan.variants
    ]


def fold_patients(
    prepared: Prepared, task: Task, plan: Plan, common: set[str], others: Sequence[Prepared] = ()
) -> dict[tuple[int, int], dict[str, list[str]]]:
    """Assigns patients to the sides of every fold, whole and with classes stratified.

    In each repeat every patient is in the test side of one fold; the rest is split into training and
    validation side in the proportion of the task. With one fold, a `split` column gives the sides of
    every repeat; without such a column each repeat is a random split.

    Args:
        prepared: the set whose classes and groups are looked at; patients of a group stay together.
        common: the patients that the prepared sets of all variants hold.
        others: the prepared sets of further variants, whose copies stay together too.

    Returns:
        (repeat, fold) -> {side: patients}.

    Raises:
        InputError: there are fewer patients (or groups) than folds, or than sides.
    """
    positions = np.flatnonzero(np.isin(prepared.patients, sorted(common)))
    labels, patients = prepared.labels[positions], prepared.patients[positions]
    units = units_of(prepared, "group")[positions]
    units = tied_by_copies_elsewhere(patients, units, others)
    _check_enough(units, plan)
    if plan.folds == 1 and any(prepared.splits):
        column = complete_column(
            prepared.splits[positions], units, labels, task.split_fractions, plan.seed
        )
        sides = split_by_column(patients, prepared.groups[positions], column)
        settle_copies(prepared, [positions[side] for side in sides], "", "split column")
        return {(repeat, 0): _patients_by_side(patients, sides) for repeat in range(plan.repeats)}
    patients_of = {}
    train, validation, _ = task.split_fractions
    inner = (train / (train + validation), validation / (train + validation))
    for repeat in range(plan.repeats):
        if plan.folds == 1:
            sides = split_units(units, labels, task.split_fractions, [plan.seed, repeat])
            patients_of[repeat, 0] = _patients_by_side(patients, sides)
            continue
        tests = split_units(units, labels, (1 / plan.folds,) * plan.folds, [plan.seed, repeat])
        for fold, test in enumerate(tests):
            rest = np.setdiff1d(np.arange(len(positions)), test)
            if len(np.unique(units[rest])) < 2:
                raise InputError(
                    "A fold leaves fewer than two patients (or groups) for training and validation.",
                    f"1 in fold {fold} of {plan.folds}", "Use more --folds, or add patients.",
                )  # fmt: skip
            seed = [plan.seed, repeat, fold]
            if plan.validate_on_next:
                following = tests[(fold + 1) % plan.folds]
                validation = _part_of(following, units, labels, inner[1] * len(rest), seed)
            else:
                _, drawn = split_units(units[rest], labels[rest], inner, seed)
                validation = rest[drawn]
            sides = [np.setdiff1d(rest, validation), validation, test]
            patients_of[repeat, fold] = _patients_by_side(patients, sides)
    return patients_of


def _part_of(
    records: np.ndarray, units: np.ndarray, labels: np.ndarray, wanted: float, seed: list[int]
) -> np.ndarray:
    """About `wanted` of the records, units whole and classes stratified; all where there are no more."""
    share = wanted / len(records)
    if share > 0.9 or len(np.unique(units[records])) < 2:
        return records
    _, drawn = split_units(units[records], labels[records], (1 - share, share), seed)
    return records[drawn]


def study_precision(folder: Path, here: str) -> str:
    """The precision of every cell whose task says "auto", the same on all machines and after a stop.

    Args:
        folder: of the study; holds the precision once `keep_precision` wrote it.
        here: the precision that this machine would choose.
    """
    file = folder / PLAN
    if not file.is_file():
        return here
    try:
        precision = json.loads(file.read_text(encoding="utf-8"))["precision"]
    except (ValueError, KeyError, TypeError):
        precision = ""
    if precision not in PRECISIONS:
        raise InputError(
            f"{PLAN} of the study is damaged.", file, "Choose another --out folder for a new study."
        )
    return precision


def keep_precision(folder: Path, precision: str) -> None:
    """Writes the precision into the folder of a study that begins."""
    folder.mkdir(parents=True, exist_ok=True)
    write_atomic(folder / PLAN, json.dumps({"precision": precision}).encode())


def split_file(plan: Plan, class_names: tuple[str, ...], patients: dict, cell: Cell) -> dict:
    """The content of a cell's --split-file; `patients` is {side: patients} of its fold."""
    values = dict(patients)
    if cell.train_size:
        limited = [name for name in class_names if name not in plan.keep_all]
        values["limit"] = {
            "per_class": dict.fromkeys(limited, cell.train_size),
            "seed": plan.seed + cell.repeat,  # so that larger sizes contain the smaller ones
        }
    return values


def check_plan(plan: Plan, tasks: list[Task]) -> None:
    """Raises InputError for flags that do not fit the task, or variants that cannot be compared.

    `tasks` are those of `plan.variants`, in their order.
    """
    task = tasks[0]
    for name, of_variant in zip(plan.variants, tasks, strict=True):
        if (of_variant.kind, of_variant.class_names) != (task.kind, task.class_names):
            raise InputError(
                f"The variants differ in kind or classes from the first, {plan.variants[0]}.",
                f"{name}: {of_variant.kind} of {', '.join(of_variant.class_names)}",
                "Compare only variants with the same kind and classes in one study.",
            )
    unknown = sorted(set(plan.keep_all) - set(task.class_names))
    if unknown:
        raise InputError(
            "--keep-all names classes that the task does not have.", first_few(unknown),
            f"Choose from {', '.join(task.class_names)}.",
        )  # fmt: skip
    if plan.train_sizes != (WHOLE,) and task.kind == "segmentation":
        raise InputError(
            "--train-sizes is for classification tasks only.", f"the segmentation task {task.name}",
            "Leave out --train-sizes.",
        )  # fmt: skip
    if plan.keep_all and plan.train_sizes == (WHOLE,):
        raise InputError(
            "--keep-all has no effect without --train-sizes.", ",".join(plan.keep_all),
            "Add --train-sizes, or leave out --keep-all.",
        )  # fmt: skip


def _check_enough(units: np.ndarray, plan: Plan) -> None:
    count = len(np.unique(units))
    if count < max(plan.folds, len(SIDES)):
        raise InputError(
            "There are too few patients (or groups): at least 3 are needed, and one for each fold.",
            f"{count} for {plan.folds} folds", "Use fewer --folds, or add patients.",
        )  # fmt: skip


def _patients_by_side(patients: np.ndarray, sides: list[np.ndarray]) -> dict[str, list[str]]:
    return {name: sorted(set(patients[side])) for name, side in zip(SIDES, sides, strict=True)}
