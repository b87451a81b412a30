"""Runs modules of this project in child processes: output to a log, a retry if killed, ended together.

A child writes its log and holds the lock of its study cell itself, so that it can finish its work even
if the process that started it is killed.
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

from mri_tf.core.command_line import INTERRUPTED, OUT_OF_TIME, SOME_SKIPPED
from mri_tf.core.deadline import NO_LIMIT, Deadline
from mri_tf.core.errors import OutOfTime
from mri_tf.core.system import INHERITS_LOCKS, cores, sigterm_interrupts

ATTEMPTS = 2  # if a process is killed; the second continues from its checkpoint
RECORDS, PATH = re.compile(r", records .*"), re.compile(r"\S*[/\\]\S*")  # removed for reports
_interrupted = threading.Event()
_running: set[subprocess.Popen] = set()
_starting = threading.Lock()  # no process starts while the running ones are ended


@dataclass(frozen=True)
class Child:
    """How a child process runs."""

    log: Path
    threads: int
    lock: int  # descriptor of the lock file that it holds
    deadline: Deadline = NO_LIMIT  # what is left of it is its --max-minutes


@contextmanager
def terminate_children():
    """Terminates the running children if the block ends early, by Ctrl-C, SIGTERM or an error."""
    _interrupted.clear()
    try:
        with sigterm_interrupts():
            yield
    except BaseException:
        with _starting:
            _interrupted.set()
            for process in _running:
                process.terminate()  # not SIGINT, which processes that a script starts with & ignore
        raise


def stop_if_interrupted() -> None:
    """Raises KeyboardInterrupt if the block of `terminate_children` has ended early."""
    if _interrupted.is_set():
        raise KeyboardInterrupt


def threads_each(workers: int) -> int:
    """Threads for each worker: the cores that this process may use, divided by the workers."""
    return max(1, cores() // workers)


def limited_to(threads: int) -> dict[str, str]:
    """Environment variables that limit a process to this many threads."""
    names = ("OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS")
    return dict.fromkeys(names, str(threads))


def run_module(arguments: list[str], child: Child) -> str:
    """Runs `python -m ARGUMENTS` to its end; returns why it failed, or an empty string.

    Raises OutOfTime if its time was over when it was to start, or if it stopped because of that.
    """
    environment = os.environ | limited_to(child.threads)
    for _ in range(ATTEMPTS):
        child.deadline.check("it was about to start")
        with child.log.open("ab") as log:
            start = log.tell()
            with _starting:
                stop_if_interrupted()
                process = subprocess.Popen(
                    [sys.executable, "-m", *arguments, *child.deadline.flags],
                    stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment,
                    pass_fds=(child.lock,) if INHERITS_LOCKS else (),
                )  # fmt: skip
                _running.add(process)
            code = process.wait()
            child.deadline.got_on = True
            with _starting:
                _running.discard(process)
        if _interrupted.is_set() or code in (INTERRUPTED, -signal.SIGINT):
            raise KeyboardInterrupt
        if code == OUT_OF_TIME and (line := _stopped(_output(child.log, start))):
            raise OutOfTime(line)
        if code in (0, SOME_SKIPPED):
            return ""
        if code >= 0:  # its log says why, and a second attempt would fail alike
            return _reason(_output(child.log, start), code, child.log.name)
    return f"killed by signal {-code}, {ATTEMPTS} times (out of memory?)"


def _output(log: Path, start: int) -> str:
    """What a process wrote to its log, from byte `start` on."""
    with log.open("rb") as file:
        file.seek(start)
        return file.read().decode(errors="replace")


def _stopped(output: str) -> str:
    """The line in which a process says that its time is over; empty if it says no such thing."""
    lines = output.splitlines()
    return next((line for line in lines if line.startswith(OutOfTime.FIRST_WORDS)), "")


def _reason(output: str, code: int, log: str) -> str:
    """The error line of a process without what may hold patient ids or paths, for reports.

    Left out are what an input error received and the text of an unexpected one; the log has them.
    """
    lines = output.splitlines()
    errors = [line.removeprefix("error: ") for line in lines if line.startswith("error: ")]
    if not errors:
        return f"exit code {code}, see {log} of the cell"
    rule, received, _ = errors[-1].partition(" Received: ")
    if rule.startswith("Unexpected "):
        return f"{rule.partition(':')[0]}, see {log} of the cell"
    reason = rule if received else rule.partition(". ")[0]
    return PATH.sub("...", RECORDS.sub("", reason)).rstrip(".")
