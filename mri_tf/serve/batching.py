"""Batching: requests that wait for the same signature are run together.

No request waits for a batch to fill: one that finds the model idle runs at once, and those that arrive
in the meantime form the next batch. There are no worker threads: the thread of the first waiting
request runs the next batch.
"""

import threading
import time
from collections import deque
from collections.abc import Callable

import numpy as np

from mri_tf.serve.status import ServingError

WAITING, TAKEN, LEADER = "waiting", "taken", "leader"


class _Task:
    """One request: its arrays and their number of rows; those of equal `key` may share a batch."""

    def __init__(self, arrays: dict[str, np.ndarray], output_names: tuple[str, ...]):
        self.arrays, self.output_names = arrays, output_names
        sizes = {array.shape[0] if array.ndim else None for array in arrays.values()}
        self.rows = sizes.pop() if len(sizes) == 1 else None
        names = sorted(arrays)
        self.key = output_names, tuple((n, arrays[n].dtype, arrays[n].shape[1:]) for n in names)
        self.state, self.wake = WAITING, threading.Event()
        self.outputs, self.error = None, None


class Batcher:
    """Runs one signature of one version in batches.

    Args:
        run: `run(arrays, output_names)` returns the outputs by name.
        max_batch: most rows in a batch; a larger request runs alone. 1 switches batching off.
        max_waiting: most requests in the queue.
        count: `count(rows)` is called for every batch.
    """

    def __init__(self, run: Callable, max_batch: int, max_waiting: int, count: Callable[[int], None]):
        self._run, self._max_batch, self._max_waiting, self._count = run, max_batch, max_waiting, count
        self._lock, self._queue, self._busy = threading.Lock(), deque(), False

    def run(self, arrays: dict, output_names: tuple[str, ...], deadline: float) -> dict:
        """The outputs of one request by name, of inputs by name, each (rows, ...).

        Raises ServingError where the queue is full or the deadline (on the clock of time.monotonic)
        has passed, and whatever the model raises.
        """
        if self._max_batch == 1:
            return self._run(arrays, output_names)
        task = _Task(arrays, output_names)
        with self._lock:
            if len(self._queue) >= self._max_waiting:
                full = "The batch scheduling queue to which this task was submitted is full"
                raise ServingError("UNAVAILABLE", full)
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
        """Runs the batch at the head of the queue; then the next waiting request leads."""
        batch = self._next_batch()
        try:
            self._count(sum(task.rows or 1 for task in batch))
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

    def _next_batch(self) -> list[_Task]:
        """Takes the first request and those that fit into a batch with it from the queue."""
        with self._lock:
            first = self._queue.popleft()
            batch, rows, left = [first], first.rows or 0, deque()
            for task in self._queue:
                alike = first.rows and task.rows and task.key == first.key
                if alike and rows + task.rows <= self._max_batch:
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
            # One by one, so that a request on which the model fails does not fail the others.
            try:
                task.outputs = self._run(task.arrays, task.output_names)
            except BaseException as error:  # raised in the thread that waits for this request
                task.error = error

    def _answer_together(self, batch: list[_Task]) -> bool:
        """Runs the requests joined; False where that fails or the outputs cannot be divided by rows."""
        first = batch[0]
        joined = {name: np.concatenate([task.arrays[name] for task in batch]) for name in first.arrays}
        try:
            outputs = self._run(joined, first.output_names)
        except Exception:
            return False
        ends = np.cumsum([task.rows for task in batch])
        if any(not value.ndim or len(value) != ends[-1] for value in outputs.values()):
            return False
        for task, end in zip(batch, ends, strict=True):
            task.outputs = {name: value[end - task.rows : end] for name, value in outputs.items()}
        return True
