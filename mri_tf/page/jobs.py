"""The queue of studies, and the process that answers them: started, watched, replaced."""

import asyncio
import contextlib
import json
import os
import sys
import time
from dataclasses import dataclass

from mri_tf.core.command_line import TRACEBACK
from mri_tf.core.system import end_group, memory_bytes
from mri_tf.page.limits import MB, Limits
from mri_tf.page.sessions import ANSWERING, DONE, FAILED, PREPARING, QUEUED, Study

EVENT_BYTES = 64 << 20  # of one event: the rows of a case
START_S = 300.0  # until the process has imported what it needs
END_S = 5.0  # for its end, once it is killed
LOOK_S = 0.1  # between looks at its memory and at the clock
DIED = (
    "The process that reads files ended unexpectedly while it worked on this study. Received: perhaps "
    "a damaged file. Try again with fewer files; if it happens with every study, tell whoever runs the "
    "page."
)

NOT_STARTED = (
    "The process that reads files cannot be started on the page's machine. Received: {}. Try again in a "
    "moment; if it happens again, tell whoever runs the page."
)


@dataclass(frozen=True)
class Asked:
    """Where answers come from: a server's address and its token's file; both "": the exports on disk."""

    server: str = ""
    token_file: str = ""
    header: bool = False  # whether cases tell who and when


class Jobs:
    """Answers studies in the order in which they were asked for."""

    def __init__(self, limits: Limits, asked: Asked):
        self._limits, self._asked = limits, asked
        self._waiting: list[Study] = []
        self._now: Study | None = None
        self._process: asyncio.subprocess.Process | None = None
        self._ready = False
        self._answered = 0  # by this process
        self._wake = asyncio.Event()

    @property
    def pid(self) -> int | None:
        """Of the process that answers, if there is one."""
        return None if self._process is None else self._process.pid

    def add(self, study: Study) -> None:
        """Puts a study at the end of the queue."""
        study.state, study.sentence = QUEUED, "Waiting for other studies."
        self._waiting.append(study)
        self._wake.set()

    async def cancel(self, study: Study) -> None:
        """Takes a study out of the queue; one that is at work ends with its process."""
        if study in self._waiting:
            self._waiting.remove(study)
        elif study is self._now:
            await self._kill()

    async def run(self) -> None:
        """Answers until it is cancelled."""
        try:
            while True:
                failure = await self._start()
                if not self._waiting:
                    self._wake.clear()
                    await self._wake.wait()
                elif failure:
                    study = self._waiting.pop(0)
                    study.state, study.sentence = FAILED, NOT_STARTED.format(failure)
                else:
                    self._now = self._waiting.pop(0)
                    try:
                        await self._answer(self._now)
                    finally:
                        self._now = None
        finally:
            await self._kill()

    async def _start(self) -> str:
        """Starts the process where there is none, and lets it import what every study needs.

        Returns why the system does not start it: no memory, too many processes; "" where it runs.
        """
        if self._process is not None and self._process.returncode is None:
            return ""
        environment = {name: value for name, value in os.environ.items() if name != "MRI_TF_TOKEN"
                       or self._asked.server}  # fmt: skip
        stderr = None if os.environ.get(TRACEBACK) else asyncio.subprocess.DEVNULL
        self._ready, self._answered = False, 0
        try:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "mri_tf.page.worker", stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE, stderr=stderr, limit=EVENT_BYTES, env=environment,
                start_new_session=True,  # Ctrl-C is for the page, which then ends it
            )  # fmt: skip
        except OSError as error:
            return error.strerror or "an error of the system"
        return ""

    async def _answer(self, study: Study) -> None:
        """Asks the process for a study and follows what it tells."""
        limits = self._limits
        study.state, study.sentence = PREPARING, "Reading the files."
        process = self._process
        watch = _Watch(limits)
        looking = asyncio.create_task(self._look(process, watch))
        try:
            while not self._ready:
                event = await _event(process)
                self._ready = event is not None and event["event"] == "ready"
                if event is None:
                    break
            if self._ready:
                watch.begin()
                process.stdin.write(json.dumps(self._job(study)).encode() + b"\n")
                await process.stdin.drain()
            while self._ready and study.state not in (DONE, FAILED):
                event = await _event(process)
                if event is None:
                    break
                watch.seen()
                _follow(study, event)
        except (OSError, ValueError, KeyError, TypeError, asyncio.LimitOverrunError):
            pass  # it ended, or tells what cannot be: it is replaced below
        finally:
            looking.cancel()
        self._answered += 1
        if study.state not in (DONE, FAILED):
            study.state, study.sentence = FAILED, watch.why or DIED
            await self._kill()
        elif (
            self._answered >= limits.worker_studies
            or memory_bytes(process.pid) > limits.worker_bytes / 2
        ):
            await self._kill()  # a fresh one has its memory back

    async def _look(self, process, watch: "_Watch") -> None:
        """Ends the process where it takes too long or too much memory."""
        while process.returncode is None:
            await asyncio.sleep(LOOK_S)
            if watch.too_much(memory_bytes(process.pid)):
                end_group(process)
                return

    def _job(self, study: Study) -> dict:
        return {
            "input": str(study.inputs), "out": str(study.out),
            "model": str(study.model.folder.absolute()),
            "server": self._asked.server, "token_file": self._asked.token_file,
            "timeout_s": self._limits.case_s, "reading": study.readings is not None,
            "header": self._asked.header,
        }  # fmt: skip

    async def _kill(self) -> None:
        # Taken out first: a cancelled study's process may be ended by two tasks at a time.
        process, self._process = self._process, None
        if process is not None:
            end_group(process)
            process.stdin.close()
            # The end of its output may never come: a program that it started may hold the pipe open.
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(END_S):
                    await process.wait()
                    with contextlib.suppress(RuntimeError):  # the task that reads from it sees the end
                        await process.stdout.read()  # to the end, at which asyncio closes the pipe
            process._transport.close()  # asyncio has no public way to let go of a pipe that stays open


class _Watch:
    """The limits of a study at work; `why` says which one was passed."""

    def __init__(self, limits: Limits):
        self._limits, self.why = limits, ""
        self._last, self._most_s = time.monotonic(), START_S

    def begin(self) -> None:
        """The process has started: from now on cases are waited for."""
        self._last, self._most_s = time.monotonic(), self._limits.case_s

    def seen(self) -> None:
        """Something got on."""
        self._last = time.monotonic()

    def too_much(self, memory: int) -> bool:
        """Whether a limit is passed."""
        if time.monotonic() - self._last > self._most_s:
            self.why = (f"A case took longer than {self._most_s:.0f} s. Received: no answer until then. "
                        "Drop a smaller one, or start the page with a larger --timeout-s.")  # fmt: skip
        elif memory > self._limits.worker_bytes:
            self.why = (f"Reading these files took more than {self._limits.worker_bytes // MB} MB of "
                        "memory. Received: a file that unpacks to more. Drop smaller files, or start "
                        "the page with a larger --max-memory-mb.")  # fmt: skip
        return bool(self.why)


async def _event(process) -> dict | None:
    """The next event; None where the process has ended."""
    line = await process.stdout.readline()
    return json.loads(line) if line.endswith(b"\n") else None


def _follow(study: Study, event: dict) -> None:
    """What an event changes in a study."""
    kind = event["event"]
    if kind == "listed":
        study.state, study.of, study.sentence = ANSWERING, int(event["of"]), ""
    elif kind == "case":
        study.cases[str(event["case"]["id"])] = event["case"]
    elif kind == "progress":
        study.done = int(event["done"])
    elif kind == "finished":
        study.skipped, study.about, study.state = event["skipped"], event["about"], DONE
    elif kind == "failed":
        study.state, study.sentence = FAILED, str(event["sentence"])
