"""Writes the synthetic raw data of a task, in the layout that the task names."""

import inspect
import json
from collections.abc import Callable
from pathlib import Path

from data_prep.phantom import PHANTOM_NOTE, kinds
from mri_tf.core.errors import InputError
from mri_tf.core.files import write_atomic
from mri_tf.core.progress import progress
from mri_tf.task.files import load_task


def write_fake_raw(
    task_file: Path, folder: Path, patients: int, seed: int, signal: bool = True
) -> None:
    """Writes the phantom of a task, continues it, or does nothing if it is finished.

    Args:
        task_file: file of the task; its `phantom` names a function of `data_prep.phantom.kinds`.
        folder: where to write; new, empty or begun with the same settings.
        patients: number of patients.
        seed: of everything that is drawn.
        signal: False gives labels that have nothing to do with the images.

    Raises:
        InputError: the task has no phantom, or the folder holds something else.
    """
    kind = load_task(task_file).phantom
    if not kind:
        raise InputError(
            "This task has no phantom.", task_file.name, "Give your own data with --raw DIR."
        )
    if kind not in kind_names():
        raise InputError(
            "This task names a phantom that does not exist.", kind,
            "Set phantom in the task file to the name of a function of data_prep/phantom/kinds.py.",
        )  # fmt: skip
    settings = {"task": task_file.stem, "patients": patients, "seed": seed, "signal": signal}
    _write(_writer(kind), folder, settings)


def write_kind(
    kind: str, folder: Path, patients: int, seed: int, signal: bool = True, dose: float | None = None
) -> None:
    """As `write_fake_raw`, of a phantom by its name.

    `dose`, of kinds in WITH_DOSE: the share of the patients of each class in whom the trick agrees with
    the label (of label_noise: whose label is right; of leaky kinds: who stand twice), 1 unless given.

    Raises InputError for a dose of other kinds, and without signal for kinds whose name says it.
    """
    settings = {"kind": kind, "patients": patients, "seed": seed, "signal": signal}
    if dose is not None and kind not in kinds.WITH_DOSE:
        pictures = [name for name in kinds.WITH_DOSE if name + kinds.VOLUME_SUFFIX in kinds.WITH_DOSE]
        raise InputError(
            "--dose is the share of patients in whom a planted trick agrees with the label, and this "
            "phantom has no trick.", f"--dose {dose:g} with {kind}",
            f"Leave out --dose, or choose one of {', '.join(pictures)} (ending in _3d: volumes).",
        )  # fmt: skip
    if dose is not None and not 0 <= dose <= 1:
        raise InputError("--dose must be a share of the patients, 0 to 1.", dose, "For example 0.9.")
    if not signal and kind in kinds.KNOWN_ANSWERS:
        raise InputError(
            "What the labels of this phantom have to do with the images is said by its kind.",
            f"--no-signal with {kind}", "Leave out --no-signal, or choose the kind no_signal.",
        )  # fmt: skip
    if kind in kinds.WITH_DOSE:
        settings["dose"] = 1.0 if dose is None else dose
    _write(_writer(kind, settings.get("dose", 1.0)), folder, settings)


def kind_names() -> list[str]:
    """The phantoms, sorted."""
    named = {name for name, value in vars(kinds).items() if _is_kind(name, value)}
    return sorted(named | set(kinds.KINDS_OF_FORMS) | set(kinds.KNOWN_ANSWERS))


def _is_kind(name: str, value: object) -> bool:
    """Whether a name of kinds.py is a phantom: a function with a folder, patients, seed and signal."""
    if not inspect.isfunction(value) or name.startswith("write_"):
        return False
    return list(inspect.signature(value).parameters)[:4] == ["folder", "patients", "seed", "signal"]


def _writer(kind: str, dose: float = 1.0) -> Callable:
    """The function that writes a phantom, by its name."""
    if kind in kinds.KINDS_OF_FORMS:
        return kinds.in_form(kinds.KINDS_OF_FORMS[kind])
    return kinds.known_answer(kind, dose) if kind in kinds.KNOWN_ANSWERS else getattr(kinds, kind)


def _write(write: Callable, folder: Path, settings: dict) -> None:
    folder, patients = Path(folder), settings["patients"]
    note = folder / PHANTOM_NOTE
    if note.is_file():
        noted = json.loads(note.read_text(encoding="utf-8"))
        whole = noted.pop("whole", False)
        if noted != settings:
            raise InputError(
                "The folder holds a phantom with other settings.", f"{folder} with {noted}",
                "Remove it, or choose another --out folder for data_prep.phantom.",
            )  # fmt: skip
        if whole:
            return
    elif folder.exists() and any(folder.iterdir()):
        raise InputError(
            "A phantom must be written into a new or empty folder.", f"{folder}, which is not empty",
            "Choose another --out folder.",
        )  # fmt: skip
    folder.mkdir(parents=True, exist_ok=True)
    write_atomic(note, json.dumps(settings).encode())
    with progress("writing the phantom", patients) as advance:
        drawn = (patients, settings["seed"], settings["signal"])
        write(folder, *drawn, lambda done, total: advance(done, total=total))
    write_atomic(note, json.dumps({**settings, "whole": True}).encode())
