"""Synthetic raw data of a task, in the layout its prep module reads."""

import json
from pathlib import Path

from data_prep.find import prep_module
from mri_tf.core.errors import InputError
from mri_tf.core.files import write_at_once
from mri_tf.core.progress import progress

NOTE = "phantom.json"  # says what the folder was written with


def write_fake_raw(
    task_file: Path, folder: Path, patients: int, seed: int, signal: bool = True
) -> None:
    """Writes the fake raw data of a task, or continues; a folder of other settings is refused."""
    module = prep_module(task_file)
    if not hasattr(module, "write_phantom"):
        raise InputError(
            "A phantom needs a prep module with write_phantom.", task_file.name, "Use --raw DIR."
        )
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
    write_at_once(note, json.dumps(settings).encode())
    with progress("writing the phantom", patients) as advance:
        module.write_phantom(
            Path(folder), patients, seed, signal, lambda done, total: advance(done, total=total)
        )
    write_at_once(note, json.dumps({**settings, "whole": True}).encode())
