"""What a model of several members costs beside one of them: time of an answer, and size on disk."""

import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np

from mri_tf.engines.requests import DEFAULT_SIGNATURE
from mri_tf.evaluate.ensemble import with_fewer_members
from mri_tf.evaluate.familiarity import familiarity_of
from mri_tf.export.inputs import array_shapes
from mri_tf.export.parity import Call, session_of
from mri_tf.export.saved_model import SLICES, write_saved_model
from mri_tf.export.source import ExportSource

TIMED, ROUNDS = 5, 3  # answers in a round; the least round counts, as others were disturbed
SLICES_OF_A_PATIENT = 10


@dataclass(frozen=True)
class Cost:
    """Of one answer on the machine of the export, and of the weights on disk."""

    members: int
    answer_ms: float
    answer_ms_of_one: float
    megabytes: float
    megabytes_of_one: float

    def to_json(self) -> dict:
        """The values of export.json."""
        return asdict(self)


def cost_beside_one(source: ExportSource, folder: Path, call_all: Call, scratch: Path) -> Cost:
    """Exports the answers of the first member alone, too, and times both in turn on an empty input.

    Args:
        source: of several members.
        folder: the SavedModel of all of them.
        call_all: answers by it in a session.
        scratch: a folder for that of one; the caller removes it.
    """
    run = with_fewer_members(source.run, 1)
    familiar = familiarity_of(run) or source.familiarity
    one = replace(source, members=source.members[:1], run=run, familiarity=familiar)
    feed, signature = _empty_input(source), SLICES if source.run.task.bag else DEFAULT_SIGNATURE
    write_saved_model(one, scratch, only=signature)
    with session_of(scratch) as call_one:
        seconds = {"all": [], "one": []}
        for _ in range(ROUNDS + 1):  # the first begins the session
            for name, call in (("all", call_all), ("one", call_one)):
                seconds[name].append(_seconds(call, signature, feed))
    times = {name: 1000 * min(values[1:]) for name, values in seconds.items()}
    return Cost(
        len(source.members), round(times["all"], 2), round(times["one"], 2),
        round(_megabytes(folder), 2), round(_megabytes(scratch), 2),
    )  # fmt: skip


def _seconds(call: Call, signature: str, feed: dict) -> float:
    begun = time.perf_counter()
    for _ in range(TIMED):
        call(signature, feed)
    return (time.perf_counter() - begun) / TIMED


def _empty_input(source: ExportSource) -> dict[str, np.ndarray]:
    """One record, or a patient of SLICES_OF_A_PATIENT slices, of ones."""
    shapes = array_shapes(source.run.task)
    if not source.run.task.bag:
        return {name: np.ones((1, *shape), np.float32) for name, shape in shapes.items()}
    feed = {
        "slices" if name == "image" else name: np.ones((1, SLICES_OF_A_PATIENT, *shape), np.float32)
        for name, shape in shapes.items()
    }
    return feed | {"mask": np.ones((1, SLICES_OF_A_PATIENT), np.float32)}


def _megabytes(folder: Path) -> float:
    """Of the weights of a SavedModel."""
    return sum(path.stat().st_size for path in (folder / "variables").iterdir()) / 2**20
