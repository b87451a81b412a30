"""Where work runs: in this process, in spawned processes, or on a Dask cluster.

Workers are spawned, never forked: a fork after TensorFlow was used hangs.
"""

import concurrent.futures
import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager

from mri_tf.core.errors import InputError, RunFailed
from mri_tf.core.subprocesses import limited_to, threads_each


class _InThisProcess(concurrent.futures.Executor):
    """Runs each call when it is submitted; what one worker means."""

    def submit(self, function, /, *arguments):
        future: concurrent.futures.Future = concurrent.futures.Future()
        try:
            future.set_result(function(*arguments))
        except Exception as error:
            future.set_exception(error)
        return future


@contextmanager
def executor(workers: int, scheduler: str = "") -> Iterator[concurrent.futures.Executor]:
    """An executor of `workers` local processes, or of the Dask cluster at `scheduler`.

    Raises InputError if the cluster's client is not installed or does not answer.
    """
    if scheduler:
        with _dask_client(scheduler) as client:
            # pure=False: the same call twice is two tasks; results are not shared by their hash.
            yield client.get_executor(pure=False)
    elif workers == 1:
        yield _InThisProcess()
    else:
        context = multiprocessing.get_context("spawn")
        pool = concurrent.futures.ProcessPoolExecutor(
            workers, mp_context=context, initializer=_start_worker, initargs=(workers,)
        )
        try:
            yield pool
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


@contextmanager
def cell_executor(workers: int, scheduler: str = "") -> Iterator[concurrent.futures.Executor]:
    """An executor for calls that wait for a process of their own: threads, or a Dask cluster."""
    if scheduler:
        with executor(workers, scheduler) as pool:
            yield pool
        return
    pool = concurrent.futures.ThreadPoolExecutor(workers)
    try:
        yield pool
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def map_in_order(
    pool: concurrent.futures.Executor, function: Callable, items: Iterable, ahead: int
) -> Iterator:
    """Results in the order of the items; at most `ahead` wait, so memory stays flat.

    Raises RunFailed if a worker dies (killed, or out of memory).
    """
    waiting: deque[concurrent.futures.Future] = deque()
    try:
        for item in items:
            waiting.append(pool.submit(function, item))
            if len(waiting) >= ahead:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    except BrokenProcessPool:
        raise RunFailed(
            "A worker process died (killed, or out of memory).",
            "What was finished is kept; run the same command again, with fewer --workers.",
        ) from None
    finally:
        for future in waiting:
            future.cancel()


def _start_worker(workers: int) -> None:
    # Ctrl-C reaches the whole group; the parent alone answers it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    for name, threads in limited_to(threads_each(workers)).items():
        os.environ.setdefault(name, threads)


def _end_with_parent() -> None:
    """A parent that is killed cannot stop its workers: they would wait for work for ever."""
    multiprocessing.parent_process().join()
    os._exit(1)


def _dask_client(address: str):
    try:
        from distributed import Client
    except ImportError:
        raise InputError(
            "--scheduler needs the Dask client.", address, "Install it: pip install mri_tf[cluster]."
        ) from None
    try:
        return Client(address, timeout="10s")
    except (OSError, ValueError) as error:
        raise InputError(
            "--scheduler takes the address of a running Dask scheduler.",
            f"{address} ({type(error).__name__})",
            "Start one with `dask scheduler`, for example tcp://127.0.0.1:8786.",
        ) from None
