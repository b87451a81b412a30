"""The neighbouring slices that an image holds as further channels, where a task has `context_slices`.

They are put into the record at preparation, so that whatever reads a case (a training, predict, an
export) sees the same image, and so that slices without a label are neighbours too. Shards become
2 k + 1 times larger by that.

Of a volume they are the next slices of its file, the one towards the feet first. Of images in a table
they are the images of the same patient whose column `prep["slice_column"]` holds the next numbers, the
lower one first, and whose columns `prep["stack_columns"]` (series, phase ...) hold the same. At the end
of a stack its last slice takes the place of those that are missing. The fact
`neighbouring_slices` of a record says which there are; where in its stack a slice lies is not kept.
"""

import math
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from data_prep.case import Case
from data_prep.io.table import Row
from mri_tf.core.errors import InputError, first_few
from mri_tf.core.words import number_in
from mri_tf.store.record import NEIGHBOURS
from mri_tf.task import Task

SETTINGS = {"slice_column", "stack_columns"}  # of a table of images
SliceAt = Callable[[int], tuple[np.ndarray, np.ndarray]]


def with_neighbours(
    slice_at: SliceAt, z: int, count: int, task: Task
) -> tuple[np.ndarray, np.ndarray, dict]:
    """A slice of a volume, and its neighbours as further channels.

    Args:
        slice_at: gives the image (rows, columns, channels) and the affine of the slice at an index.
        z: index of the slice.
        count: number of slices of the volume.
        task: says how many neighbours.

    Returns:
        (rows, columns, channels of all slices), the affine of the slice itself, and facts.
    """
    there = {at: slice_at(at) for at in {min(max(z + n, 0), count - 1) for n in task.slice_offsets}}
    images = {at - z: image for at, (image, _) in there.items()}
    image, facts = joined_slices(images, task)
    return image, there[z][1], facts


def joined_slices(images: dict[int, np.ndarray], task: Task) -> tuple[np.ndarray, dict]:
    """The slices of a stack as channels, those of the lowest offset first, and facts about them.

    Args:
        images: offset from the slice itself, which is 0, -> (rows, columns, channels); without gaps.
        task: says how many neighbours.
    """
    if not task.context_slices:
        return images[0], {}
    nearest = [min(max(offset, min(images)), max(images)) for offset in task.slice_offsets]
    there = [offset in images for offset in task.slice_offsets if offset]
    return np.concatenate([images[at] for at in nearest], axis=-1), {NEIGHBOURS: there}


def stats_of_slices(stats: np.ndarray | None, task: Task) -> np.ndarray | None:
    """The statistics (2, channels, 2) of a whole case for each of the slices of an image."""
    return None if stats is None else np.tile(stats, (1, len(task.slice_offsets), 1))


def check_stack(task: Task) -> None:
    """Raises InputError for single images whose neighbours nothing names, and for neighbours of images
    that are asked for by halves."""
    column = task.prep.get("slice_column", "")
    if task.context_slices and not column:
        raise InputError(
            f"Task {task.name} asks for the neighbours of each slice, but nothing says which images "
            "belong to one stack.",
            f"context_slices {task.context_slices}, no slice_column in prep",
            "Name the column of the table with the numbers of the slices (layout cases_table), or leave "
            "out context_slices.",
        )  # fmt: skip
    stack = task.prep.get("stack_columns", ())
    if not isinstance(stack, tuple) or not all(isinstance(name, str) for name in stack):
        raise InputError(
            "stack_columns in prep must be names of columns.", stack, 'For example ["cardiac_phase"].'
        )
    if stack and not column:
        raise InputError(
            "stack_columns in prep says which slices are of one stack, and needs slice_column.",
            "no slice_column", "Name the column with the numbers of the slices.",
        )  # fmt: skip


def columns_of_stacks(task: Task) -> tuple[str, ...]:
    """The columns of a table that a task needs to find neighbours; none where it asks for none."""
    if not task.context_slices:
        return ()
    stack = task.prep.get("stack_columns", ())
    return tuple(name.lower() for name in (task.prep["slice_column"], *stack))


def cases_with_neighbours(
    cases: Sequence[Case], rows: Sequence[Row], task: Task, table: str
) -> list[Case]:
    """The cases of images, each with the files of its neighbours; as they are if the task asks for none.

    Args:
        cases: one for each row.
        rows: of the table.
        task: names the columns, and says how many neighbours.
        table: its name, for messages.

    Raises:
        InputError: a column is missing, a cell holds no number, or one stack has two slices of a number.
    """
    if not task.context_slices:
        return list(cases)
    number_column, *stack_columns = columns_of_stacks(task)
    missing = [name for name in (number_column, *stack_columns) if name not in rows[0]]
    if missing:
        raise InputError(
            f"{table} lacks columns by which task {task.name} finds the neighbours of a slice.",
            f"no {', '.join(missing)}", "Add them, or change slice_column and stack_columns in prep.",
        )  # fmt: skip
    stacks: dict[tuple, list[tuple[float, int]]] = defaultdict(list)
    for place, (case, row) in enumerate(zip(cases, rows, strict=True)):
        key = (case.patient, *(row[name] for name in stack_columns))
        stacks[key].append((_number_of(row, number_column, table), place))
    found = list(cases)
    for stack in stacks.values():
        stack.sort()
        _check_numbers(stack, rows, task, table)
        own = [cases[place] for _, place in stack]
        for at, (_, place) in enumerate(stack):
            found[place] = _with_files(own, at, task)
    return found


def files_at(case: Case, offset: int, roles: Sequence[str]) -> dict[str, str]:
    """Role -> path of the slice at an offset; empty where there is none."""
    named = {role: case.files.get(_role(role, offset), "") for role in roles}
    return {role: path for role, path in named.items() if path}


def _with_files(stack: list[Case], at: int, task: Task) -> Case:
    """The case at a place of its stack, with the files of the images beside it."""
    case, more = stack[at], {}
    roles = ("image", *task.channels)
    for offset in task.slice_offsets:
        if offset and 0 <= at + offset < len(stack):
            beside = stack[at + offset].files
            more |= {_role(role, offset): beside[role] for role in roles if role in beside}
    return replace(case, files={**case.files, **more})


def _role(role: str, offset: int) -> str:
    return f"{role}@{offset:+d}" if offset else role


def _number_of(row: Row, column: str, table: str) -> float:
    value = number_in(row[column])
    if not math.isfinite(value):
        raise InputError(
            f"{column} in {table} must be the number of the slice in its stack.",
            f"{row[column]!r} in line {row.line}", "Write a number.",
        )  # fmt: skip
    return value


def _check_numbers(
    stack: list[tuple[float, int]], rows: Sequence[Row], task: Task, table: str
) -> None:
    twice = [
        f"lines {rows[first].line} and {rows[second].line}"
        for (number, first), (next_number, second) in zip(stack, stack[1:], strict=False)
        if number == next_number
    ]
    if twice:
        same = ", ".join(("patient_id", *columns_of_stacks(task)))
        raise InputError(
            f"Two rows of {table} are the same slice of one stack: they agree in {same}.",
            first_few(twice),
            "Name the column that tells them apart (series, phase, time) in stack_columns of prep.",
        )
