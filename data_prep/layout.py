"""Finds the layout of a task: the module that lists the cases of its raw folder and reads each."""

import functools
import importlib
import re
from pathlib import Path
from types import ModuleType

from mri_tf.core.errors import InputError
from mri_tf.task import Task
from mri_tf.task.files import load_module
from mri_tf.task.spec import WHITE_STRIPE

FOLDER = Path(__file__).resolve().parent / "layouts"
SUFFIX = ".py"  # of a layout that is a file of the user
NEEDED = ("VERSION", "list_cases", "read_case", "SETTINGS")
# Modules of earlier versions that a user's prep file imported -> the layout that takes their place.
FORMER_MODULES = {
    "csv_manifest": "cases_table", "class_folders": "class_folders", "dicom_patients": "dicom_patients",
}  # fmt: skip


def layout_names() -> list[str]:
    """The layouts that come with mri_tf, sorted."""
    return sorted(path.stem for path in FOLDER.glob("[!_]*.py"))


def find_layout(task: Task, task_file: Path) -> ModuleType:
    """Returns the layout module that `task.layout` names.

    A layout has
      VERSION: int, raised whenever the same files would give other records;
      list_cases(raw, task) -> list[Case], from file names, tables and headers alone; it may also take
        ignore (names of folders) and labels (the path of a table), the flags --ignore and --labels;
      read_case(raw, case, task) -> list[Record], or raises Unreadable with the reason;
      OPERATIONS: names of what is done to an image, for the manifest; or operations_of(task), where
        that depends on the task;
      SETTINGS: the keys that `prep` of a task may have;
    and optionally
      cases_to_predict(path, task) -> list[CaseToPredict], cases without labels;
      MASK_ROLE: the role of a tumour mask given with --mask ("mask" unless set);
      identities(raw, case) -> texts that only one patient can have, so that one under two ids is found;
      IDS_FROM_HEADERS: True where the patients are PatientIDs of DICOM headers, which are then replaced
        by pseudonyms unless --keep-ids is given;
      recognise(raw, labels) -> Recognised where a folder is organised as it reads it, else None; and
        GENERAL, True where it gives way to other layouts that recognise the folder as well;
      SUBMISSION: the columns (id, value) of a submission file and the class whose probability it holds.

    Args:
        task: its `layout` is a name ("cases_table") or the path of a Python file ("my_layout.py").
        task_file: the task's file; a path in `layout` is relative to its folder.

    Raises:
        InputError: there is no such layout, or the file lacks one of its parts.
    """
    return _find(task.layout, task_file)


def operations_of(layout: ModuleType, task: Task) -> tuple[str, ...]:
    """Names of what a layout does to an image of the task."""
    if hasattr(layout, "operations_of"):
        return tuple(layout.operations_of(task))
    return tuple(layout.OPERATIONS)


def is_user_layout(task: Task) -> bool:
    """Whether the layout of a task is a Python file of the user."""
    return task.layout.endswith(SUFFIX)


def layout_version(task: Task, module: ModuleType) -> dict:
    """The layout's name and version, and whether its records are standardised, and by white matter, as
    manifests and exports keep them."""
    version = {"name": Path(task.layout).name, "version": int(module.VERSION)}
    if task.standardised:
        version["standardised"] = True
    return {**version, WHITE_STRIPE: True} if task.by_white_matter else version


@functools.cache  # workers ask for it with every case
def _find(layout: str, task_file: Path) -> ModuleType:
    _refuse_prep_file(layout, task_file)
    if layout.endswith(SUFFIX):
        return _load_own((task_file.parent / layout).resolve())
    if layout not in layout_names():
        raise InputError(
            "There is no layout of this name.", layout,
            f"Set layout to the path of a Python file or to one of {', '.join(layout_names())}.",
        )  # fmt: skip
    return importlib.import_module(f"data_prep.layouts.{layout}")


@functools.cache
def _load_own(file: Path) -> ModuleType:
    if not file.is_file():
        raise InputError("The layout file does not exist.", file, "Correct layout in the task file.")
    module = load_module(file)
    missing = [name for name in NEEDED if not hasattr(module, name)]
    if not (hasattr(module, "OPERATIONS") or hasattr(module, "operations_of")):
        missing.append("OPERATIONS")
    if missing:
        raise InputError(
            f"A layout file must define {', '.join((*NEEDED, 'OPERATIONS'))}.",
            f"{file.name} without {', '.join(missing)}",
            "Add what is missing; data_prep/layouts/cases_table.py is an example.",
        )
    return module


def _refuse_prep_file(layout: str, task_file: Path) -> None:
    """Raises InputError for a prep file of an earlier version, which would be ignored silently."""
    prep_file = task_file.with_name(f"{task_file.stem}_prep.py")
    if not prep_file.is_file() or Path(layout).name == prep_file.name:
        return
    text = prep_file.read_text(encoding="utf-8", errors="replace")
    former = re.search(r"from data_prep\.(\w+) import \*", text)
    replacement = FORMER_MODULES.get(former.group(1), "") if former else ""
    raise InputError(
        "Prep files beside a task file are no longer read; the task file names its layout.",
        prep_file.name,
        f'Write layout="{replacement or prep_file.name}" in {task_file.name}'
        + (f" and remove {prep_file.name}." if replacement else
           ", rename its functions list_cases and read_case, and give it a VERSION = 1."),
    )  # fmt: skip
