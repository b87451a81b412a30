"""Plans a raw folder: recognises it, measures it, decides, and writes the task file."""

import json
import re
import socket
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import zip_longest
from pathlib import Path

from data_prep.layout import find_layout
from data_prep.layout_calls import ListOptions
from data_prep.prepare.listed_cases import cases_to_prepare
from data_prep.recognised import Recognised
from mri_tf.core.errors import InputError
from mri_tf.core.files import write_atomic
from mri_tf.core.presets import is_cached
from mri_tf.core.words import printable
from mri_tf.plan.fingerprint import Fingerprint, measure
from mri_tf.plan.label_column import Classes, classes_of
from mri_tf.plan.other_columns import OtherColumns, other_columns
from mri_tf.plan.recognise import recognise
from mri_tf.plan.rules import Decision, decide
from mri_tf.plan.split_column import split_column
from mri_tf.plan.table import fingerprint_lines
from mri_tf.plan.task_text import task_text
from mri_tf.task import Task
from mri_tf.task.files import PLANNED, SUFFIXES, find_task_file, load_task
from mri_tf.task.overrides import check_keys, split_assignment

WEIGHTS_HOST = ("www.kaggle.com", 443)  # from where KerasHub downloads its presets
SECONDS_FOR_HOST = 2.0
FINGERPRINT = ".fingerprint.json"  # of the file beside the task file


@dataclass(frozen=True)
class Plan:
    """A planned task: its file, and what was measured."""

    file: Path
    facts: Fingerprint
    task: Task


def plan_folder(raw: Path, options: ListOptions, label: str = "", out: Path | None = None) -> Plan:
    """Writes the task file of a raw folder, and its fingerprint beside it.

    Planning the same folder again gives the same file. A file that was changed since is not overwritten.

    Args:
        raw: the folder.
        options: the table of the labels, where it is elsewhere, and what is left out.
        label: the column of the labels; found where only one can be meant.
        out: the task file, .toml or .py; <folder>_<label>.toml in the current folder unless given.

    Raises:
        InputError: the folder is not recognised, the label is not clear, or the file holds another task.
    """
    if out is not None and not out.absolute().parent.is_dir():
        raise InputError(
            "The folder of --out does not exist.", out, "Make it, or choose another file."
        )
    layout, found = recognise(raw, options)
    classes = classes_of(found, label)
    file = out or Path(f"{task_name(raw, classes)}.toml")
    name = file.stem
    if file.suffix not in SUFFIXES or not name.isidentifier():
        raise InputError(
            "--out must be the name of a task file, .toml or .py.", file,
            "Its name is the task's: letters, digits and _.",
        )  # fmt: skip
    split = split_column(found, classes.column)
    others = other_columns(found, classes, split)
    needed = _needed(found, classes, others, split)
    draft = _draft(name, layout, found, classes, needed)
    cases = cases_to_prepare(find_layout(draft, file), raw, draft, options)
    facts = measure(found, raw, cases, draft)
    facts = replace(facts, like_label=others.like_label, shortcuts=others.shortcuts)
    if not any(facts.intensities.values()):
        raise InputError(
            "None of the cases that were looked at can be read.", f"{len(cases)} cases",
            "The lines above say why; python -m mri_tf.check names every file.",
        )  # fmt: skip
    at_hand = _weights(file)
    named = f"the values of {classes.column}" if classes.column else "the names of the folders"
    decisions = [
        Decision("layout", layout, facts.how_recognised),
        Decision("class_names", list(classes.names), named),
        *decide(facts, at_hand),
        *needed,
    ]
    text = task_text(name, _about(raw, file, options, facts), decisions, file.suffix)
    _write(file, text, {**facts.as_json(), "weights_at_hand": at_hand})
    return Plan(file, facts, load_task(file.resolve()))


def task_file_for(
    task: str | None, raw: Path | None, options: ListOptions, label: str, assignments: Sequence[str]
) -> Path:
    """The file of the task that a command names or, without one, of the plan of its raw folder.

    Raises InputError if there is neither a task nor a folder, and for what --set cannot set on any
    task: planning reads the images of a folder, and what is misspelt is said before.
    """
    check_keys(split_assignment(text)[0] for text in assignments)
    if task:
        return find_task_file(task)
    if raw is None:
        raise InputError(
            "Without --task a raw folder is needed, from which the task is planned.",
            "neither --task nor --raw", "Give --task T or --raw DIR.",
        )  # fmt: skip
    plan = plan_folder(raw, options, label)
    print("\n".join(fingerprint_lines(plan.facts)))
    print(f"planned: {plan.file} (change it, and give it with --task, for other settings)", flush=True)
    return plan.file.resolve()


def label_setting(task: str | None, label: str) -> list[str]:
    """What --label sets on a task that --task names; nothing of one that was planned with it."""
    return [f"prep.label_column={label!r}"] if task and label else []


def task_name(raw: Path, classes: Classes) -> str:
    """A name for the task, of the folder and the label's column."""
    words = (raw.resolve().name, classes.column)
    plain = (re.sub(r"\W+", "_", word.lower(), flags=re.ASCII).strip("_") for word in words)
    name = "_".join(filter(None, plain))
    return name if name and not name[0].isdigit() else f"task_{name}"


def _weights(file: Path) -> bool:
    """Whether ImageNet weights were at hand when the file was planned, or are now where it is new.

    So planning a folder again gives the same file, whether or not a network can be reached.
    """
    try:
        noted = json.loads(file.with_suffix(FINGERPRINT).read_text(encoding="utf-8"))
        return bool(noted["weights_at_hand"])
    except (OSError, ValueError, KeyError, TypeError):
        return weights_at_hand()


def weights_at_hand() -> bool:
    """Whether ImageNet weights are on this machine or can be downloaded."""
    if is_cached("resnet_18_imagenet"):
        return True
    try:
        with socket.create_connection(WEIGHTS_HOST, SECONDS_FOR_HOST):
            return True
    except OSError:
        return False


def _needed(
    found: Recognised, classes: Classes, others: OtherColumns, split: str
) -> list[Decision]:
    """The settings without which the layout cannot list the cases."""
    reason = "how the folder is read"
    made = [Decision(f"prep.{key}", value, reason) for key, value in found.prep.items()]
    if classes.column:
        reason = "the column of the labels"
        if others.like_label:
            named = " and ".join(others.like_label)
            reason += f"; each value of {named} goes with one class, so that records do not keep it"
        made.append(Decision("prep.label_column", classes.column, reason))
    if split:
        reason = "its cells say on which side of the split each case is"
        made.append(Decision("prep.split_column", split, reason))
    if others.covariates:
        reason = "further columns that the records keep; remove what must not be in them"
        if others.shortcuts:
            named = " and ".join(others.shortcuts)
            reason += f"; each value of {named} goes with one class: audit the run"
        made.append(Decision("prep.covariates", list(others.covariates), reason))
    return made


def _draft(
    name: str, layout: str, found: Recognised, classes: Classes, needed: list[Decision]
) -> Task:
    """A task with which the cases can be listed; its grid and network do not matter yet."""
    shape, model = ((64, 64), "vgg") if found.images else ((16, 64, 64), "grader3d")
    prep = {decision.key.partition(".")[2]: decision.value for decision in needed}
    if not found.images:
        prep["missing"] = "skip"
    return Task(
        name=name, layout=layout, channels=found.channels, image_shape=shape, model=model,
        class_names=classes.names, prep=prep,
    )  # fmt: skip


def _about(raw: Path, file: Path, options: ListOptions, facts: Fingerprint) -> list[str]:
    """What stands at the head of a task file."""
    flags = " --labels <the table>" if options.labels else ""
    flags += "".join(f" --ignore {name}" for name in options.ignore)
    flags += " --skip-unlabelled" if options.skip_unlabelled else ""
    patients = f"{facts.patients} patients" if facts.patients else "unknown patients"
    kind = "images" if facts.images else "cases"
    return [
        f"Task of the folder {raw.resolve().name}: {facts.cases} {kind} of {patients}.",
        "",
        f"{PLANNED}; each value may be changed. To train:",
        "",
        f"    python -m mri_tf.train --task {file.name} --raw <the folder>{flags}",
        "",
        "docs/reference/task.md says what each key means.",
    ]


def _write(file: Path, text: str, facts: dict) -> None:
    text = printable(text)  # it names folders
    if file.is_file() and (before := file.read_text(encoding="utf-8")) != text:
        pairs = zip_longest(before.splitlines(), text.splitlines(), fillvalue="")
        number, (old, new) = next((n, pair) for n, pair in enumerate(pairs, 1) if pair[0] != pair[1])
        raise InputError(
            "The task file exists already, and differs from what the folder would give now.",
            f"{file}, first in line {number}: {old.strip()!r}, now {new.strip()!r}",
            f"Use it with --task {file}, remove it, or name another with --out of mri_tf.plan.",
        )  # fmt: skip
    write_atomic(file, text.encode())
    write_atomic(file.with_suffix(FINGERPRINT), json.dumps(facts, indent=1).encode())
