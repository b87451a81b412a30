"""Several processes on one search: this one serves KerasTuner's oracle to workers over loopback.

A worker that dies is started again under the same id, because KerasTuner hands an unfinished trial
only to the worker that began it.
"""

import os
import subprocess
import sys
import time
from concurrent import futures
from contextlib import contextmanager

import grpc
from keras_tuner.src import protos
from keras_tuner.src.distribute.oracle_chief import OracleServicer

from mri_tf.core.command_line import BAD_INPUT, DONE, FAILED, INTERRUPTED, OUT_OF_TIME
from mri_tf.core.deadline import Deadline
from mri_tf.core.errors import RunFailed
from mri_tf.core.subprocesses import limited_to, threads_each

RESTARTS = 3  # of each worker
SECONDS_BETWEEN_CHECKS = 0.5
ORACLE = {"KERASTUNER_ORACLE_IP": "127.0.0.1"}
TUNER_ID = "KERASTUNER_TUNER_ID"


def is_worker() -> bool:
    """Whether this process was started by `run_workers`."""
    return os.environ.get(TUNER_ID, "").startswith("worker-")


@contextmanager
def served(oracle):
    """KerasTuner's service of the oracle on a free port of loopback; yields the port.

    KerasTuner's `start_server` is not used: it checks only every 20 s whether it may end, and waits
    forever for dead workers.
    """
    server = grpc.server(futures.ThreadPoolExecutor(max_workers=1))
    protos.get_service_grpc().add_OracleServicer_to_server(OracleServicer(oracle), server)
    port = server.add_insecure_port(f"{ORACLE['KERASTUNER_ORACLE_IP']}:0")
    server.start()
    try:
        yield port
    finally:
        server.stop(grace=1).wait()


def run_workers(
    arguments: list[str], count: int, port: int, show_progress, deadline: Deadline
) -> bool:
    """Runs worker processes until the oracle has no more trials, or the deadline comes.

    Args:
        arguments: of `python -m tuning.search`.
        count: number of processes.
        port: of the oracle, from `served`.
        show_progress: called twice a second, without arguments.
        deadline: what is left of it when a worker starts is its --max-minutes.

    Returns:
        Whether a worker stopped because its time was over.

    Raises:
        RunFailed: a worker failed, or died more than RESTARTS times.
    """
    processes: dict[str, subprocess.Popen] = {}
    died = dict.fromkeys((f"worker-{number}" for number in range(count)), 0)
    out_of_time = False
    try:
        for name in died:
            processes[name] = _start(name, [*arguments, *deadline.flags], count, port)
        while processes:
            time.sleep(SECONDS_BETWEEN_CHECKS)
            show_progress()
            for name, process in list(processes.items()):
                code = process.poll()
                if code is None:
                    continue
                del processes[name]
                if code == INTERRUPTED:
                    raise KeyboardInterrupt
                stopped = code == OUT_OF_TIME and deadline.minutes is not None
                if code == DONE or stopped:
                    out_of_time |= stopped
                    continue
                died[name] += 1
                if code in (BAD_INPUT, FAILED) or died[name] > RESTARTS:
                    raise RunFailed(
                        f"A worker of the search ended {died[name]} times, last with code {code}.",
                        "Its messages are above; finished trials are kept.",
                    )
                processes[name] = _start(name, [*arguments, *deadline.flags], count, port)
        return out_of_time
    finally:
        for process in processes.values():
            process.terminate()
        for process in processes.values():
            process.wait()


def _start(name: str, arguments: list[str], count: int, port: int) -> subprocess.Popen:
    of_worker = {"KERASTUNER_ORACLE_PORT": str(port), TUNER_ID: name}
    environment = os.environ | ORACLE | of_worker | limited_to(threads_each(count))
    command = [sys.executable, "-m", "tuning.search", *arguments]
    return subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL)
