"""Images in one folder a class: the folder's name is the label, and nobody knows the patients.

A prep file of one line serves a task of your own: `from data_prep.layouts.class_folders import *`.
Every file that is not hidden is taken for an image, by its content and whatever its name; one that
is none is named and left out. Copies are looked for (`data_prep.prepare.duplicates`), and each group of
them counts as a patient. Settings are those of manifest.csv but for its columns.
"""

import difflib
from pathlib import Path

from data_prep.case import Case
from data_prep.layouts.cases_table import OPERATIONS, cases_to_predict, check_settings, read_case
from data_prep.layouts.cases_table import SETTINGS as TABLE_SETTINGS
from mri_tf.core.errors import InputError, first_few
from mri_tf.task import Task

__all__ = ["OPERATIONS", "SETTINGS", "VERSION", "cases_to_predict", "list_cases", "read_case"]
VERSION = 1
SETTINGS = TABLE_SETTINGS - {"label_column"}
LITTER = {"thumbs.db", "desktop.ini", "__macosx"}  # what systems leave in folders of images


def list_cases(raw: Path, task: Task) -> list[Case]:
    """One source a file, classes and files in order of their names.

    Files beside the class folders are none of ours. Raises InputError for a folder that is no
    class, for folders within a class, and where there is no file at all. A class without a folder,
    or with an empty one, has no records.
    """
    check_settings(task)
    if task.kind != "classification":
        raise InputError("Class folders are for classifiers.", task.name, "List masks in manifest.csv.")
    if not raw.is_dir():
        raise InputError("--raw takes a folder.", raw, "Give the folder of the class folders.")
    folders = [path for path in _visible(raw) if path.is_dir()]
    _check_folders(raw, folders, task)
    files = [path for folder in folders for path in _visible(folder)]
    nested = [str(path.relative_to(raw)) for path in files if path.is_dir()]
    if nested:
        raise InputError(
            "A class folder holds images and no folders.", first_few(nested),
            "Move their images up, or name a class a folder.",
        )  # fmt: skip
    if not files:
        raise InputError("At least one class folder holds an image.", f"{raw}, all empty", "Add images.")
    return [
        Case(patient="", files={"image": str(path.relative_to(raw))}, label=path.parent.name)
        for path in files
    ]


def _visible(folder: Path) -> list[Path]:
    return sorted(
        path for path in folder.iterdir()
        if not path.name.startswith(".") and path.name.lower() not in LITTER
    )  # fmt: skip


def _check_folders(raw: Path, folders: list[Path], task: Task) -> None:
    classes = set(task.class_names)
    unknown = [path for path in folders if path.name not in classes]
    if folders and not unknown:
        return
    if not folders:
        raise InputError(
            "The raw folder of this task holds a folder of images a class.", f"{raw}, without folders",
            f"Classes: {first_few(task.class_names)}.",
        )  # fmt: skip
    inner = [path for path in unknown if any(_is_class(inside, classes) for inside in path.iterdir())]
    if inner:
        hint = f"The classes are in {inner[0]}: give that folder."
    else:
        near = difflib.get_close_matches(unknown[0].name, task.class_names, n=1)
        hint = f"Did you mean {near[0]!r}?" if near else f"Classes: {first_few(task.class_names)}."
    raise InputError(
        f"Folders have the names of the classes of task {task.name}.",
        first_few(repr(path.name) for path in unknown), hint,
    )  # fmt: skip


def _is_class(path: Path, classes: set[str]) -> bool:
    return path.is_dir() and path.name in classes
