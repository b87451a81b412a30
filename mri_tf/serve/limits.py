"""What a client may take: bytes, time and places; and how a body is read within that."""

import asyncio
import hmac
import threading
import zlib
from dataclasses import dataclass

from mri_tf.serve.status import ServingError, invalid

PIECE = 1 << 20
TOO_LARGE = 413


@dataclass(frozen=True)
class Settings:
    """The server's limits; `held_bytes` is for the bodies of all REST requests together."""

    body_bytes: int = 64 << 20
    decompressed_bytes: int = 128 << 20
    held_bytes: int = 1 << 30
    timeout_s: float = 60.0
    head_s: float = 10.0
    max_batch: int = 32
    max_waiting: int = 1000
    max_connections: int = 2000
    threads: int = 32
    poll_s: float = 1.0
    token: str = ""


class Budget:
    """Bytes that all requests share; `take` raises ServingError when they are used up."""

    def __init__(self, size: int):
        self._left, self._lock = size, threading.Lock()

    def take(self, count: int) -> None:
        with self._lock:
            if count > self._left:
                raise ServingError("RESOURCE_EXHAUSTED", "Too much is being sent at the moment")
            self._left -= count

    def give_back(self, count: int) -> None:
        with self._lock:
            self._left += count


class Held:
    """The part of a budget that one request holds; all of it is given back at the end.

    A thread that still works for a request that was given up gets nothing more.
    """

    def __init__(self, budget: Budget):
        self._budget, self._count, self._ended, self._lock = budget, 0, False, threading.Lock()

    def take(self, count: int) -> None:
        with self._lock:
            if self._ended:
                raise ServingError("CANCELLED", "Nobody waits for this any more")
            self._budget.take(count)
            self._count += count

    def __enter__(self) -> "Held":
        return self

    def __exit__(self, *_) -> None:
        with self._lock:
            self._ended = True
            self._budget.give_back(self._count)


async def read_body(stream, headers, settings: Settings, held: Held) -> bytes:
    """The whole body, as sent; raises ServingError where it is too large or too slow.

    `stream` yields pieces; `headers` has lower-case names.
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
        raise ServingError("DEADLINE_EXCEEDED", "The body came too slowly", http=408) from None
    return b"".join(pieces)


def decompressed(body: bytes, encoding: str, settings: Settings, held: Held) -> bytes:
    """The body behind Content-Encoding (gzip or nothing); raises ServingError.

    No more is unpacked than the limit allows, whatever the body would give.
    """
    if encoding in ("", "identity"):
        return body
    if encoding not in ("gzip", "x-gzip"):
        raise ServingError("INVALID_ARGUMENT", "Content-Encoding is gzip or identity", http=415)
    pieces, size = [], 0
    try:
        while body:  # a gzip file is one member or several
            unpacker = zlib.decompressobj(wbits=31)
            while not unpacker.eof:
                piece = unpacker.decompress(body, PIECE)
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


def check_token(given: str | None, settings: Settings) -> None:
    """Raises ServingError unless `given` is `Bearer <token>`, where the server has one."""
    if not settings.token:
        return
    kind, _, token = (given or "").partition(" ")
    right = hmac.compare_digest(token.strip().encode(), settings.token.encode())
    if kind.lower() != "bearer" or not right:
        raise ServingError("UNAUTHENTICATED", "This server needs: Authorization: Bearer TOKEN")


def _too_large(limit: int) -> ServingError:
    return ServingError("RESOURCE_EXHAUSTED", f"The body is larger than {limit} bytes", TOO_LARGE)
