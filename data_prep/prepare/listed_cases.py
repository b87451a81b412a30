"""The cases of a raw folder, with what can be known about them before any is read.

Every check here is made before preparing, so that a wrong table costs seconds and not hours.
"""

import dataclasses
import os
import sys
from collections import defaultdict
from pathlib import Path
from types import ModuleType

from data_prep.case import Case, main_file
from data_prep.io.labels import consensus
from data_prep.io.table import READER
from data_prep.layout_calls import ListOptions, list_cases
from mri_tf.core.errors import InputError, first_few
from mri_tf.splits.split import SPLIT_RULE
from mri_tf.task import Task
from mri_tf.task.spec import SIDES

MASK_ROLES = ("mask", "seg")  # of the files of a case


def cases_to_prepare(
    layout: ModuleType, raw: Path, task: Task, options: ListOptions, quiet: bool = False
) -> list[Case]:
    """Lists the cases of a raw folder as the layout does, and checks them.

    Args:
        layout: as `find_layout` returns it.
        raw: the raw folder.
        task: whose cases they are.
        options: what is left out.
        quiet: does not say how many rows are left out.

    Raises:
        InputError: rows without a label, a file outside the raw folder or in two rows, a patient on two
            sides, a split column that is incomplete or holds unknown words.
    """
    cases = list_cases(layout, raw, task, options)
    cases = _labelled(cases, task, options, quiet)
    cases = _with_masks_of_all(raw, cases, task, quiet)
    _check_inside(cases)
    _check_rows(cases)
    check_splits(cases)
    return cases


def missing_files(raw: Path, cases: list[Case]) -> list[str]:
    """The main files that do not exist: their cases will be skipped."""
    return [main_file(case) for case in cases if not os.path.exists(raw / main_file(case))]


def _readers_differ(case: Case, task: Task) -> bool:
    """Whether readers named classes of the case that do not agree."""
    given = [str(value) for name, value in case.facts.items() if READER.search(name) and value]
    return len(given) > 1 and not consensus(given, task.class_names, task.ordered)


def _labelled(cases: list[Case], task: Task, options: ListOptions, quiet: bool) -> list[Case]:
    """The cases without those rows of a table that have no label; raises InputError for such rows."""
    if task.kind != "classification":
        return cases
    without = [case for case in cases if case.line and not case.label and not case.slices]
    if not without:
        return cases
    split = sum(_readers_differ(case, task) for case in without)
    why = f", on {split} of which the readers do not agree" if split else ""
    if not options.skip_unlabelled:
        lines = first_few(str(case.line) for case in without)
        raise InputError(
            "Rows of the table have no label: the cell is empty, or says that it is unknown.",
            f"line {lines}{why}",
            "Fill in the labels, or leave these rows out with --skip-unlabelled of mri_tf.train and "
            "data_prep.write.",
        )  # fmt: skip
    if len(without) == len(cases):
        raise InputError("No row of the table has a label.", f"{len(cases)} rows", "Fill in the labels.")
    if not quiet:
        print(
            f"{len(without)} of {len(cases)} rows have no label{why} and are left out "
            "(--skip-unlabelled)"
        )
    return [case for case in cases if not case.line or case.label or case.slices]


def _with_masks_of_all(raw: Path, cases: list[Case], task: Task, quiet: bool) -> list[Case]:
    """The cases without their masks, where labels are learnt and only some cases have a mask: the
    records of a set all have one, or none has."""
    roles = [role for role in MASK_ROLES if any(role in case.files for case in cases)]
    if task.kind != "classification" or not roles:
        return cases
    there = [any(role in case.files and os.path.exists(raw / case.files[role]) for role in roles)
             for case in cases]  # fmt: skip
    if all(there):
        return cases
    if any(there) and not quiet:
        print(
            f"{sum(there)} of {len(cases)} cases have a mask: masks are left out, as a classifier "
            "needs none",
            file=sys.stderr,
        )  # fmt: skip
    return [
        dataclasses.replace(
            case, files={role: path for role, path in case.files.items() if role not in roles}
        )
        for case in cases
    ]  # fmt: skip


def _check_inside(cases: list[Case]) -> None:
    outside = [
        f"{path}{_at_line(case)}"
        for case in cases
        for path in case.files.values()
        if os.path.isabs(path) or os.path.normpath(path).startswith("..")
    ]
    if outside:
        raise InputError(
            "All files must lie in the raw folder.", first_few(outside),
            "Move them there, and write their paths from the raw folder.",
        )  # fmt: skip


def _check_rows(cases: list[Case]) -> None:
    """Raises InputError where two rows of a table name the same file."""
    rows_of: dict[str, list[Case]] = defaultdict(list)
    for case in cases:
        if case.line:
            rows_of[os.path.normpath(main_file(case))].append(case)
    for file, rows in rows_of.items():
        if len(rows) == 1:
            continue
        lines = first_few(str(case.line) for case in rows)
        for what, values in (
            ("patients", {case.patient for case in rows}), ("labels", {case.label for case in rows}),
        ):  # fmt: skip
            if len(values) > 1:
                raise InputError(
                    f"One file or patient stands in several rows of the table, under different {what}.",
                    f"{file} in lines {lines}", "Keep the row that is right.",
                )  # fmt: skip
        raise InputError(
            "The table names a file or patient several times.", f"{file} in lines {lines}",
            "Keep one of these rows.",
        )  # fmt: skip


def check_splits(cases: list[Case]) -> None:
    """Raises InputError for a split column with gaps or other words, or a patient on several sides."""
    if not any(case.split for case in cases):
        return
    wrong = [case for case in cases if case.split not in SIDES]
    if wrong:
        raise InputError(
            SPLIT_RULE,
            first_few(f"{case.split!r}{_at_line(case)}" for case in wrong),
            "Fill in the column, or leave it out.",
        )
    sides: dict[str, set[str]] = {}
    for case in cases:
        if case.patient:  # of an unknown patient nothing can be said
            sides.setdefault(case.patient, set()).add(case.split)
    torn = {patient for patient, splits in sides.items() if len(splits) > 1}
    if torn:
        first_of = {case.patient: case for case in reversed(cases)}
        named = [f"{main_file(case)}{_at_line(case)}" for name, case in first_of.items() if name in torn]
        raise InputError(
            "Rows of one patient have different values in the column split.",
            f"several of the patient of {first_few(sorted(named))}",
            "Give all rows of a patient the same value: a patient on two sides makes all results "
            "too good.",
        )


def _at_line(case: Case) -> str:
    return f" in line {case.line}" if case.line else ""
