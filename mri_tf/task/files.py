"""Task files: found by name or path, loaded, and resolved with their variants."""

import importlib.util
import sys
from pathlib import Path

from mri_tf.core.errors import InputError
from mri_tf.task import Task
from mri_tf.task.overrides import parse_assignment, with_values
from mri_tf.task.spec import BASE_VARIANT, from_json

FOLDER = Path(__file__).resolve().parent.parent / "tasks"


def task_names() -> list[str]:
    """The tasks that come with mri_tf, sorted."""
    return sorted(path.stem for path in FOLDER.glob("*.py") if path.stem != "__init__")


def find_task_file(argument: str, beside: Path | None = None) -> Path:
    """The file behind a task's name or path; `beside` is a task file whose folder is tried first."""
    path = Path(argument)
    if path.suffix == ".py":
        if path.is_file():
            return path.resolve()
        raise InputError("--task takes a name or a task file.", argument, "The file must exist.")
    if beside is not None and (beside.parent / f"{argument}.py").is_file():
        return (beside.parent / f"{argument}.py").resolve()
    if argument in task_names():
        return FOLDER / f"{argument}.py"
    raise InputError(
        "--task takes the name of a task or the path of a task file.",
        argument,
        f"Tasks: {', '.join(task_names())}.",
    )


def is_built_in(task_file: Path) -> bool:
    """Whether a task file comes with mri_tf (its prep module is then in data_prep)."""
    return task_file.parent == FOLDER


def load_task(task_file: Path) -> Task:
    """The TASK of a file; its name must be the file's name."""
    module = load_module(task_file)
    task = getattr(module, "TASK", None)
    if not isinstance(task, Task):
        raise InputError("A task file defines TASK = Task(...).", task_file.name, "Add it.")
    if task.name != task_file.stem:
        raise InputError(
            "A task has the name of its file.",
            f"TASK.name {task.name!r} in {task_file.name}",
            "Make them equal.",
        )
    return task


def saved_task(values: dict) -> Task:
    """The task that a run or an export saved; one saved before tasks had a layout gets it from the
    task of that name that comes with mri_tf.

    Raises InputError for a field that this version does not know.
    """
    if "layout" not in values and values.get("name") in task_names():
        known = load_task(FOLDER / f"{values['name']}.py")
        values = {**values, "layout": known.layout, "phantom": known.phantom}
    return from_json(values)


def load_module(path: Path):
    """Imports a Python file by its path; raises InputError in one line if it cannot run."""
    spec = importlib.util.spec_from_file_location(f"mri_tf_file_{path.stem}", path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    try:
        spec.loader.exec_module(module)
    except InputError:
        raise
    except (Exception, SystemExit) as error:
        raise InputError(
            "A task file must run.", f"{path.name}: {type(error).__name__}: {error}", "Mend it."
        ) from error
    return module


def resolve_task(task: Task, variants: list[str], assignments: list[str]) -> Task:
    """The task with variants applied left to right, then the `--set` assignments, last."""
    for name in variants:
        if name == BASE_VARIANT:
            continue
        if name not in task.variants:
            raise InputError(
                f"--variant takes variants of task {task.name}.",
                name,
                f"Known: {', '.join([BASE_VARIANT, *sorted(task.variants)])}.",
            )
        task = with_values(task, task.variants[name])
    return with_values(task, dict(parse_assignment(task, text) for text in assignments))


def feature_task(task: Task, task_file: Path) -> tuple[Task, Path]:
    """The segmentation task before a classifier, with the classifier's `features` set on it."""
    path = find_task_file(task.pretrained_on, beside=task_file)
    features = with_values(load_task(path), task.features)
    if features.kind != "segmentation":
        raise InputError(
            "features_from and boxes_from name a segmentation task.", features.name, "Name another task."
        )
    return features, path
