"""Requests that wait for the same signature are run together.

Nobody waits for a batch to fill: a request that finds the model idle runs at once, those that come
meanwhile form the next batch. So one client pays nothing, and many share the model's fixed cost.
There are no worker threads: a waiting request's own thread leads the next batch.
"""

import threading
import time
from collections import deque
from collections.abc import Callable

import numpy as np

from mri_tf.serve.status import ServingError

WAITING, TAKEN, LEADER = "waiting", "taken", "leader"


class _Task:
    """One request: its arrays, how many rows they have, and what may share a batch with it."""

    def __init__(self, arrays: dict[str, np.ndarray], wanted: tuple[str, ...]):
        self.arrays, self.wanted = arrays, wanted
        heads = {array.shape[0] if array.ndim else None for array in arrays.values()}
        self.rows = heads.pop() if len(heads) == 1 else None
        names = sorted(arrays)
        self.key = wanted, tuple((n, arrays[n].dtype, arrays[n].shape[1:]) for n in names)
        self.state, self.wake = WAITING, threading.Event()
        self.outputs, self.error, self.deadline = None, None, 0.0

    def joins(self, other: "_Task", rows: int, limit: int) -> bool:
        """Whether it fits behind `other` into a batch that has `rows` already."""
        return bool(self.rows) and self.key == other.key and rows + self.rows <= limit


class Batcher:
    """Runs one signature of one version; `run(arrays, wanted)` gives the outputs by name.

    At most `max_batch` rows in a run of several requests (a larger request runs alone), at most
    `max_waiting` requests in the queue; 1 as `max_batch` switches batching off.
    """

    def __init__(self, run: Callable, max_batch: int, max_waiting: int, seen: Callable[[int], None]):
        self._run, self._max_batch, self._max_waiting, self._seen = run, max_batch, max_waiting, seen
        self._lock, self._queue, self._busy = threading.Lock(), deque(), False

    def run(self, arrays: dict, wanted: tuple[str, ...], deadline: float) -> dict:
        """The outputs of one request; raises what the run raises, or ServingError.

        `deadline` is on the clock of time.monotonic.
        """
        if self._max_batch == 1:
            return self._run(arrays, wanted)
        task = _Task(arrays, wanted)
        task.deadline = deadline
        with self._lock:
            if len(self._queue) >= self._max_waiting:
                raise ServingError(
                    "UNAVAILABLE", "The batch scheduling queue to which this task was submitted is full"
                )
            self._queue.append(task)
            if not self._busy:
                self._busy, task.state = True, LEADER
        if task.state != LEADER:
            task.wake.wait(max(deadline - time.monotonic(), 0))
            self._give_up_if_late(task)
        if task.state == LEADER:
            self._lead()
        if task.error is not None:
            raise task.error
        return task.outputs

    def _give_up_if_late(self, task: _Task) -> None:
        with self._lock:
            if task.wake.is_set():
                return
            if task.state == WAITING:
                self._queue.remove(task)
        raise ServingError("DEADLINE_EXCEEDED", "Timed out waiting for the model")

    def _lead(self) -> None:
        """Runs the batch at the head of the queue, and hands the lead to the next in it."""
        batch = self._take()
        try:
            self._seen(sum(task.rows or 1 for task in batch))
            self._answer(batch)
        finally:
            with self._lock:
                for task in batch:
                    if task.state == TAKEN:
                        task.wake.set()
                if self._queue:
                    self._queue[0].state = LEADER
                    self._queue[0].wake.set()
                else:
                    self._busy = False

    def _take(self) -> list[_Task]:
        with self._lock:
            first = self._queue.popleft()
            batch, rows, left = [first], first.rows or 0, deque()
            for task in self._queue:
                if first.rows and task.joins(first, rows, self._max_batch):
                    task.state = TAKEN
                    batch.append(task)
                    rows += task.rows
                else:
                    left.append(task)
            self._queue = left
            return batch

    def _answer(self, batch: list[_Task]) -> None:
        if len(batch) > 1 and self._answer_together(batch):
            return
        for task in batch:
            # Alone, so that a request the model cannot digest spoils nobody else's answer.
            try:
                task.outputs = self._run(task.arrays, task.wanted)
            except BaseException as error:  # handed to the thread that waits for it
                task.error = error

    def _answer_together(self, batch: list[_Task]) -> bool:
        """Whether one run answered them all: no error, and every output has the batch's rows."""
        first = batch[0]
        joined = {name: np.concatenate([task.arrays[name] for task in batch]) for name in first.arrays}
        try:
            outputs = self._run(joined, first.wanted)
        except Exception:
            return False
        ends = np.cumsum([task.rows for task in batch])
        if any(not value.ndim or len(value) != ends[-1] for value in outputs.values()):
            return False
        for task, end in zip(batch, ends, strict=True):
            task.outputs = {name: value[end - task.rows : end] for name, value in outputs.items()}
        return True
