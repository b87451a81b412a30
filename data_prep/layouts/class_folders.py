"""Layout: a folder of images for each class; patients are unknown.

    <class>/<any name>   an image; its label is the folder's name

Every file that is not hidden is read as an image, whatever its name; one that is not an image is
skipped with the reason. Copies of images are looked for (data_prep/prepare/duplicates.py), and each
group of copies counts as one patient. Settings in `prep` are those of cases_table without label_column.
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
LITTER = {"thumbs.db", "desktop.ini", "__macosx"}  # left in folders by operating systems


def list_cases(raw: Path, task: Task) -> list[Case]:
    """One case per file, classes and files in the order of their names.

    Files beside the class folders are ignored. A class without a folder, or with an empty one, has no
    records. Raises InputError for a folder that is not a class, for folders in a class folder, and if
    there is no file at all.
    """
    check_settings(task)
    if task.kind != "classification":
        raise InputError(
            "Class folders hold no masks, so they are for classification tasks only.", task.name,
            "Use the layout cases_table, with the masks in manifest.csv.",
        )  # fmt: skip
    if not raw.is_dir():
        raise InputError("--raw is not a folder.", raw, "Give the folder that holds the class folders.")
    folders = [path for path in _visible(raw) if path.is_dir()]
    _check_folders(raw, folders, task)
    files = [path for folder in folders for path in _visible(folder)]
    nested = [str(path.relative_to(raw)) for path in files if path.is_dir()]
    if nested:
        raise InputError(
            "Class folders must hold images only, no folders.", first_few(nested),
            "Move the images up into the class folder.",
        )  # fmt: skip
    if not files:
        raise InputError("All class folders are empty.", raw, "Add images.")
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
    if not folders:
        raise InputError(
            "The raw folder holds no class folders.", raw,
            f"Make a folder of images for each class: {first_few(task.class_names)}.",
        )  # fmt: skip
    if not unknown:
        return
    inner = [path for path in unknown if any((path / name).is_dir() for name in classes)]
    if inner:
        hint = f"{inner[0]} holds the class folders: give it as --raw."
    else:
        near = difflib.get_close_matches(unknown[0].name, task.class_names, n=1)
        hint = f"Did you mean {near[0]!r}?" if near else f"Classes: {first_few(task.class_names)}."
    raise InputError(
        f"Some folders are not named as a class of task {task.name}.",
        first_few(repr(path.name) for path in unknown), hint,
    )  # fmt: skip
