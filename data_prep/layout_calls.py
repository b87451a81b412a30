"""Asks a layout for cases, records and identities, and checks what a layout of the user's own gives."""

import inspect
import os
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import numpy as np

from data_prep.case import Case, Unreadable
from data_prep.layout import is_user_layout, operations_of
from mri_tf.core.command_line import TRACEBACK
from mri_tf.core.errors import InputError
from mri_tf.store.record import NEIGHBOURS, NO_LABEL, Record
from mri_tf.task import Task

FINDS_MASK = "brain_mask"  # the operation of a layout that can standardise inside a mask


@dataclass(frozen=True)
class ListOptions:
    """What a user says about the cases of a raw folder."""

    skip_unlabelled: bool = False  # leave out rows without a label instead of refusing them
    ignore: tuple[str, ...] = ()  # names of folders that are not looked into
    labels: Path | None = None  # a table elsewhere than in the raw folder


def listing_of(flags) -> ListOptions:
    """What the flags of a command say about the cases; raises InputError if there is no --raw."""
    options = ListOptions(flags.skip_unlabelled, tuple(flags.ignore), flags.labels)
    given = {
        "--skip-unlabelled": options.skip_unlabelled, "--ignore": options.ignore,
        "--labels": options.labels, "--label": getattr(flags, "label", ""),
    }  # fmt: skip
    named = [name for name, value in given.items() if value]
    if named and not flags.raw:
        raise InputError(
            f"{', '.join(named)} is about the cases of a raw folder.", "no --raw",
            "Give --raw DIR, or leave it out.",
        )  # fmt: skip
    return options


def list_cases(
    layout: ModuleType, raw: Path, task: Task, options: ListOptions = ListOptions(),
    to_predict: bool = False,
) -> list[Case]:  # fmt: skip
    """The cases that a layout finds in a raw folder; of those to predict, labels do not matter.

    Raises InputError for what the layout refuses, and where a user's layout fails or gives something
    else than a list of cases.
    """
    if task.standardised and not is_user_layout(task) and FINDS_MASK not in operations_of(layout, task):
        raise InputError(
            "normalize inside the mask needs a layout that finds the brain.", task.layout,
            'Choose dict(method="zscore", region="image"), or another layout.',
        )  # fmt: skip
    for name in ("label_column", "split_column", "table", "slice_column"):
        if not isinstance(task.prep.get(name, ""), str):
            raise InputError(
                f"prep.{name} must be a text.", repr(task.prep[name]), "Write it in quotes."
            )
    further = _further_arguments(layout, task, options)
    with _blamed_on(task, "list_cases"):
        cases = layout.list_cases(raw, task, **further)
    _check_list(cases, Case, task, "list_cases")
    for case in cases:
        _check_types(case, task)
        _check_values(case, task, () if to_predict else task.class_names)
    return cases


def _further_arguments(layout: ModuleType, task: Task, options: ListOptions) -> dict:
    """What --ignore and --labels give to `list_cases`; raises InputError if the layout takes no such."""
    given = {"ignore": options.ignore, "labels": options.labels}
    taken = inspect.signature(layout.list_cases).parameters
    for name, whom in (("ignore", "of class folders"), ("labels", "with a table of labels")):
        if given[name] and name not in taken:
            raise InputError(
                f"--{name} is for layouts {whom}.", f"layout {task.layout}", f"Leave out --{name}."
            )
    return {name: value for name, value in given.items() if value}


def read_case(layout: ModuleType, raw: Path, case: Case, task: Task) -> list[Record]:
    """The records of a case, as its layout reads them.

    Raises Unreadable with the reason why there are none, and InputError where a user's layout fails or
    gives something else than records of the task's shape.
    """
    with _blamed_on(task, "read_case"):
        records = layout.read_case(raw, case, task)
    if not is_user_layout(task):
        return records
    _check_list(records, Record, task, "read_case")
    shape = (*task.image_shape, len(task.image_channels))
    for record in records:
        found = getattr(record.image, "shape", type(record.image).__name__)
        rule = f"Images of task {task.name} must be arrays of shape {shape}."
        _require(found == shape, task, rule, found)
        known = record.label == NO_LABEL or record.label in range(len(task.class_names))
        _require(known, task, "The label of a record must be the number of a class.", record.label)
        _check_standardised(record, task)
        _check_neighbours(record, task)
    return records


def identities_of(layout: ModuleType, raw: Path, case: Case, task: Task) -> set[str]:
    """What a layout says that only one patient can have; an error of a user's layout in one line."""
    with _blamed_on(task, "identities"):
        return {str(text) for text in layout.identities(raw, case)}


def _check_standardised(record: Record, task: Task) -> None:
    """With normalize.region "mask" a user's layout standardises its records itself, and says so."""
    stats = record.intensity_stats
    said = stats is not None and np.array_equal(stats[1], np.tile([0, 1], (len(task.image_channels), 1)))
    _require(
        said or not task.standardised, task,
        'With normalize.region="mask" a layout gives z-scores inside the mask, 0 outside it, and '
        "intensity_stats of mean 0 and SD 1, as data_prep.ops.intensity_stats.standardise does.",
        "no intensity_stats" if stats is None else "other intensity_stats",
    )  # fmt: skip


def _check_neighbours(record: Record, task: Task) -> None:
    """With context_slices a user's layout puts the neighbours into the image and says which exist."""
    wanted, found = 2 * task.context_slices, record.facts.get(NEIGHBOURS, [])
    _require(
        len(found) == wanted and all(type(one) is bool for one in found), task,
        f"With context_slices the fact {NEIGHBOURS} of a record says which of its {wanted} neighbouring "
        "slices there are, as data_prep.cases.neighbours.with_neighbours does.", found,
    )  # fmt: skip


def _check_list(values: object, kind: type, task: Task, function: str) -> None:
    items = values if isinstance(values, list) else [values]
    wrong = [item for item in items if not isinstance(item, kind)]
    rule = f"{function} must return a list of {kind.__name__}."
    received = type(wrong[0]).__name__ if wrong else type(values).__name__
    _require(isinstance(values, list) and not wrong, task, rule, received)


def _check_types(case: Case, task: Task) -> None:
    texts = (case.patient, case.label, case.group, case.split)
    _require(
        all(isinstance(text, str) for text in texts), task,
        "patient, label, group and split of a case must be texts.",
        ", ".join(type(text).__name__ for text in texts),
    )  # fmt: skip
    _require(
        isinstance(case.files, dict) and all(isinstance(path, str) for path in case.files.values()),
        task, "files of a case must be a dictionary of texts.", type(case.files).__name__,
    )  # fmt: skip


def _check_values(case: Case, task: Task, class_names: tuple[str, ...]) -> None:
    _require(
        not (class_names and case.label) or case.label in class_names, task,
        f"The label of a case must be one of {', '.join(class_names)}, or empty.", repr(case.label),
    )  # fmt: skip


def _require(holds: bool, task: Task, rule: str, received: object) -> None:
    if not holds:
        where = f"the layout {Path(task.layout).name}" if is_user_layout(task) else "the data"
        raise InputError(rule, received, f"Correct {where}.")


@contextmanager
def _blamed_on(task: Task, function: str):
    """An unforeseen error in a user's layout becomes one line; its text may name a patient."""
    try:
        yield
    except (InputError, Unreadable, MemoryError, KeyboardInterrupt):
        raise
    except (Exception, SystemExit) as error:
        if not is_user_layout(task) or os.environ.get(TRACEBACK):
            raise
        raise InputError(
            f"{function} of the layout failed.", f"{Path(task.layout).name}: {type(error).__name__}",
            f"Correct the layout; with {TRACEBACK}=1 the command shows where it failed.",
        ) from None  # fmt: skip
