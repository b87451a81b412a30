"""Writes the shards of a prepared set so that a kill at any moment loses at most one source.

Everything goes to `<out>.partial`: shards are appended to, and after each source one line of a
journal says what was written up to which byte. A rerun cuts the last shard at the journal's last
whole line and goes on; the folder gets its final name when all is done.
"""

import csv
import json
import os
import shutil
import zlib
from pathlib import Path

import numpy as np

from mri_tf.fingerprint import content_hash
from mri_tf.prepared import FRAME_HEAD_BYTES, FRAME_TAIL_BYTES, INDEX_COLUMNS, MANIFEST, PRIVATE
from mri_tf.schema import Record, encode_example

SHARD_BYTES = 64 * 2**20
JOURNAL = "journal.jsonl"


class ShardWriter:
    """Appends the records of sources, in order, to `<out>.partial` and its journal."""

    def __init__(self, out: Path, identity: dict, shard_bytes: int = SHARD_BYTES):
        self.out, self.shard_bytes = Path(out), shard_bytes
        self.partial = self.out.with_name(self.out.name + ".partial")
        self.index: dict[str, list] = {column: [] for column in INDEX_COLUMNS}
        self.skipped: dict[int, str] = {}  # source -> reason
        self.source_of: list[int] = []  # of each record
        self.record_form: dict = {}  # shape, dtype and mask of every record
        self.sources_done = 0
        self._shard_sizes: list[int] = []
        identity_line = json.dumps({"identity": identity}, sort_keys=True)
        if not self._continue(identity_line):
            shutil.rmtree(self.partial, ignore_errors=True)
            self.partial.mkdir(parents=True)
            (self.partial / JOURNAL).write_text(identity_line + "\n", encoding="utf-8")
        self._journal = (self.partial / JOURNAL).open("a", encoding="utf-8")

    def add(self, records: list[Record]) -> None:
        """Writes the records of the next source; each needs its record_id."""
        frames = [_frame(record, self.partial) for record in records]
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
        self._note({"rows": rows, "shard": shard, "end": offset, "form": self.record_form})
        self._keep(rows, shard, offset)

    def skip(self, reason: str) -> None:
        """Notes that the next source gave no record."""
        self._note({"skipped": reason})
        self.skipped[self.sources_done] = reason
        self.sources_done += 1

    def finish(self, manifest: dict, private_rows: list[dict]) -> None:
        """Writes manifest and private sidecar and gives the folder its final name."""
        self._journal.close()
        shards = [
            {"file": shard_name(shard), "bytes": size}
            for shard, size in enumerate(self._shard_sizes)
        ]
        whole = {**manifest, **self.record_form, "shards": shards, "index": self.index}
        _write_private(self.partial / PRIVATE, private_rows)
        (self.partial / MANIFEST).write_text(json.dumps(whole, indent=1), encoding="utf-8")
        (self.partial / JOURNAL).unlink()
        for file in self.partial.iterdir():
            with file.open("rb") as opened:
                os.fsync(opened.fileno())
        os.rename(self.partial, self.out)

    def abandon(self) -> None:
        """Removes what was written; for --strict."""
        self._journal.close()
        shutil.rmtree(self.partial, ignore_errors=True)

    def _note(self, line: dict) -> None:
        self._journal.write(json.dumps(line) + "\n")
        self._journal.flush()

    def _keep(self, rows: list[list], shard: int, end: int) -> None:
        for row in rows:
            for column, value in zip(INDEX_COLUMNS, row, strict=True):
                self.index[column].append(value)
            self.source_of.append(self.sources_done)
        self._shard_sizes[shard] = end
        self.sources_done += 1

    def _check_form(self, record: Record) -> None:
        form = {
            "record_shape": list(record.image.shape),
            "image_dtype": record.image.dtype.name,
            "has_mask": record.mask is not None,
        }
        if self.record_form and self.record_form != form:
            raise AssertionError(f"a prep module changed its records: {self.record_form}, {form}")
        self.record_form = form

    def _continue(self, identity_line: str) -> bool:
        """Takes over what an interrupted run wrote for the same inputs; False if there is none."""
        journal = self.partial / JOURNAL
        if not journal.is_file():
            return False
        whole = journal.read_bytes().split(b"\n")[:-1]  # what follows the last newline is torn
        if not whole or whole[0].decode() != identity_line:
            return False
        for line in map(json.loads, whole[1:]):
            if "skipped" in line:
                self.skipped[self.sources_done] = line["skipped"]
                self.sources_done += 1
                continue
            while len(self._shard_sizes) <= line["shard"]:
                self._shard_sizes.append(0)
            self.record_form = line["form"]
            self._keep(line["rows"], line["shard"], line["end"])
        journal.write_bytes(b"".join(line + b"\n" for line in whole))
        for file in self.partial.glob("records-*"):
            shard = int(file.stem.partition("-")[2])
            if shard < len(self._shard_sizes):
                os.truncate(file, self._shard_sizes[shard])
            else:
                file.unlink()
        return True


def shard_name(shard: int) -> str:
    return f"records-{shard:05d}.tfrecord"


def _frame(record: Record, folder: Path) -> bytes:
    """The record as TFRecord bytes (length, checksums, data), made by TensorFlow's own writer."""
    import tensorflow as tf

    scratch = folder / "frame.tmp"
    with tf.io.TFRecordWriter(str(scratch)) as writer:
        writer.write(encode_example(record))
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
        "content": content_hash(np.asarray(record.image)),
    }
    return [values[column] for column in INDEX_COLUMNS]


def _write_private(path: Path, rows: list[dict]) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, ["record_id", "source", "patient_id", "skipped_because"])
        writer.writeheader()
        writer.writerows(rows)
