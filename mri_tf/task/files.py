"""Finds and loads task files (Python or TOML), and applies variants and --set to a task."""

import ast
import dataclasses
import importlib.util
import sys
import tomllib
from pathlib import Path

from mri_tf.core.arguments import did_you_mean
from mri_tf.core.errors import InputError
from mri_tf.task import Task
from mri_tf.task.overrides import parse_assignment, with_values
from mri_tf.task.rules import BASE_VARIANT
from mri_tf.task.spec import from_json

SUFFIXES = (".py", ".toml")
FOLDER = Path(__file__).resolve().parent.parent / "tasks"
PLANNED = "Written by mri_tf.plan"  # stands at the head of a file that mri_tf.plan made


def task_names() -> list[str]:
    """Names of the tasks that come with mri_tf, sorted."""
    return sorted(path.stem for path in FOLDER.glob("[!_]*.py"))


def find_task_file(argument: str, beside: Path | None = None) -> Path:
    """The file of a task's name or path; the folder of the task file `beside` is searched first."""
    path = Path(argument)
    if path.suffix in SUFFIXES:
        if path.is_file():
            return path.resolve()
        raise InputError("The task file does not exist.", argument, "Check the path after --task.")
    for suffix in SUFFIXES if beside is not None else ():
        if (file := beside.parent / f"{argument}{suffix}").is_file():
            return file.resolve()
    if argument in task_names():
        return FOLDER / f"{argument}.py"
    raise InputError(
        "There is no task of that name.",
        argument,
        f"Give the path of a task file, or one of {', '.join(task_names())}.",
    )


def load_task(task_file: Path) -> Task:
    """The task of a file: TASK of Python, or the keys of TOML.

    Raises InputError if there is none, if a key is not one of a task, or if the task's name is not that
    of the file.
    """
    if task_file.suffix == ".toml":
        task = _from_toml(task_file)
    else:
        task = getattr(load_module(task_file), "TASK", None)
    if not isinstance(task, Task):
        raise InputError("The task file defines no task.", task_file.name, "Add TASK = Task(...).")
    if task.name != task_file.stem:
        raise InputError(
            "The name of a task must be that of its file.",
            f"name {task.name!r} in {task_file.name}",
            "Rename the task or the file.",
        )
    return task


def _from_toml(task_file: Path) -> Task:
    """The task that a TOML file describes; its name is that of the file unless it says another."""
    try:
        values = tomllib.loads(task_file.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(
            "The task file is not valid TOML.", f"{task_file.name}: {error}", "Correct the file."
        ) from None
    known = {spec.name: spec for spec in dataclasses.fields(Task)}
    for key in values:
        if key not in known:
            raise InputError(
                "The task file has a key that no task has.", f"{key} in {task_file.name}",
                did_you_mean(key, known),
            )  # fmt: skip
    values.setdefault("name", task_file.stem)
    required = [name for name, spec in known.items() if spec.default is spec.default_factory]
    if missing := [name for name in required if name not in values]:
        raise InputError(
            "The task file lacks keys that every task needs.",
            f"no {', '.join(missing)} in {task_file.name}", "Add them; see docs/reference/task.md.",
        )  # fmt: skip
    return Task(**values)


def question_of(task_file: Path) -> str:
    """What a task asks: the first line of its file's docstring, or of a TOML file's first comment.

    Of a file that mri_tf.plan wrote it is "": that line names the folder of the data.
    """
    text = task_file.read_text(encoding="utf-8")
    if PLANNED in text:
        return ""
    if task_file.suffix == ".toml":
        return text.partition("\n")[0].removeprefix("#").strip() if text.startswith("#") else ""
    return (ast.get_docstring(ast.parse(text)) or "").partition("\n")[0]


def saved_task(values: dict) -> Task:
    """The task that a run or an export saved; raises InputError for a field that is not known here.

    Values without a layout get that of the task of this name that comes with mri_tf.
    """
    if "layout" not in values and values.get("name") in task_names():
        known = load_task(FOLDER / f"{values['name']}.py")
        values = {**values, "layout": known.layout, "phantom": known.phantom}
    return from_json(values)


def load_module(path: Path):
    """Imports a Python file by its path; raises InputError if running it fails."""
    spec = importlib.util.spec_from_file_location(f"mri_tf_file_{path.stem}", path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # where dataclasses look up their module
    try:
        spec.loader.exec_module(module)
    except InputError:
        raise
    except (Exception, SystemExit) as error:
        raise InputError(
            "The file cannot be run.", f"{path.name}: {type(error).__name__}: {error}",
            "Correct the error in the file.",
        ) from error  # fmt: skip
    return module


def variant_names(text: str) -> list[str]:
    """The variants that --variant names, without the one that changes nothing."""
    return [name for name in text.split(",") if name not in ("", BASE_VARIANT)]


def resolve_task(task: Task, variants: list[str], assignments: list[str]) -> Task:
    """The task with its variants applied from left to right, then the `--set` assignments."""
    for name in variants:
        if name == BASE_VARIANT:
            continue
        if name not in task.variants:
            raise InputError(
                f"Task {task.name} has no such variant.",
                name,
                f"Known: {', '.join([BASE_VARIANT, *sorted(task.variants)])}.",
            )
        task = with_values(task, task.variants[name])
    return with_values(task, dict(parse_assignment(task, text) for text in assignments))


def feature_task(task: Task, task_file: Path) -> tuple[Task, Path]:
    """The segmentation task that is trained before a classifier, and its file.

    The values of the classifier's `features` are set on it. Raises InputError for another kind of task.
    """
    path = find_task_file(task.pretrained_on, beside=task_file)
    features = with_values(load_task(path), task.features)
    if features.kind != "segmentation":
        raise InputError(
            "features_from and boxes_from must name a segmentation task.", features.name,
            f"Change them in task {task.name}.",
        )
    return features, path
