"""Unpacks zip archives from strangers: within limits of real bytes, without links or path tricks."""

import lzma
import os
import stat
import struct
import time
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

from mri_tf.page.limits import MB, Limits
from mri_tf.page.refused import Refused
from mri_tf.page.upload_paths import is_junk, upload_path

PIECE_BYTES = 1 << 20
END, END64_LOCATOR, END64 = b"PK\x05\x06", b"PK\x06\x07", b"PK\x06\x06"
END_BYTES, COMMENT_BYTES = 22, 1 << 16
ENTRY_BYTES = 2048  # of the archive's list for each file: a path of PATH_BYTES and further fields
METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)  # those that every program writes


def is_zip(path: Path) -> bool:
    """Whether a file begins as a zip archive with files does."""
    with path.open("rb") as file:
        return file.read(4) == b"PK\x03\x04"


def unpack(archive: Path, into: Path, limits: Limits, take: Callable[[int, int], None]) -> int:
    """Unpacks an archive into an empty folder; archives inside it stay files.

    Args:
        archive: the file.
        into: the folder; what was unpacked before an error is for the caller to remove.
        limits: of files, of bytes for each byte of the archive, and of seconds.
        take: is told (files, bytes) before they are written; raises Refused where they are too many.

    Returns:
        The number of files.

    Raises:
        Refused: 400 for tricks, 413 for too much, 422 for a damaged archive.
    """
    _check_list(archive, limits)
    most = max(limits.ratio_from, archive.stat().st_size * limits.unpacked_ratio)
    end, count, seen = time.monotonic() + limits.unpack_s, 0, 0
    try:
        with zipfile.ZipFile(archive) as opened:
            entries = opened.infolist()
            for entry in entries:
                parts = _parts(entry)
                if entry.is_dir() or is_junk(parts):
                    continue
                take(1, 0)
                count += 1
                target = into.joinpath(*parts)
                target.parent.mkdir(parents=True, exist_ok=True)
                with opened.open(entry) as packed, _new(target) as file:
                    while piece := packed.read(PIECE_BYTES):
                        seen += len(piece)
                        if seen > most or time.monotonic() > end:
                            raise Refused(
                                413, "The archive unpacks to far more than an examination.",
                                f"over {seen // MB} MB", "Unpack it yourself, and drop its files.",
                            )  # fmt: skip
                        take(0, len(piece))
                        file.write(piece)
    except (FileExistsError, NotADirectoryError, IsADirectoryError):
        raise _trick("the archive names a file twice") from None
    except (zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, NotImplementedError,
            RuntimeError, ValueError, struct.error, UnicodeError) as error:  # fmt: skip
        raise _damaged(type(error).__name__) from None
    if not count:
        raise _damaged("no file in it")
    return count


def _parts(entry: zipfile.ZipInfo) -> tuple[str, ...]:
    """The path of an entry; raises Refused for a link, a device, a locked file and a path trick."""
    # zipfile cuts names at NUL and turns backslashes on Windows, so the name as it was stored counts.
    parts = upload_path(entry.orig_filename.removesuffix("/"))
    kind = stat.S_IFMT(entry.external_attr >> 16)
    if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
        raise _trick("the archive holds a link or a device")
    if entry.flag_bits & 1:
        raise Refused(422, "The archive is locked.", "a file that needs a password",
                      "Unpack it yourself, and drop its files.")  # fmt: skip
    if entry.compress_type not in METHODS:
        raise _damaged(f"compression method {entry.compress_type}")
    return parts


def _new(target: Path):
    """A file that must not exist yet; no link is followed."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL  # and of some systems only:
    flags |= getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
    return os.fdopen(os.open(target, flags, 0o600), "wb")


def _check_list(archive: Path, limits: Limits) -> None:
    """Raises Refused for an archive whose list of files, which is read as a whole, is too long."""
    count, size = _claimed(archive)
    if count > limits.files or size > max(count, 1) * ENTRY_BYTES:
        raise Refused(413, f"An archive can have at most {limits.files} files.",
                      f"{count}, or a longer list", "Drop fewer files at a time.")  # fmt: skip


def _claimed(archive: Path) -> tuple[int, int]:
    """How many files an archive says it has, and the bytes of their list."""
    with archive.open("rb") as file:
        length = file.seek(0, os.SEEK_END)
        start = max(0, length - END_BYTES - COMMENT_BYTES)
        file.seek(start)
        tail = file.read()
        place = tail.rfind(END)
        if place < 0 or len(tail) - place < END_BYTES:
            raise _damaged("no end")
        count, size = struct.unpack_from("<HI", tail, place + 10)
        locator = place - 20
        if locator >= 0 and tail[locator : locator + 4] == END64_LOCATOR:
            (offset,) = struct.unpack_from("<Q", tail, locator + 8)
            if offset != start + locator - 56:  # as every program writes it
                raise _damaged("no end")
            file.seek(offset)
            record = file.read(56)
            if record[:4] != END64:
                raise _damaged("no end")
            count, size = struct.unpack_from("<QQ", record, 32)
        if size > length:
            raise _damaged("a list longer than itself")
        return count, size


def _trick(what: str) -> Refused:
    return Refused(400, "The archive cannot be used.", what, "Unpack it yourself, and drop its files.")


def _damaged(what: str) -> Refused:
    return Refused(422, "The archive cannot be read.", what,
                   "Make it again, or drop the files themselves.")  # fmt: skip
