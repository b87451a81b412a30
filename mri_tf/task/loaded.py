"""A task together with the file that it was loaded from."""

from dataclasses import dataclass
from pathlib import Path

from mri_tf.task.files import load_task, resolve_task
from mri_tf.task.spec import Task


@dataclass(frozen=True)
class LoadedTask:
    """A task as it will be trained, the task as its file says, and that file."""

    task: Task
    base: Task
    file: Path

    @classmethod
    def of(cls, file: Path, variants: list[str], assignments: list[str]) -> "LoadedTask":
        """Loads a task file and applies variants, then assignments as after --set."""
        base = load_task(file)
        return cls(resolve_task(base, variants, assignments), base, file)
