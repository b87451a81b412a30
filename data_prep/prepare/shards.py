"""Writes the shards of a prepared set so that a kill at any moment loses at most one case.

Everything goes to `<out>.partial`: records are appended to shards, and after each case a line of a
journal says what was written, up to which byte. A rerun cuts the last shard where the journal's last
whole line ends and continues; the folder gets its final name when all is written.
"""

import errno
import json
import os
import re
import shutil
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np

from data_prep.prepare.provenance import write_private
from mri_tf.core.errors import InputError, first_few
from mri_tf.core.hashing import content_hash
from mri_tf.core.system import RENAMES_OPEN_FILES, try_lock
from mri_tf.store.prepared import FRAME_HEAD_BYTES, FRAME_TAIL_BYTES, INDEX_COLUMNS, MANIFEST, PRIVATE
from mri_tf.store.record import Record, encode_example

SHARD_BYTES = 64 * 2**20
JOURNAL, FRAME = "journal.jsonl", "frame.tmp"
OWN_FILES = (JOURNAL, FRAME, MANIFEST, PRIVATE)
SHARD = re.compile(r"records-\d{5}\.tfrecord")


class ShardWriter:
    """Appends the records of cases, in order, to `<out>.partial` and its journal.

    Args:
        out: folder of the set, made by `finish`.
        identity: JSON; what an interrupted run wrote is kept only if it had the same.
        unchanged: whether the files of a case (number, state) are still those that were read.
        shard_bytes: size at which the next shard begins.
    """

    def __init__(
        self, out: Path, identity: dict, unchanged: Callable[[int, list], bool],
        shard_bytes: int = SHARD_BYTES,
    ):  # fmt: skip
        self.out, self.shard_bytes = Path(out).absolute(), shard_bytes
        self.partial = self.out.with_name(self.out.name + ".partial")
        self.index: dict[str, list] = {column: [] for column in INDEX_COLUMNS}
        self.skipped: dict[int, str] = {}  # number of a case -> reason
        self.case_of: list[int] = []  # number of each record's case
        self.record_form: dict = {}  # shape, dtype and mask of every record
        self.cases_done = 0
        self.states: list[list] = []  # of each case's files, to see later whether they changed
        self._shard_sizes: list[int] = []
        _check_is_ours(self.partial)
        self.partial.mkdir(parents=True, exist_ok=True)
        self._journal = (self.partial / JOURNAL).open("a+b")
        self._lock()
        identity_line = json.dumps({"identity": identity}, sort_keys=True).encode() + b"\n"
        self._continue(identity_line, unchanged)

    def add(self, records: list[Record], state: list) -> None:
        """Writes the records of the next case; each needs its record_id.

        `state` is JSON, by which `unchanged` recognises the case's files.
        """
        frames = [_framed(encode_example(record), self.partial) for record in records]
        if not self._shard_sizes or self._shard_sizes[-1] >= self.shard_bytes:
            self._shard_sizes.append(0)
        shard = len(self._shard_sizes) - 1
        offset = self._shard_sizes[shard]
        rows = []
        for record, frame in zip(records, frames, strict=True):
            data = memoryview(frame)[FRAME_HEAD_BYTES:-FRAME_TAIL_BYTES]
            rows.append(_index_row(record, shard, offset, data))
            self._check_form(record)
            offset += len(frame)
        with (self.partial / shard_name(shard)).open("ab") as file:
            file.write(b"".join(frames))
        form = self.record_form
        self._note({"rows": rows, "shard": shard, "end": offset, "form": form, "state": state})

    def skip(self, reason: str, state: list) -> None:
        """Notes that the next case gave no record."""
        self._note({"skipped": reason, "state": state})

    def finish(self, manifest: dict, private_rows: list[dict]) -> None:
        """Writes the manifest and the private sidecar and gives the folder its final name."""
        sizes = enumerate(self._shard_sizes)
        shards = [{"file": shard_name(shard), "bytes": size} for shard, size in sizes]
        whole = {**manifest, **self.record_form, "shards": shards, "index": self.index}
        write_private(self.partial / PRIVATE, private_rows)
        (self.partial / MANIFEST).write_text(json.dumps(whole, indent=1), encoding="utf-8")
        for file in self.partial.iterdir():
            with file.open("r+b") as opened:  # Windows flushes only what is open for writing
                os.fsync(opened.fileno())
        if not RENAMES_OPEN_FILES:
            self._journal.close()
        os.rename(self.partial, self.out)
        drop_journal(self.out)
        self._journal.close()  # which releases the lock

    def abandon(self) -> None:
        """Removes what was written."""
        self._journal.close()
        shutil.rmtree(self.partial, ignore_errors=True)

    def _lock(self) -> None:
        if not try_lock(self._journal):
            raise InputError(
                "Another process is preparing this set.", self.out,
                "Wait until it ends, or choose another --out folder.",
            )  # fmt: skip

    def _note(self, line: dict) -> None:
        """Writes a line of the journal and keeps what it says."""
        self._journal.write(json.dumps(line).encode() + b"\n")
        self._journal.flush()
        self._keep(line)

    def _keep(self, line: dict) -> None:
        """Keeps what a line of the journal says, of this run or of the one that it continues."""
        self.states.append(line["state"])
        if "skipped" in line:
            self.skipped[self.cases_done] = line["skipped"]
            self.cases_done += 1
            return
        while len(self._shard_sizes) <= line["shard"]:
            self._shard_sizes.append(0)
        for row in line["rows"]:
            for column, value in zip(INDEX_COLUMNS, row, strict=True):
                self.index[column].append(value)
            self.case_of.append(self.cases_done)
        self.record_form = line["form"]
        self._shard_sizes[line["shard"]] = line["end"]
        self.cases_done += 1

    def _check_form(self, record: Record) -> None:
        form = {
            "record_shape": list(record.image.shape),
            "image_dtype": record.image.dtype.name,
            "has_mask": record.mask is not None,
        }
        if self.record_form and self.record_form != form:
            raise AssertionError(f"the layout changed the form of records: {self.record_form}, {form}")
        self.record_form = form

    def _continue(self, identity_line: bytes, unchanged: Callable[[int, list], bool]) -> None:
        """Keeps what an interrupted run wrote for the same identity, as far as it is intact.

        A power cut may have torn the journal or the shards anywhere. So everything is written again
        from the first line on that cannot be read, whose records do not match their checksums, or whose
        case has other files now.
        """
        self._journal.seek(0)
        lines = self._journal.read().splitlines(keepends=True)
        kept_bytes = 0
        if lines and lines[0] == identity_line:
            kept_bytes = len(identity_line)
            for line in lines[1:]:
                values = _journal_values(line)
                if values is None or not self._records_are_whole(values):
                    break
                if not unchanged(self.cases_done, values["state"]):
                    break
                self._keep(values)
                kept_bytes += len(line)
        self._journal.truncate(kept_bytes)  # not written anew: a kill here loses nothing
        if not kept_bytes:
            self._journal.write(identity_line)  # goes to the end, as the file is open for appending
            self._journal.flush()
        for file in self.partial.iterdir():
            shard = int(file.stem.partition("-")[2]) if file.name.startswith("records-") else -1
            if 0 <= shard < len(self._shard_sizes):
                os.truncate(file, self._shard_sizes[shard])
            elif file.name != JOURNAL:
                file.unlink()

    def _records_are_whole(self, line: dict) -> bool:
        if "skipped" in line:
            return True
        file = self.partial / shard_name(line["shard"])
        if not file.is_file() or file.stat().st_size < line["end"]:
            return False
        with file.open("rb") as opened:
            for row in line["rows"]:
                values = dict(zip(INDEX_COLUMNS, row, strict=True))
                opened.seek(values["offset"])
                frame = opened.read(FRAME_HEAD_BYTES + values["length"] + FRAME_TAIL_BYTES)
                data = frame[FRAME_HEAD_BYTES:-FRAME_TAIL_BYTES]
                # The checksums in the frame too: a file may be torn within the last of them.
                if zlib.crc32(data) != values["crc32"] or _framed(data, self.partial) != frame:
                    return False
        return True


def begun(out: Path) -> bool:
    """Whether an interrupted preparation into `out` has left records to continue from."""
    partial = Path(out).absolute().with_name(f"{Path(out).absolute().name}.partial")
    journal = partial / JOURNAL
    return journal.is_file() and journal.read_bytes().count(b"\n") > 1  # the first line names the set


def _check_is_ours(partial: Path) -> None:
    """Raises InputError for a folder of unfinished work with other files, which would be removed."""
    if not os.path.lexists(partial):
        return
    others = [partial.name]
    if partial.is_dir():
        names = {path.name: path.is_file() for path in partial.iterdir()}
        others = sorted(
            name for name, is_file in names.items()
            if not is_file or not (name in OWN_FILES or SHARD.fullmatch(name))
        )  # fmt: skip
    if others:
        raise InputError(
            "The folder for unfinished work holds files of another kind.",
            f"{partial}: {first_few(others)}", "Move them away, or choose another --out folder.",
        )  # fmt: skip


def drop_journal(out: Path) -> None:
    """Removes the journal of a complete set; a kill just after its renaming leaves it behind."""
    (out / JOURNAL).unlink(missing_ok=True)


def _journal_values(line: bytes) -> dict | None:
    """The values of a line of the journal; None if it is torn."""
    try:
        values = json.loads(line)
        whole = line.endswith(b"\n") and isinstance(values, dict) and "state" in values
        return values if whole and ("skipped" in values or "form" in values) else None
    except ValueError:
        return None


def shard_name(shard: int) -> str:
    return f"records-{shard:05d}.tfrecord"


def _framed(data: bytes, folder: Path) -> bytes:
    """Data as TFRecord bytes (length, checksums, data), made by TensorFlow's writer."""
    import tensorflow as tf

    scratch = folder / FRAME
    try:
        with tf.io.TFRecordWriter(str(scratch)) as writer:
            writer.write(data)
    except (tf.errors.ResourceExhaustedError, tf.errors.OutOfRangeError):  # ENOSPC, EDQUOT; EFBIG
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)) from None
    frame = scratch.read_bytes()
    scratch.unlink()
    return frame


def _index_row(record: Record, shard: int, offset: int, data: memoryview) -> list:
    values = {
        "record_id": record.record_id,
        "patient": record.patient,
        "group": record.group,
        "split": record.split,
        "site": str(record.facts.get("site", "")),
        "label": int(record.label),
        "shard": shard,
        "offset": offset,
        "length": len(data),
        "crc32": zlib.crc32(data),
        "content": content_hash(np.asarray(record.own_slice)),
    }
    return [values[column] for column in INDEX_COLUMNS]
