"""uvicorn with a time limit on slow requests, and a stop that loses no accepted request."""

import asyncio
import contextlib
import functools
import socket

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

LAST_REQUESTS_S = 3.0  # longest wait for the last requests of open connections


def http_server(app, settings) -> "HttpServer":
    """A server for an ASGI application; `serve(sockets=[...])` runs it in an event loop."""

    class Protocol(TimedProtocol):
        head_s = settings.head_s

    config = uvicorn.Config(
        app, http=Protocol, ws="none", lifespan="off", backlog=2048,
        log_config=None, log_level="critical", access_log=False,
        server_header=False, date_header=False, limit_concurrency=settings.max_connections,
        timeout_keep_alive=60, timeout_graceful_shutdown=int(settings.timeout_s) + 1,
    )  # fmt: skip
    return HttpServer(config)


class TimedProtocol(H11Protocol):
    """Closes a connection where the head of the next request is not complete after `head_s` seconds.

    uvicorn's own timer ends with the first byte: a request line that comes byte by byte would hold a
    connection for ever.
    """

    head_s = 10.0
    _timer = None

    def connection_made(self, transport) -> None:
        super().connection_made(transport)
        self._start_timer()

    def handle_events(self) -> None:
        before = self.cycle
        super().handle_events()
        if self.cycle is not before and not self.cycle.response_complete:
            self._stop_timer()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._start_timer()

    def connection_lost(self, exc) -> None:
        self._stop_timer()
        super().connection_lost(exc)

    def _start_timer(self) -> None:
        self._stop_timer()
        self._timer = self.loop.call_later(self.head_s, self._close_if_idle)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()

    def _close_if_idle(self) -> None:
        if not self.transport.is_closing() and (self.cycle is None or self.cycle.response_complete):
            self.transport.abort()


class HttpServer(uvicorn.Server):
    """On a stop refuses new connections, waits for requests on their way, then closes the rest."""

    @contextlib.contextmanager
    def capture_signals(self):
        yield  # the command handles signals, for both interfaces

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        loop = asyncio.get_running_loop()
        accepted = []
        for listener in sockets or []:
            loop.remove_reader(listener.fileno())
        # asyncio gives a connection that it has accepted its protocol one turn of the loop later, and
        # drops it where its server was closed in between.
        await asyncio.sleep(0)
        for listener in sockets or []:
            # Connections that the kernel has made are accepted: closing the listener would reset them.
            with contextlib.suppress(BlockingIOError):
                while True:
                    accepted.append(listener.accept()[0])
        for server in self.servers:
            server.close()
        state = dict(server_state=self.server_state, app_state=self.lifespan.state)
        protocol = functools.partial(self.config.http_protocol_class, config=self.config, **state)
        for connection in accepted:
            connection.setblocking(False)
            await loop.connect_accepted_socket(protocol, connection)
        # A client that was answered before the stop may have sent its next request. Answers from this
        # point on close their connection.
        deadline = loop.time() + LAST_REQUESTS_S
        while self.server_state.connections and loop.time() < deadline and not self.force_exit:
            await asyncio.sleep(0.05)
        await super().shutdown(sockets)


def listen(host: str, port: int) -> socket.socket:
    """A listening socket; raises OSError where the address is in use or not this machine's."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.create_server((host, port), family=family, backlog=2048)
    # asyncio sets it only on sockets made with an explicit protocol; accepted sockets inherit it.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    listener.setblocking(False)
    return listener
