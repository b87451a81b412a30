"""Runs a server in a thread of the test's process."""

import contextlib
import threading


@contextlib.contextmanager
def running_in_thread(server):
    """Yields a server with `run`, `ready` and `stop` when it is ready; afterwards it must have ended."""
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        assert server.ready.wait(60)
        yield server
    finally:
        server.stop()
        thread.join(60)
        assert not thread.is_alive()
