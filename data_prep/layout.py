"""Finds the layout of a task: the module that lists the cases of its raw folder and reads one."""

import functools
import importlib
import re
from pathlib import Path
from types import ModuleType

from mri_tf.core.errors import InputError
from mri_tf.task import Task
from mri_tf.task.files import load_module

FOLDER = Path(__file__).resolve().parent / "layouts"
NEEDED = ("VERSION", "list_cases", "read_case", "OPERATIONS", "SETTINGS")
# Modules of earlier versions that a user's prep file imported -> the layout that takes their place.
FORMER_MODULES = {
    "csv_manifest": "cases_table", "class_folders": "class_folders", "dicom_patients": "dicom_patients",
}  # fmt: skip


def layout_names() -> list[str]:
    """The layouts that come with mri_tf, sorted."""
    return sorted(path.stem for path in FOLDER.glob("*.py") if path.stem != "__init__")


def find_layout(task: Task, task_file: Path) -> ModuleType:
    """The layout module that `task.layout` names: one of data_prep/layouts, or a path beside the task.

    A layout has
      VERSION: int, raised whenever the same files would give other records;
      list_cases(raw, task) -> list[Case], from names and tables alone;
      read_case(raw, case, task) -> list[Record], or raises Unreadable with the reason;
      OPERATIONS: names of what is done to an image, for the manifest;
      SETTINGS: the keys that `prep` of a task may have;
    and, where there is such a thing,
      cases_to_predict(path, task) -> list[CaseToPredict], cases without labels;
      MASK_ROLE: the role of a tumour mask that a user gives ("mask" unless said);
      SUBMISSION: the columns (id, value) of a submission file and the class it is about.

    Args:
        task: its `layout` is a name ("cases_table") or the path of a Python file ("my_layout.py").
        task_file: the task's own file; a path in `layout` is relative to its folder.

    Returns:
        The imported module.

    Raises:
        InputError: there is no such layout, or the file lacks one of its parts.
    """
    _refuse_prep_file(task, task_file)
    if task.layout.endswith(".py"):
        return _own_layout((task_file.parent / task.layout).resolve())
    if task.layout not in layout_names():
        raise InputError(
            "The layout of a task is one of mri_tf's or the path of a Python file.", task.layout,
            f"Layouts: {', '.join(layout_names())}.",
        )  # fmt: skip
    return importlib.import_module(f"data_prep.layouts.{task.layout}")


def is_own(task: Task) -> bool:
    """Whether the layout of a task is a file of the user's own."""
    return task.layout.endswith(".py")


def layout_version(task: Task, module: ModuleType) -> dict:
    """The layout's name and version, as manifests and exports keep them."""
    return {"name": Path(task.layout).name, "version": int(module.VERSION)}


@functools.cache
def _own_layout(file: Path) -> ModuleType:
    if not file.is_file():
        raise InputError(
            "The layout file of a task must exist.", file, "Correct layout in the task file."
        )
    module = load_module(file)
    missing = [name for name in NEEDED if not hasattr(module, name)]
    if missing:
        raise InputError(
            f"A layout file has {', '.join(NEEDED)}.", f"{file.name} without {', '.join(missing)}",
            "Add them; data_prep/layouts/cases_table.py is an example.",
        )  # fmt: skip
    return module


def _refuse_prep_file(task: Task, task_file: Path) -> None:
    """Raises InputError for a prep file of an earlier version: it would be passed over in silence."""
    prep_file = task_file.with_name(f"{task_file.stem}_prep.py")
    if not prep_file.is_file() or Path(task.layout).name == prep_file.name:
        return
    text = prep_file.read_text(encoding="utf-8", errors="replace")
    former = re.search(r"from data_prep\.(\w+) import \*", text)
    layout = FORMER_MODULES.get(former.group(1), "") if former else ""
    raise InputError(
        "Task files name their layout; prep files beside them are no longer read.", prep_file.name,
        f'Write layout="{layout or prep_file.name}" in {task_file.name}'
        + (f" and remove {prep_file.name}." if layout else
           ", rename its functions list_cases and read_case, and give it a VERSION = 1."),
    )  # fmt: skip
