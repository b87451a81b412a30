"""Runs the REST and gRPC interfaces over a folder of models and stops them without losing a request."""

import asyncio
import threading
from pathlib import Path

from mri_tf.core.errors import InputError
from mri_tf.serve.http_server import http_server, listen
from mri_tf.serve.limits import Settings
from mri_tf.serve.models import Models
from mri_tf.serve.monitoring import Metrics
from mri_tf.serve.rest import Rest
from mri_tf.serve.rpc import rpc_server

LAST_CALLS_S = 0.5  # wait for gRPC calls that are on their way when the stop begins


class Server:
    """REST and gRPC on `host`; for port 0 a free one is taken: see `rest_port` and `grpc_port`.

    `run` blocks until `stop` is called, from any thread, and accepted requests are answered. Raises
    InputError where `root` is no folder, or an address is in use or not this machine's.
    """

    def __init__(self, root: Path, settings: Settings, host: str, rest_port: int, grpc_port: int):
        if not Path(root).is_dir():
            raise InputError(
                "The path given with --models is not a folder.", root,
                "Give a folder with <model>/<version>/saved_model.pb, as mri_tf.export writes it.",
            )  # fmt: skip
        metrics, self._stopping = Metrics(), threading.Event()
        self.models = Models(root, settings, metrics)
        self._settings = settings
        self._rest = Rest(self.models, settings, metrics, self._stopping)
        url_host = f"[{host}]" if ":" in host else host
        try:
            self._listener = listen(host, rest_port)
        except OSError as error:
            raise _cannot_listen(f"{url_host}:{rest_port}", error) from None
        try:
            self._grpc, self.grpc_port = rpc_server(
                self.models, settings, metrics, self._stopping, f"{url_host}:{grpc_port}"
            )
        except RuntimeError as error:
            self._listener.close()
            raise _cannot_listen(f"{url_host}:{grpc_port}", error) from None
        self.rest_port = self._listener.getsockname()[1]
        self.ready = threading.Event()
        self._loop, self._stop_asked = None, None

    def run(self, when_ready=lambda: None) -> None:
        """Loads the models, serves, and returns after `stop`."""
        try:
            self.models.watch()
            asyncio.run(self._serve(when_ready))
        finally:
            self._listener.close()
            self._grpc.stop(0)
            self._rest.close()
            self.models.close()

    def stop(self) -> None:
        """Begins to stop; a second call does not wait for requests still at work."""
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._begin_to_stop)

    async def _serve(self, when_ready) -> None:
        self._loop, self._stop_asked = asyncio.get_running_loop(), asyncio.Event()
        self._http = http_server(self._rest, self._settings)
        self._grpc.start()
        http = asyncio.create_task(self._http.serve(sockets=[self._listener]))
        stop_asked = asyncio.create_task(self._stop_asked.wait())
        when_ready()
        self.ready.set()
        await asyncio.wait({http, stop_asked}, return_when=asyncio.FIRST_COMPLETED)
        self._stopping.set()
        self._http.should_exit = True
        await asyncio.sleep(LAST_CALLS_S)
        calls_ended = self._grpc.stop(self._settings.timeout_s)
        await http
        await asyncio.to_thread(calls_ended.wait)
        stop_asked.cancel()

    def _begin_to_stop(self) -> None:
        if self._stop_asked.is_set():
            self._http.force_exit = True
            self._grpc.stop(0)
        self._stop_asked.set()


def _cannot_listen(address: str, error: Exception) -> InputError:
    return InputError(
        "Cannot listen at this address.", f"{address} ({' '.join(str(error).split())})",
        "Stop the program that uses it, or give another --rest-port, --grpc-port or --host.",
    )  # fmt: skip
