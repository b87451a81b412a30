"""The prep module of a task, found by its file's name."""

import functools
import importlib
from pathlib import Path
from types import ModuleType

from mri_tf.core.errors import InputError
from mri_tf.task.files import is_built_in, load_module

NEEDED = ("list_sources", "read_source", "OPERATIONS", "SETTINGS")


@functools.cache
def prep_module(task_file: Path) -> ModuleType:
    """`data_prep/<task>.py` of a task that comes with mri_tf; `<task>_prep.py` beside a user's own.

    A user's task without a prep file is prepared from `manifest.csv`. The module has
    list_sources(raw, task), read_source(raw, source, task), OPERATIONS, SETTINGS (the keys that
    `prep` of a task may have) and, where there is such a thing, write_phantom(folder, patients, seed,
    signal, progress) for fake raw data, sources_to_predict(path, task) for inputs without labels
    (data_prep/cases/to_predict.py), MASK_ROLE, the role of a tumour mask that a user gives ("mask" unless
    said), and SUBMISSION, the columns (id, value) of a submission and the class it is about.
    """
    if is_built_in(task_file):
        return importlib.import_module(f"data_prep.{task_file.stem}")
    own = task_file.with_name(f"{task_file.stem}_prep.py")
    if own.is_file():
        module = load_module(own)
        missing = [name for name in NEEDED if not hasattr(module, name)]
        if missing:
            raise InputError(
                f"A prep file has {', '.join(NEEDED)}.", f"{own.name} without {', '.join(missing)}",
                "Add them; data_prep/csv_manifest.py is an example.",
            )  # fmt: skip
        return module
    return importlib.import_module("data_prep.csv_manifest")
