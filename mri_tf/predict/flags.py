"""What the flags of predict say together: what does not fit is refused before anything is read."""

import os
from types import ModuleType

from mri_tf.core.errors import InputError
from mri_tf.task import Task
from mri_tf.task.harmonise import combat_batch

FORMATS = ("json", "csv", "submission")


def format_of(flags) -> str:
    """The format of the answers: --format, else by the suffix of --out, else JSON."""
    is_csv = flags.out is not None and flags.out.suffix.lower() == ".csv"
    return flags.format or ("csv" if is_csv else "json")


def check_flags(flags) -> None:
    """Raises InputError for flags that do not go together, before anything is read."""
    if flags.model is None and not flags.server:
        raise InputError(
            "No model to predict with.", "neither --model nor --server",
            "Give --model DIR for an exported model, or --server URL for a running server.",
        )  # fmt: skip
    if flags.model is None and not flags.task:
        raise InputError(
            "--server needs --task or --model to know how inputs are prepared.", "neither",
            "Add --task NAME.",
        )  # fmt: skip
    if flags.server and flags.engine != "tensorflow":
        raise InputError(
            "--engine is for a model on this machine; a server has its own.",
            f"--server with --engine {flags.engine}", "Start the server with --engine.",
        )  # fmt: skip
    if flags.explain and flags.out is None:
        raise InputError(
            "--explain needs --out, because maps are written next to the answers.", "no --out",
            "Add --out FILE.",
        )  # fmt: skip
    if flags.out is not None:
        folder = next((path for path in flags.out.absolute().parents if path.exists()), flags.out)
        if not folder.is_dir() or not os.access(folder, os.W_OK):
            raise InputError("Cannot write to the folder of --out.", flags.out, "Choose another --out.")
    if flags.format and flags.out is not None and flags.out.suffix.lower() in (".csv", ".json"):
        suffix = ".json" if flags.format == "json" else ".csv"
        if flags.out.suffix.lower() != suffix:
            raise InputError(
                f"--format {flags.format} is written to a {suffix} file.", f"--out {flags.out}",
                f"Give --out a name that ends in {suffix}.",
            )  # fmt: skip
    if flags.model is not None and not flags.model.exists():
        raise InputError(
            "The exported model given with --model does not exist.", flags.model,
            "Give saved_models/<task>, or one of its version folders.",
        )  # fmt: skip


def check_flags_of_task(flags, task: Task, layout: ModuleType) -> None:
    """Raises InputError for flags that this task does not support."""
    for name in ("site", "scanner"):
        if getattr(flags, name) and combat_batch(task) != name:
            raise InputError(
                f"Task {task.name} corrects nothing by {name}.", f"--{name} {getattr(flags, name)}",
                f"Leave out --{name}.",
            )  # fmt: skip
    if flags.mask is not None and not task.spacing and task.box.get("around") != "mask":
        raise InputError(f"Task {task.name} does not use a tumour mask.", "--mask", "Leave out --mask.")
    if task.kind == "segmentation":
        if flags.explain or flags.format in ("csv", "submission"):
            raise InputError(
                f"Task {task.name} segments: --explain and tables are for classifiers.",
                "--explain" if flags.explain else f"--format {flags.format}",
                "Leave out --explain and --format.",
            )  # fmt: skip
        if flags.out is None or flags.out.suffix or flags.out.is_file():
            raise InputError(
                "A segmentation task needs an --out folder for its label maps.",
                flags.out or "no --out", "For example --out labels.",
            )  # fmt: skip
        return
    if flags.out is not None and flags.out.is_dir():
        raise InputError(
            "A classifier's --out must be a file, not a folder.", flags.out,
            "Add a file name, for example answers.json.",
        )  # fmt: skip
    if flags.out is not None and not flags.format and flags.out.suffix.lower() not in (".json", ".csv"):
        raise InputError(
            "Cannot tell the format of the answers from the name of --out.", flags.out,
            "End it in .json or .csv, or add --format.",
        )  # fmt: skip
    if flags.format == "submission" and not hasattr(layout, "SUBMISSION"):
        raise InputError(
            f"Task {task.name} has no submission table.", "--format submission", "Use --format csv."
        )
