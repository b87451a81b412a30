"""Processes of this project run by another: retried when killed, their output in a log, ended together.

A child writes to a file and holds its cell's lock itself, so that it outlives a worker that is killed
and ends what it does.
"""

import os
import re
import signal
import subprocess
import sys
import threading
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from mri_tf.core.command_line import INTERRUPTED, SOME_SKIPPED

ATTEMPTS = 2  # of a process that was killed; it goes on from its checkpoint
RECORDS, PATH = re.compile(r", records .*"), re.compile(r"\S*/\S*")  # not for reports
_interrupted = threading.Event()
_running: set[subprocess.Popen] = set()
_starting = threading.Lock()  # no process starts while the running ones are ended


@dataclass(frozen=True)
class Child:
    """How a process runs: its log, its threads and the descriptor of the lock it holds."""

    log: Path
    threads: int
    lock: int


@contextmanager
def terminate_children():
    """What ends this block early, Ctrl-C or an error, also ends the processes of this process."""
    _interrupted.clear()
    try:
        yield
    except BaseException:
        with _starting:
            _interrupted.set()
            for process in _running:
                process.terminate()  # not SIGINT: what a script starts with & ignores that
        raise


def stop_if_interrupted() -> None:
    """Raises KeyboardInterrupt where the block of `terminate_children` has ended early."""
    if _interrupted.is_set():
        raise KeyboardInterrupt


def threads_each(workers: int) -> int:
    """Threads for each of so many workers: the cores that this process may use, divided."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return max(1, (cores or 1) // workers)


def limited_to(threads: int) -> dict[str, str]:
    """The environment of a process that computes with so many threads."""
    names = ("OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS")
    return dict.fromkeys(names, str(threads))


def run_module(arguments: list[str], child: Child) -> str:
    """Runs `python -m ARGUMENTS` to its end; returns why it failed, or nothing."""
    environment = os.environ | limited_to(child.threads)
    for _ in range(ATTEMPTS):
        with child.log.open("ab") as log:
            begun = log.tell()
            with _starting:
                stop_if_interrupted()
                process = subprocess.Popen(
                    [sys.executable, "-m", *arguments],
                    stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment,
                    pass_fds=(child.lock,),
                )  # fmt: skip
                _running.add(process)
            code = process.wait()
            with _starting:
                _running.discard(process)
        if _interrupted.is_set() or code in (INTERRUPTED, -signal.SIGINT):
            raise KeyboardInterrupt
        if code in (0, SOME_SKIPPED):
            return ""
        if code >= 0:  # it said why; a second attempt would say the same
            with child.log.open("rb") as log:
                log.seek(begun)
                return _reason(log.read().decode(errors="replace"), code, child.log.name)
    return f"killed by signal {-code}, {ATTEMPTS} times (out of memory?)"


def _reason(said: str, code: int, log: str) -> str:
    """The error line of a train process as reports may show it; the whole is in the cell's log.

    What an input error received, and the text of an unexpected one, may hold patient ids and paths.
    """
    errors = [line.removeprefix("error: ") for line in said.splitlines() if line.startswith("error: ")]
    if not errors:
        return f"exit code {code}, see {log} of the cell"
    rule, received, _ = errors[-1].partition(" Received: ")
    if rule.startswith("Unexpected "):
        return f"{rule.partition(':')[0]}, see {log} of the cell"
    what = rule if received else rule.partition(". ")[0]
    return PATH.sub("...", RECORDS.sub("", what)).rstrip(".")
