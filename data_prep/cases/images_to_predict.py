"""Lists the images at a path that a user gives to predict: a file, a folder, or a table of them."""

import sys
from pathlib import Path

from data_prep.case import Case, main_file
from data_prep.cases.mask_names import is_mask
from data_prep.cases.neighbours import cases_with_neighbours, columns_of_stacks
from data_prep.cases.to_predict import (
    CaseToPredict,
    check_any,
    check_inside,
    ends_in,
    facts_of_row,
    is_table,
    shown_name,
)
from data_prep.io.folders import IMAGES, files_below
from data_prep.io.table import check_patients, path_in, read_table
from mri_tf.core.errors import InputError
from mri_tf.task import Task

IMAGES_OR_DICOM = (".dcm", *IMAGES)


def images_at(path: Path, task: Task) -> list[CaseToPredict]:
    """An image file of any name, those of a table (image; patient_id where known), or all images in a
    folder and its subfolders.

    Where the task gives one answer for each patient, the images of one folder are of one patient.
    Drawn masks beside their image (a_mask.png and a.png, or masks/a.png) are left out, and the terminal
    says how many.
    """
    table = path if is_table(path) else path / "manifest.csv"
    if table.is_file():
        return _images_of(table, task)
    check_has_stack(path, task)
    files = [path]
    if not path.is_file():
        found = [file for file in files_below(path) if ends_in(file, IMAGES_OR_DICOM)]
        files = _without_masks(found, " ".join(task.class_names))
    check_any(files, path, "images")
    together = bool(task.bag) and path.is_dir()
    return [
        CaseToPredict(
            shown_name(file.parent if together else file, path),
            file.parent,
            Case("", {"image": file.name}),
            str(file.parent) if together else "",
        )
        for file in files
    ]


def _without_masks(files: list[Path], classes: str) -> list[Path]:
    """The files that are no drawn mask of another one: named as a mask, after the other's name.

    A word that a class or the folder is called by, such as tumor, does not make a mask.
    """
    masks = {
        file for file in files
        if is_mask(file.name, f"{classes} {file.parent.name}") or is_mask(file.parent.name, classes)
    }  # fmt: skip
    images = {file.stem for file in files if file not in masks}
    beside = {file for file in masks if _begins_as_one_of(images, file.stem)}
    if beside:
        print(
            f"{len(beside)} files are named as drawn masks of others and are left out; "
            f"{len(files) - len(beside)} images are read",
            file=sys.stderr,
        )  # fmt: skip
    return [file for file in files if file not in beside]


def _begins_as_one_of(images: set[str], mask: str) -> bool:
    """Whether the name of a mask begins with that of an image; 12_mask does not begin with 1."""
    ends = (end for end in range(1, 1 + len(mask)) if not mask[end : end + 1].isdigit())
    return any(mask[:end] in images for end in ends)


def _images_of(table: Path, task: Task) -> list[CaseToPredict]:
    """The images of a table, each with its neighbours where the task asks for them."""
    needed = ("patient_id",) if task.context_slices else ()
    rows = read_table(table, needed)
    if needed:
        check_patients(rows, table.name)
    column = _column_of_images(rows, task, table)
    images = [path_in(table.parent, row[column]) for row in rows]
    check_inside(images)
    cases = [
        Case(row.get("patient_id", ""), {"image": image},
             facts=facts_of_row(row))
        for row, image in zip(rows, images, strict=True)
    ]  # fmt: skip
    found = []
    for case in cases_with_neighbours(cases, rows, task, table.name):
        by_patient = task.bag and case.patient
        name, key = (case.patient, f"{table}: {case.patient}") if by_patient else (main_file(case), "")
        found.append(CaseToPredict(name, table.parent, case, key))
    return found


def _column_of_images(rows: list[dict[str, str]], task: Task, table: Path) -> str:
    """The column that names an image: `image`, or that of the task's only channel."""
    columns = list(rows[0]) if rows else []
    of_channel = [task.channels[0].lower()] if len(task.channels) == 1 else []
    wanted = dict.fromkeys(["image", *of_channel])
    found = [name for name in wanted if name in columns]
    if not found:
        raise InputError(
            f"{table.name} has no column that names the images.", f"columns {', '.join(columns)}",
            f"Add a column {' or '.join(wanted)} with the path of each image.",
        )  # fmt: skip
    return found[0]


def check_has_stack(path: Path, task: Task) -> None:
    """Raises InputError for images without a table where a task needs the neighbours of each."""
    if columns := columns_of_stacks(task):
        raise InputError(
            f"Task {task.name} sees each slice with its neighbours, and image files alone do not say "
            "which these are.",
            path,
            f"Give a table of all slices with the columns image, patient_id, {', '.join(columns)}.",
        )
