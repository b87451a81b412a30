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

from mri_tf.core.errors import InputError, RunFailed, install_hint
from mri_tf.core.subprocesses import limited_to, threads_each


class _InThisProcess(concurrent.futures.Executor):
    """The executor of one worker: runs each call in this process when it is submitted."""

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
    """An executor for calls that each start a process and wait for it: threads, or a Dask cluster."""
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
    """Yields function(item) in the order of the items.

    At most `ahead` results are waited for at a time, which bounds the memory. Raises RunFailed if a
    worker dies (killed, or out of memory).
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
            "Finished work is kept; run the same command again with fewer --workers.",
        ) from None
    finally:
        for future in waiting:
            future.cancel()


def _start_worker(workers: int) -> None:
    # Ctrl-C reaches all processes, but only the parent handles it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    for name, threads in limited_to(threads_each(workers)).items():
        os.environ.setdefault(name, threads)


def _end_with_parent() -> None:
    """Without it the workers of a parent that was killed would wait for work forever."""
    multiprocessing.parent_process().join()
    os._exit(1)


def _dask_client(address: str):
    try:
        from distributed import Client
    except ImportError:
        raise InputError(
            "--scheduler needs Dask, which is not installed.", address,
            install_hint("cluster"),
        ) from None
    try:
        return Client(address, timeout="10s")
    except (OSError, ValueError) as error:
        raise InputError(
            "No Dask scheduler answers at the --scheduler address.",
            f"{address} ({type(error).__name__})",
            "Start one with `dask scheduler` and give its address, such as tcp://127.0.0.1:8786.",
        ) from None
