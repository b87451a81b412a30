"""Both interfaces over one folder of models: started together, stopped without losing a request."""

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

LAST_CALLS_S = 0.5  # gRPC calls that are on their way when the stop begins


class Server:
    """REST and gRPC on `host`; port 0 takes a free one, told by `rest_port` and `grpc_port`.

    `run` blocks until `stop` (from any thread) and what was accepted is answered. Raises
    InputError where the folder or an address cannot be had.
    """

    def __init__(self, root: Path, settings: Settings, host: str, rest_port: int, grpc_port: int):
        if not Path(root).is_dir():
            raise InputError(
                "--models is a folder with <model>/<version>/saved_model.pb.",
                root,
                "Write one with python -m mri_tf.export.",
            )
        metrics, self._stopping = Metrics(), threading.Event()
        self.models = Models(root, settings, metrics)
        self._settings = settings
        self._rest = Rest(self.models, settings, metrics, self._stopping)
        where = f"[{host}]" if ":" in host else host
        try:
            self._listener = listen(host, rest_port)
        except OSError as error:
            raise _taken(f"{where}:{rest_port}", error) from None
        try:
            self._grpc, self.grpc_port = rpc_server(
                self.models, settings, metrics, self._stopping, f"{where}:{grpc_port}"
            )
        except RuntimeError as error:
            self._listener.close()
            raise _taken(f"{where}:{grpc_port}", error) from None
        self.rest_port = self._listener.getsockname()[1]
        self.ready = threading.Event()
        self._loop, self._asked = None, None

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
        """Begins to stop; a second call gives up on what is still running."""
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._begin_to_stop)

    async def _serve(self, when_ready) -> None:
        self._loop, self._asked = asyncio.get_running_loop(), asyncio.Event()
        self._http = http_server(self._rest, self._settings)
        self._grpc.start()
        http = asyncio.create_task(self._http.serve(sockets=[self._listener]))
        asked = asyncio.create_task(self._asked.wait())
        when_ready()
        self.ready.set()
        await asyncio.wait({http, asked}, return_when=asyncio.FIRST_COMPLETED)
        self._stopping.set()
        self._http.should_exit = True
        await asyncio.sleep(LAST_CALLS_S)
        answered = self._grpc.stop(self._settings.timeout_s)
        await http
        await asyncio.to_thread(answered.wait)
        asked.cancel()

    def _begin_to_stop(self) -> None:
        if self._asked.is_set():
            self._http.force_exit = True
            self._grpc.stop(0)
        self._asked.set()


def _taken(address: str, error: Exception) -> InputError:
    return InputError(
        "The server needs a free address of this machine.",
        f"{address} ({' '.join(str(error).split())})",
        "Stop what is listening there, or give another --rest-port, --grpc-port or --host.",
    )
