"""Flags of predict that do not fit each other, the task, or the files that are read."""

import os

from mri_tf.errors import InputError

ANSWERS_HEAD = b"input,"  # of a CSV of answers

def check_flags(flags) -> None:
    """Raises InputError for flags that do not go together, before anything is read."""
    if flags.model is None and not flags.server:
        raise InputError("predict asks a model.", "no model", "Give --model DIR, or --server URL.")
    if flags.model is None and not flags.task:
        raise InputError("--server goes with --task or --model.", "neither", "Add --task NAME.")
    if flags.explain and flags.out is None:
        raise InputError("--explain writes maps beside the answers.", "no --out", "Add --out FILE.")
    if flags.out is not None:
        home = next((one for one in flags.out.absolute().parents if one.exists()), flags.out)
        if not home.is_dir() or not os.access(home, os.W_OK):
            raise InputError("--out lies where files can be written.", flags.out, "Name another.")
    if flags.format and flags.out is not None and flags.out.suffix.lower() in (".csv", ".json"):
        kind = "json" if flags.format == "json" else "csv"
        if flags.out.suffix.lower() != f".{kind}":
            raise InputError("--format fits the suffix of --out.", flags.out, f"Name a .{kind} file.")


def check_nothing_lost(flags, studies: list) -> None:
    """Raises InputError where answers or maps would be written over what is read.

    `studies` are those listed at the inputs. A table in an input folder counts as read, too, unless it
    is one of answers.
    """
    if flags.out is None:
        return
    out = flags.out.resolve()
    read = {path.resolve() for path in (*flags.input, flags.mask) if path is not None}
    read |= {(one.raw / name).resolve() for one in studies for name in one.source.files.values()}
    table = out.suffix.lower() == ".csv" and out.is_file() and out.parent in read
    if out in read or (table and not out.read_bytes().startswith(ANSWERS_HEAD)):
        raise InputError(
            "--out is none of the inputs.", flags.out, "Name a file or folder that is not there."
        )


def check_task(flags, task, module) -> None:
    """Raises InputError for flags that this task has no use for."""
    uses_mask = bool(task.spacing) or task.box.get("around") == "mask"
    if flags.mask is not None and not uses_mask:
        raise InputError("--mask is for tasks that look at a tumour.", task.name, "Leave it away.")
    if task.kind != "segmentation":
        if flags.out is not None and flags.out.is_dir():
            raise InputError("--out of a classifier names a file.", flags.out, "Add a file's name.")
        known = flags.out is None or flags.out.suffix.lower() in (".json", ".csv")
        if not known and not flags.format:
            raise InputError(
                "The suffix of --out is .json or .csv, unless --format says which.", flags.out,
                "Add one of them.",
            )  # fmt: skip
        if flags.format == "submission" and not hasattr(module, "SUBMISSION"):
            raise InputError("A submission is a task's own table.", task.name, "Take --format csv.")
        return
    if flags.explain or flags.format in ("csv", "submission"):
        raise InputError("--explain and tables are for classifiers.", task.name, "Leave them away.")
    if flags.out is None or flags.out.suffix or flags.out.is_file():
        raise InputError(
            "--out of a segmentation names a folder of label maps.", flags.out or "no --out",
            "For example --out labels.",
        )  # fmt: skip
