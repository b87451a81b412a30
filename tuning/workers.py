"""Several processes on one search: this one holds KerasTuner's oracle, workers ask it over loopback.

A worker that dies is started again under its own id: KerasTuner gives a worker's open trial only to
the worker it was given to.
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

from mri_tf.core.command_line import BAD_INPUT, FAILED, INTERRUPTED
from mri_tf.core.errors import RunFailed
from mri_tf.core.subprocesses import limited_to, threads_each

RESTARTS = 3  # of one worker
SECONDS_BETWEEN_LOOKS = 0.5
ORACLE = {"KERASTUNER_ORACLE_IP": "127.0.0.1"}
TUNER_ID = "KERASTUNER_TUNER_ID"


def is_worker() -> bool:
    """Whether this process was started by `run_workers`."""
    return os.environ.get(TUNER_ID, "").startswith("worker-")


@contextmanager
def served(oracle):
    """KerasTuner's own service of the oracle on a free port of loopback; yields the port.

    Not `start_server`, which looks every 20 s whether it may end and waits for dead workers for ever.
    """
    server = grpc.server(futures.ThreadPoolExecutor(max_workers=1))
    protos.get_service_grpc().add_OracleServicer_to_server(OracleServicer(oracle), server)
    port = server.add_insecure_port(f"{ORACLE['KERASTUNER_ORACLE_IP']}:0")
    server.start()
    try:
        yield port
    finally:
        server.stop(grace=1).wait()


def run_workers(arguments: list[str], count: int, port: int, look) -> None:
    """Runs `count` processes of `python -m tuning.search ARGUMENTS` until the oracle has no more trials.

    `look()` is called between looks at them. Raises RunFailed where one died too often.
    """
    processes: dict[str, subprocess.Popen] = {}
    died = dict.fromkeys((f"worker-{number}" for number in range(count)), 0)
    try:
        for name in died:
            processes[name] = _start(name, arguments, count, port)
        while processes:
            time.sleep(SECONDS_BETWEEN_LOOKS)
            look()
            for name, process in list(processes.items()):
                code = process.poll()
                if code is None:
                    continue
                del processes[name]
                if code == INTERRUPTED:
                    raise KeyboardInterrupt
                if code == 0:
                    continue
                died[name] += 1
                if code in (BAD_INPUT, FAILED) or died[name] > RESTARTS:
                    raise RunFailed(
                        f"A worker of the search ended {died[name]} times, last with code {code}.",
                        "What it said stands above; finished trials are kept.",
                    )
                processes[name] = _start(name, arguments, count, port)
    finally:
        for process in processes.values():
            process.terminate()
        for process in processes.values():
            process.wait()


def _start(name: str, arguments: list[str], count: int, port: int) -> subprocess.Popen:
    own = {"KERASTUNER_ORACLE_PORT": str(port), TUNER_ID: name}
    environment = os.environ | ORACLE | own | limited_to(threads_each(count))
    command = [sys.executable, "-m", "tuning.search", *arguments]
    return subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL)
