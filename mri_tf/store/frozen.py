"""What a locked test side freezes: hashes of the plan of a training and of its result.

They lie in run.json as `test_lock`:

plan      hashes of the task, the prepared data, the sides, the seed and the feature network
result    added when the training ends: hashes of the weights, of the calibration ...
contents  the hashes of the images of the test side, by which they are recognised in other data

A lock guards against looking by habit or by mistake. Somebody who edits the hashes too is not stopped;
`lock_name` is for writing down elsewhere before the test side is opened.
"""

import dataclasses
import json
from pathlib import Path

from mri_tf.core.errors import InputError
from mri_tf.core.hashing import fingerprint
from mri_tf.task import Task
from mri_tf.task.files import saved_task
from mri_tf.task.spec import to_json

TEST_LOCK = "test_lock"
# What is frozen, as messages call it, and the values of run.json that it is made of.
PLAN = {
    "data": ("data",), "seed": ("seed",),
    "sides": ("sides", "patients", "split", "known_copies", "reserved"),
    "feature network": ("feature_task", "feature_weights"),
}  # fmt: skip
RESULT = {"fitted values": ("fitted", "familiar"), "weights": ("weights_sha256",)}


def frozen_plan(values: dict, contents: list[str]) -> dict:
    """The lock of a run that has not been trained.

    Args:
        values: of run.json.
        contents: hashes of the images of the test side.
    """
    return {"plan": _plan(values), "contents": contents}


def frozen_result(values: dict) -> dict:
    """The lock of a run whose training has ended; `values` are those of run.json."""
    return {**values[TEST_LOCK], "result": _result(values)}


def lock_name(lock: dict) -> str:
    """SHA-256 of a lock, which names the plan and the result together."""
    return fingerprint(lock)


def check_frozen(folder: Path, values: dict) -> None:
    """Raises InputError where a finished run is no longer what its lock says.

    Args:
        folder: of the run.
        values: of its run.json, with a lock.
    """
    lock = values[TEST_LOCK]
    try:
        wanted = {**lock["plan"], **lock["result"]}
        list(lock["contents"])
    except (KeyError, TypeError):
        raise InputError(
            "The lock of the test side is damaged.", folder, "Restore run.json from a copy."
        ) from None
    now = {**_plan(values), **_result(values)}
    differing = [name for name in now if now[name] != wanted.get(name)]
    if differing:
        raise InputError(
            "The run is not the one whose test side was locked.",
            f"{folder}, changed: {', '.join(differing)}",
            "Restore the run from a copy, or train again into another --out folder.",
        )


def _plan(values: dict) -> dict[str, str]:
    task = fingerprint(_set_fields(saved_task(values["task"])))
    return {"task": task, **{name: _hash(values, keys) for name, keys in PLAN.items()}}


def _result(values: dict) -> dict[str, str]:
    answers = values["answers"] or {}  # none for a segmentation
    calibration = {key: value for key, value in answers.items() if key != "point"}
    return {
        **{name: _hash(values, keys) for name, keys in RESULT.items()},
        "calibration": fingerprint(calibration),
        "operating point": fingerprint(answers.get("point")),
    }


def _hash(values: dict, keys: tuple[str, ...]) -> str:
    return fingerprint([values.get(key) for key in keys])


def _set_fields(task: Task) -> dict:
    """The fields that are not at their defaults, so that a later version with more fields agrees; the
    variants, which have been applied, are left out."""
    values = {}
    for spec in dataclasses.fields(Task):
        missing = spec.default_factory is dataclasses.MISSING
        default = spec.default if missing else spec.default_factory()
        values[spec.name] = None if default is dataclasses.MISSING else default
    defaults = json.loads(json.dumps(values))
    return {
        key: value for key, value in to_json(task).items()
        if value != defaults[key] and key != "variants"
    }  # fmt: skip
