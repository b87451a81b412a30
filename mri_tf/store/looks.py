"""The looks at a run's test side: each is counted in run.json before anything is shown, and a locked
test side is looked at only by `mri_tf.evaluate`.

A look is whatever shows predictions of test patients beside the truth: an evaluation, an explanation.
"""

import errno
from dataclasses import asdict, dataclass

import numpy as np

from mri_tf.core.errors import InputError
from mri_tf.store.frozen import TEST_LOCK, frozen_plan, lock_name
from mri_tf.store.prepared import Prepared
from mri_tf.store.run import LOOKS, METRICS, Run, locked, open_run

SECONDS_TO_WAIT = 20.0  # for another process that counts a look
UNWRITABLE = (errno.EACCES, errno.EPERM, errno.EROFS)


@dataclass(frozen=True)
class Look:
    """One look, as metrics.json has it under `test_looks`.

    Attributes:
        locked: whether the test side was locked before the training ended.
        look: its number, from 1.
        lock: name of the lock; None where there is none.
        counted: False where the run folder cannot be written, so that the next look has this number too.
    """

    locked: bool
    look: int
    lock: str | None
    counted: bool = True

    def to_json(self) -> dict:
        """The values of metrics.json."""
        return asdict(self)


def with_lock(run: Run, prepared: Prepared) -> Run:
    """A run that has not been trained, its test side locked; nothing is written.

    Args:
        run: of `new_run`.
        prepared: the set it is trained on.
    """
    contents = prepared.contents[np.isin(prepared.record_ids, run.sides["test"])]
    lock = frozen_plan(run.values, sorted(set(contents)))
    return Run(run.folder, {**run.values, TEST_LOCK: lock})


def check_lock_asked(existing: Run | None, asked: bool) -> None:
    """Raises InputError where --lock-test, or its absence, contradicts the run in the folder.

    Args:
        existing: of `existing_run`.
        asked: whether the command has --lock-test.
    """
    if existing is None or asked == (TEST_LOCK in existing.values):
        return
    if not asked and looks_of(existing):
        raise InputError(
            "The test side of this run was locked and has been opened, so it has its numbers.",
            f"{existing.folder} without --lock-test, looked at {times(looks_of(existing))}",
            "Add --lock-test, or train into another --out folder.",
        )
    if not asked:
        raise InputError(
            "The test side of this run is locked, and training does not open it.",
            f"{existing.folder} without --lock-test",
            f"Add --lock-test, or open the test side with {opening_command(existing)}.",
        )
    if looks := looks_of(existing):
        raise InputError(
            "The test side of this run has been seen, so it can no longer be locked.",
            f"{existing.folder}, looked at {times(looks)}",
            "Leave out --lock-test, or train into another --out folder with other test patients.",
        )
    if existing.finished:
        raise InputError(
            "The training of this run has ended, so its test side can no longer be locked.",
            existing.folder, "Leave out --lock-test, or train into another --out folder.",
        )  # fmt: skip


def looks_of(run: Run) -> int:
    """How often the test side was looked at; of a run of an earlier version, whether it was."""
    counted = run.values.get(LOOKS)
    if counted is None:
        return int((run.folder / METRICS).is_file())
    if not isinstance(counted, int) or counted < 0:
        raise InputError(
            "The number of looks at the test side is damaged.", f"{LOOKS} {counted!r} in {run.folder}",
            "Restore run.json from a copy.",
        )  # fmt: skip
    return counted


def is_closed(run: Run) -> bool:
    """Whether the test side is locked and nobody has looked at it."""
    return TEST_LOCK in run.values and not looks_of(run)


def shows_test_side(run: Run, prepared: Prepared, records: np.ndarray) -> bool:
    """Whether some records are of the run's test side.

    In another set than the run's they are recognised by their pixels, where the test side is locked.

    Args:
        run: a finished run.
        prepared: the set of the records.
        records: positions in the set.
    """
    if prepared.content_fingerprint() == run.values["data"]:
        return bool(np.isin(prepared.record_ids[records], run.sides["test"]).any())
    lock = run.values.get(TEST_LOCK)
    return lock is not None and bool(prepared.showing(lock["contents"])[records].any())


def check_open(run: Run, what: str) -> None:
    """Raises InputError while the test side is locked; `what` is a sentence on what would show it."""
    if is_closed(run):
        raise InputError(
            f"The test side of this run is locked and nobody has looked at it. {what}",
            run.folder, f"Open it first, with {opening_command(run)}.",
        )  # fmt: skip


def count_look(run: Run) -> Look:
    """Counts a look in run.json; to be called before anything of it is written or printed.

    Raises InputError if the test side is locked and the run folder cannot be written.
    """
    lock = run.values.get(TEST_LOCK)
    name = lock and lock_name(lock)
    try:
        with locked(run.folder, SECONDS_TO_WAIT):
            now = open_run(run.folder)  # with the looks of other processes
            now = now.save(**{LOOKS: looks_of(now) + 1})
    except OSError as error:
        if error.errno not in UNWRITABLE:
            raise
        if lock:
            raise InputError(
                "A look at a locked test side is counted in the run folder before it is shown.",
                f"{run.folder}, which cannot be written", "Make the folder writable.",
            ) from None  # fmt: skip
        return Look(False, looks_of(run) + 1, None, counted=False)
    return Look(lock is not None, looks_of(now), name)


def closed_lines(run: Run) -> list[str]:
    """For the terminal: how large a locked test side is, and how it is opened."""
    patients, records = len(run.values["patients"]["test"]), len(run.sides["test"])
    return [
        f"the test side ({patients} patients, {records} records) is locked and nobody has looked at it; "
        f"lock {lock_name(run.values[TEST_LOCK])}",
        f"to open it, once: {opening_command(run)}",
    ]


def opening_command(run: Run) -> str:
    """The command that opens the test side."""
    return f"python -m mri_tf.evaluate --run {run.folder}"


def times(count: int) -> str:
    """A number of looks in words.

    >>> times(1), times(3)
    ('once', '3 times')
    """
    return "once" if count == 1 else f"{count} times"
