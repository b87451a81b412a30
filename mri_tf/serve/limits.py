"""Limits on what a client may use, how a request body is read within them, and bearer tokens."""

import asyncio
import threading
import zlib
from dataclasses import dataclass

from mri_tf.serve.access import brings_token
from mri_tf.serve.status import ServingError, invalid

PIECE_BYTES = 1 << 20  # unpacked at once


@dataclass(frozen=True)
class Settings:
    """The server's limits."""

    body_bytes: int = 64 << 20  # of one request, as sent
    decompressed_bytes: int = 128 << 20  # of one request, unpacked
    held_bytes: int = 1 << 30  # of all REST requests together
    timeout_s: float = 60.0  # for one request
    head_s: float = 10.0  # until the head of the next request is complete
    max_batch: int = 32  # rows
    max_waiting: int = 1000  # requests in a queue
    max_connections: int = 2000
    threads: int = 32  # of each interface
    poll_s: float = 1.0  # between looks at the folder of models
    token: str = ""  # that requests must bring
    engine: str = "tensorflow"  # that runs the models, see `mri_tf.engines`


class Budget:
    """Memory for the bodies of all requests; `take` raises ServingError where it is used up."""

    def __init__(self, size: int):
        self._left, self._lock = size, threading.Lock()

    def take(self, count: int) -> None:
        with self._lock:
            if count > self._left:
                raise ServingError("RESOURCE_EXHAUSTED", "The server is too busy; try again later")
            self._left -= count

    def give_back(self, count: int) -> None:
        with self._lock:
            self._left += count


class Held:
    """The share of a budget that one request uses; a context manager that gives all of it back.

    After that `take` is refused, so that a thread still at work on a request that timed out stops.
    """

    def __init__(self, budget: Budget):
        self._budget, self._count, self._ended, self._lock = budget, 0, False, threading.Lock()

    def take(self, count: int) -> None:
        with self._lock:
            if self._ended:
                raise ServingError("CANCELLED", "The request has already ended")
            self._budget.take(count)
            self._count += count

    def __enter__(self) -> "Held":
        return self

    def __exit__(self, *_) -> None:
        with self._lock:
            self._ended = True
            self._budget.give_back(self._count)


async def read_body(stream, headers, settings: Settings, held: Held) -> bytes:
    """The request body as it was sent; raises ServingError where it is too large or too slow.

    `stream` yields pieces of bytes; the names in `headers` are lower-case.
    """
    declared = headers.get("content-length", "0")
    if declared.isdigit() and int(declared) > settings.body_bytes:
        raise _too_large(settings.body_bytes)
    pieces, size = [], 0
    try:
        async with asyncio.timeout(settings.timeout_s):
            async for piece in stream:
                size += len(piece)
                if size > settings.body_bytes:
                    raise _too_large(settings.body_bytes)
                held.take(len(piece))
                pieces.append(piece)
    except TimeoutError:
        message = "Timed out waiting for the request body"
        raise ServingError("DEADLINE_EXCEEDED", message, http=408) from None
    return b"".join(pieces)


def decompressed(body: bytes, encoding: str, settings: Settings, held: Held) -> bytes:
    """Unpacks a body by its Content-Encoding, gzip or none; raises ServingError.

    Unpacking stops at the limit, so that a small body cannot fill the memory.
    """
    if encoding in ("", "identity"):
        return body
    if encoding not in ("gzip", "x-gzip"):
        raise ServingError("INVALID_ARGUMENT", "Content-Encoding must be gzip or identity", http=415)
    pieces, size = [], 0
    try:
        while body:  # a gzip file is one member or several
            unpacker = zlib.decompressobj(wbits=31)
            while not unpacker.eof:
                piece = unpacker.decompress(body, PIECE_BYTES)
                body = unpacker.unconsumed_tail
                if not piece and not body and not unpacker.eof:
                    raise zlib.error("ends early")
                size += len(piece)
                if size > settings.decompressed_bytes:
                    raise _too_large(settings.decompressed_bytes)
                held.take(len(piece))
                pieces.append(piece)
            body = unpacker.unused_data
    except zlib.error:
        raise invalid("Failed to decompress the gzip body") from None
    return b"".join(pieces)


def check_token(authorization: str | None, settings: Settings) -> None:
    """Raises ServingError unless the header Authorization brings the server's token, if it has one."""
    if not brings_token(authorization or "", settings.token):
        raise ServingError("UNAUTHENTICATED", "Send the header Authorization: Bearer TOKEN")


def _too_large(limit: int) -> ServingError:
    return ServingError("RESOURCE_EXHAUSTED", f"The body is larger than {limit} bytes", http=413)
