"""uvicorn with what a server at an open door needs: patience with an end, and a stop without a loss."""

import asyncio
import contextlib
import socket

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

LAST_REQUESTS_S = 3.0  # at most, for connections that stay open


def http_server(app, settings) -> "HttpServer":
    """The server for an ASGI application; `serve(sockets=[...])` runs it in an event loop."""

    class Protocol(PatientProtocol):
        head_s = settings.head_s

    config = uvicorn.Config(
        app,
        http=Protocol,
        ws="none",
        lifespan="off",
        log_config=None,
        log_level="critical",
        access_log=False,
        server_header=False,
        date_header=False,
        limit_concurrency=settings.max_connections,
        timeout_keep_alive=60,
        timeout_graceful_shutdown=int(settings.timeout_s) + 1,
        backlog=2048,
    )
    return HttpServer(config)


class PatientProtocol(H11Protocol):
    """Closes a connection whose next request has not begun within `head_s` seconds.

    uvicorn's own timer stops at the first byte, so a request line sent byte by byte would hold a
    connection for ever. An idle connection between requests is closed by the same timer.
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
    """Stops in three steps: no new connections, a moment for requests on their way, then the rest."""

    @contextlib.contextmanager
    def capture_signals(self):
        yield  # the command handles them, for both interfaces

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        loop = asyncio.get_running_loop()
        waiting = []
        for listener in sockets or []:
            # Whoever connected before the door closes is let in: closing it would reset them.
            loop.remove_reader(listener.fileno())
            with contextlib.suppress(BlockingIOError):
                while True:
                    waiting.append(listener.accept()[0])
        for server in self.servers:
            server.close()
        for connection in waiting:
            connection.setblocking(False)
            await loop.connect_accepted_socket(self._protocol, connection)
        # A client that was answered before the stop may have its next request on the way; those that
        # are answered from now on are told that it was their last.
        end = loop.time() + LAST_REQUESTS_S
        while self.server_state.connections and loop.time() < end and not self.force_exit:
            await asyncio.sleep(0.05)
        await super().shutdown(sockets)

    def _protocol(self) -> asyncio.Protocol:
        return self.config.http_protocol_class(
            config=self.config, server_state=self.server_state, app_state=self.lifespan.state
        )


def listen(host: str, port: int) -> socket.socket:
    """A listening socket; raises OSError where the address is taken or is not this machine's."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.create_server((host, port), family=family, backlog=2048)
    # asyncio does this only for sockets made with their protocol named; accepted ones inherit it.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    listener.setblocking(False)
    return listener
