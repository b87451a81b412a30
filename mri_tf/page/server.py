"""Runs the page: listens, answers, and on a stop deletes everything that browsers have sent."""

import asyncio
import contextlib
import threading
from dataclasses import dataclass
from pathlib import Path

from mri_tf.core.errors import InputError
from mri_tf.page.app import PageApp
from mri_tf.page.guard import Guard
from mri_tf.page.jobs import Asked, Jobs
from mri_tf.page.limits import Limits
from mri_tf.page.sessions import Sessions
from mri_tf.serve.http_server import http_server, listen


@dataclass(frozen=True)
class PageOptions:
    """What the page serves: the folder of models, where answers come from, and what is kept."""

    models: Path
    asked: Asked = Asked()
    token: str = ""
    keep: Path | None = None
    folder: Path | None = None  # in which uploads lie until their tab closes; None: the system's


class PageServer:
    """The page on `host`; for port 0 a free one is taken, see `port`.

    `run` blocks until `stop` is called, from any thread. Raises InputError where the address is in use
    or not this machine's.
    """

    def __init__(self, options: PageOptions, limits: Limits, host: str, port: int, loopback: bool):
        try:
            self._listener = listen(host, port)
        except OSError as error:
            raise InputError(
                "Cannot listen at this address.", f"{host}:{port} ({' '.join(str(error).split())})",
                "Stop the program that uses it, or give another --page-port or --host.",
            ) from None  # fmt: skip
        self.port = self._listener.getsockname()[1]
        self.jobs = Jobs(limits, options.asked)
        self.sessions = Sessions(limits, self.jobs.cancel, options.folder)
        guard = Guard(options.token, loopback)
        self._app = PageApp(options.models, limits, guard, self.sessions, self.jobs, options.keep)
        self._limits, self.ready = limits, threading.Event()
        self._loop, self._stop_asked = None, None

    def run(self, when_ready=lambda: None) -> None:
        """Serves, and returns after `stop`."""
        try:
            asyncio.run(self._serve(when_ready))
        finally:
            self._listener.close()
            self.sessions.remove_folder()

    def stop(self) -> None:
        """Begins to stop; a second call does not wait for requests still at work."""
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._begin_to_stop)

    async def _serve(self, when_ready) -> None:
        self._loop, self._stop_asked = asyncio.get_running_loop(), asyncio.Event()
        self._http = http_server(self._app, self._limits)
        http = asyncio.create_task(self._http.serve(sockets=[self._listener]))
        others = [asyncio.create_task(self.jobs.run()), asyncio.create_task(self._app.sweep())]
        stop_asked = asyncio.create_task(self._stop_asked.wait())
        when_ready()
        self.ready.set()
        await asyncio.wait({http, stop_asked, *others}, return_when=asyncio.FIRST_COMPLETED)
        # Nothing that a page asks for must be done: a stop waits for no request.
        self._http.should_exit = self._http.force_exit = True
        for task in (*others, stop_asked):
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
        await http
        await self.sessions.end_all()

    def _begin_to_stop(self) -> None:
        self._stop_asked.set()
