"""Synthetic raw data of a task, in the layout that the task names."""

import json
from pathlib import Path

from data_prep.phantom import kinds
from mri_tf.core.errors import InputError
from mri_tf.core.files import write_atomic
from mri_tf.core.progress import progress
from mri_tf.task.files import load_task

NOTE = "phantom.json"  # says what the folder was written with


def write_fake_raw(
    task_file: Path, folder: Path, patients: int, seed: int, signal: bool = True
) -> None:
    """Writes the fake raw data of a task, or continues; a folder of other settings is refused."""
    kind = load_task(task_file).phantom
    if not kind:
        raise InputError(
            "This task has no phantom.", task_file.name, "Name your own data with --raw DIR."
        )
    write = getattr(kinds, kind, None)
    if write is None:
        raise InputError(
            "phantom of a task names a function of data_prep/phantom/kinds.py.", kind,
            "Correct it in the task file.",
        )  # fmt: skip
    settings = {
        "task": task_file.stem, "patients": patients, "seed": seed, "signal": signal,
    }  # fmt: skip
    note = Path(folder) / NOTE
    if note.is_file():
        found = json.loads(note.read_text(encoding="utf-8"))
        whole = found.pop("whole", False)
        if found == settings and whole:
            return
        if found != settings:
            raise InputError(
                "A folder holds one phantom.", f"{folder} of {found}",
                "Remove it, or name another --out of data_prep.phantom.",
            )
    elif Path(folder).exists() and any(Path(folder).iterdir()):
        raise InputError(
            "A phantom is written into a new folder.", f"{folder}, not empty", "Name another --out."
        )
    Path(folder).mkdir(parents=True, exist_ok=True)
    write_atomic(note, json.dumps(settings).encode())
    with progress("writing the phantom", patients) as advance:
        write(Path(folder), patients, seed, signal, lambda done, total: advance(done, total=total))
    write_atomic(note, json.dumps({**settings, "whole": True}).encode())
