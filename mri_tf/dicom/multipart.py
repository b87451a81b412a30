"""Reads the parts of a multipart/related body as they arrive (RFC 2046, 5.1)."""

from collections.abc import Callable, Iterator

READ_AT_ONCE = 2**16  # bytes
MOST_HEADER_BYTES = 2**14  # of a part


class Cut(Exception):
    """The body ended before its last boundary."""


def parts_of(read: Callable[[int], bytes], boundary: bytes) -> Iterator[Iterator[bytes]]:
    """Yields each part as an iterator over the pieces of its content, in the order they arrive.

    Args:
        read: gives at most so many bytes, none at the end.
        boundary: of the Content-Type header.

    Raises:
        Cut: the body ends within a part, or without its last boundary.
        ValueError: it is no multipart body.
    """
    body = _Body(read, b"\r\n--" + boundary)
    for piece in body.until_boundary():  # what stands before the first part is ignored
        del piece
    while body.begins_part():
        pieces = body.until_boundary()
        yield pieces
        for piece in pieces:  # what the caller left
            del piece


class _Body:
    def __init__(self, read: Callable[[int], bytes], delimiter: bytes):
        self._read, self._delimiter = read, delimiter
        self._held = b"\r\n"  # the first boundary may be at the very beginning

    def until_boundary(self) -> Iterator[bytes]:
        """The bytes before the next boundary, which is passed."""
        while (at := self._held.find(self._delimiter)) < 0:
            sure = len(self._held) - len(self._delimiter) + 1  # the rest may begin a boundary
            if sure > 0:
                yield self._held[:sure]
                self._held = self._held[sure:]
            self._more()
        if at:
            yield self._held[:at]
        self._held = self._held[at + len(self._delimiter) :]

    def begins_part(self) -> bool:
        """Whether the boundary just passed begins a part, whose headers are passed as well."""
        while len(self._held) < 2:
            self._more()
        if self._held.startswith(b"--"):
            return False
        while (at := self._held.find(b"\r\n\r\n")) < 0:
            if len(self._held) > MOST_HEADER_BYTES:
                raise ValueError("the headers of a part have no end")
            self._more()
        self._held = self._held[at + 4 :]
        return True

    def _more(self) -> None:
        found = self._read(READ_AT_ONCE)
        if not found:
            raise Cut
        self._held += found
