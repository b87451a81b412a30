"""Streams an uploaded file to the disk, within limits; what does not arrive leaves nothing."""

import asyncio
import contextlib
import errno
import os
import secrets
import shutil
import time
from pathlib import Path

from starlette.requests import Request

from mri_tf.page.limits import MB, Limits
from mri_tf.page.refused import Refused, unknown
from mri_tf.page.sessions import UPLOADING, Session, Sessions, Study, no_space
from mri_tf.page.upload_paths import is_junk, upload_path
from mri_tf.page.zips import is_zip, unpack

BLOCK_BYTES = 1 << 20  # written at once
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
RAW_TYPES = ("", "application/octet-stream", "application/zip", "application/x-zip-compressed",
             "application/gzip", "application/x-gzip", "application/dicom")  # fmt: skip


class Uploads:
    """Takes the files of studies."""

    def __init__(self, sessions: Sessions, limits: Limits):
        self._sessions, self._limits = sessions, limits
        self._unpacking = asyncio.Lock()  # one archive at a time

    async def receive(self, request: Request, session: Session, study: Study) -> None:
        """Takes the file in the body of a request into a study; raises Refused."""
        parts = upload_path(request.query_params.get("path", ""))
        self._check(request, session, study)
        partial = study.partial / secrets.token_hex(8)
        study.uploading += 1
        try:
            with _Share(self._sessions, study) as share:
                share.take(1, 0)
                await self._write(request, partial, share)
                if is_junk(parts):
                    return
                if parts[-1].lower().endswith(".zip") and is_zip(partial):
                    await self._unpack(partial, study, parts)
                    return  # the archive itself does not stay
                _place(partial, study, parts)
                share.keep()
        except OSError as error:
            if error.errno in FULL:
                raise no_space("the disk is full") from None
            if study.gone:
                raise unknown("study") from None
            raise
        finally:
            study.uploading -= 1
            with contextlib.suppress(OSError):
                partial.unlink(missing_ok=True)

    def _check(self, request: Request, session: Session, study: Study) -> None:
        """Raises Refused for an upload that need not be begun."""
        limits, declared = self._limits, request.headers.get("content-length", "")
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        encoded = request.headers.get("content-encoding", "identity").strip().lower() != "identity"
        if kind not in RAW_TYPES or encoded:
            raise Refused(415, "A file must be sent as raw bytes, without an encoding.",
                          "an encoded body" if encoded else kind[:60],
                          "Send its bytes as application/octet-stream.")  # fmt: skip
        if study.state != UPLOADING:
            raise Refused(409, "The study is already being answered.", "one more file",
                          "Drop it as another study.")  # fmt: skip
        if declared.isdigit() and int(declared) > limits.file_bytes:
            raise _too_large(limits)
        if sum(one.uploading for one in session.studies.values()) >= limits.uploads:
            raise Refused(429, f"At most {limits.uploads} files of a tab are taken at a time.",
                          "one more", "Send it when another one is done.")  # fmt: skip
        size = int(declared) if declared.isdigit() else 0
        if shutil.disk_usage(study.folder).free - size < limits.free_bytes:
            raise no_space("the disk is nearly full")

    async def _write(self, request: Request, partial: Path, share: "_Share") -> None:
        """Writes the body into a new file."""
        limits, seen, begun, block = self._limits, 0, time.monotonic(), bytearray()
        pieces = request.stream()
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
        with os.fdopen(os.open(partial, flags, 0o600), "wb", buffering=0) as file:
            while True:
                try:
                    piece = await asyncio.wait_for(anext(pieces, None), limits.stall_s)
                except TimeoutError:
                    raise _too_slow(limits) from None
                if piece is None:
                    break
                seen += len(piece)
                if seen > limits.file_bytes:
                    raise _too_large(limits)
                seconds = time.monotonic() - begun
                if seconds > limits.stall_s and seen < limits.least_bytes_s * seconds:
                    raise _too_slow(limits)
                share.take(0, len(piece))
                block += piece
                if len(block) >= BLOCK_BYTES:
                    await asyncio.to_thread(_write_all, file, block)
                    block.clear()
            _write_all(file, block)

    async def _unpack(self, archive: Path, study: Study, parts: tuple[str, ...]) -> None:
        """Unpacks an archive into a folder of its name."""
        into = archive.with_name(f"{archive.name}-files")
        into.mkdir(mode=0o700)
        try:
            async with self._unpacking:
                with _Share(self._sessions, study) as share:
                    await asyncio.to_thread(unpack, archive, into, self._limits, share.take)
                    _place(into, study, (*parts[:-1], parts[-1][: -len(".zip")] or "archive"))
                    share.keep()
        finally:
            await asyncio.to_thread(shutil.rmtree, into, True)


class _Share:
    """What a file takes of the limits; given back at the end of the block unless it is kept."""

    def __init__(self, sessions: Sessions, study: Study):
        self._sessions, self._study, self._kept = sessions, study, False
        self._files = self._size = 0

    def take(self, files: int, size: int) -> None:
        """Takes more; raises Refused where that is too much."""
        self._sessions.take(self._study, files, size)
        self._files += files
        self._size += size

    def keep(self) -> None:
        """What was taken stays taken, until the study is deleted."""
        self._kept = True

    def __enter__(self) -> "_Share":
        return self

    def __exit__(self, *_) -> None:
        if not self._kept:
            self._sessions.give_back(self._study, self._files, self._size)


def _place(found: Path, study: Study, parts: tuple[str, ...]) -> None:
    """Moves what has arrived to its place among the study's files; raises Refused."""
    if study.gone:
        raise unknown("study")
    target = study.inputs.joinpath(*parts)
    try:
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if os.path.lexists(target):
            raise FileExistsError
        found.rename(target)
    except (FileExistsError, NotADirectoryError):
        raise Refused(400, "There is a file or folder of this name already.", "/".join(parts)[:200],
                      "Drop every file once.") from None  # fmt: skip


def _write_all(file, block: bytearray) -> None:
    view = memoryview(block)
    while view:
        view = view[file.write(view) :]


def _too_large(limits: Limits) -> Refused:
    return Refused(413, f"A file can have at most {limits.file_bytes // MB} MB.", "a larger one",
                   "Leave it out, or start the page with a larger --max-file-mb.")  # fmt: skip


def _too_slow(limits: Limits) -> Refused:
    return Refused(408, "The upload is too slow.", f"hardly anything for {limits.stall_s:g} s",
                   "Try again.")  # fmt: skip
