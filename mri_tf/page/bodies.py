"""Reads the bodies of requests: within a size and a time, as JSON objects with values of known types."""

import asyncio
import contextlib
import json

from starlette.requests import ClientDisconnect, Request

from mri_tf.page.limits import Limits
from mri_tf.page.refused import Refused

MOST_NAME = 80  # characters of a reader's name
SHOWN = 60  # characters of what was received, in sentences


async def read_body(request: Request, most: int, limits: Limits) -> bytes:
    """The body of at most `most` bytes; raises Refused (408, 413)."""
    body = bytearray()
    try:
        async with asyncio.timeout(limits.stall_s):
            async for piece in request.stream():
                body += piece
                if len(body) > most:
                    raise Refused(413, f"The body can have at most {most} bytes.", "more", "Send less.")
    except TimeoutError:
        raise Refused(408, "The request is too slow.", f"{len(body)} bytes", "Try again.") from None
    return bytes(body)


async def drain(request: Request, limits: Limits) -> None:
    """Reads on what is left of a refused body, for a while: a browser that is still sending would take
    the end of the connection for a failure, and never see why it was refused."""
    left = limits.drain_bytes
    with contextlib.suppress(TimeoutError, ClientDisconnect, RuntimeError):
        async with asyncio.timeout(limits.drain_s):
            async for piece in request.stream():
                left -= len(piece)
                if left < 0:
                    return


async def read_json(request: Request, limits: Limits) -> dict:
    """The JSON object in the body; raises Refused (400, 408, 413, 415)."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json":
        raise Refused(415, "This address takes JSON.", kind[:SHOWN] or "no content type",
                      "Send application/json.")  # fmt: skip
    body = await read_body(request, limits.json_bytes, limits)
    try:
        values = json.loads(body)
    except (ValueError, RecursionError):
        values = None
    if not isinstance(values, dict):
        raise Refused(400, "The body is not a JSON object.", f"{len(body)} bytes", "Send an object.")
    return values


def flag(values: dict, name: str) -> bool:
    """A value that is true or false, false where it is missing; raises Refused (400)."""
    value = values.get(name, False)
    if not isinstance(value, bool):
        raise Refused(400, f"{name} must be true or false.", repr(value)[:SHOWN], "Send a boolean.")
    return value


def reader_name(values: dict) -> str:
    """The name of a reader, "reader" where none is given; raises Refused (400)."""
    value = values.get("reader", "")
    if not isinstance(value, str) or len(value) > MOST_NAME or not (value == "" or value.isprintable()):
        raise Refused(400, f"A reader's name has at most {MOST_NAME} printable characters.",
                      repr(value)[:SHOWN], "Give another.")  # fmt: skip
    return value.strip() or "reader"
