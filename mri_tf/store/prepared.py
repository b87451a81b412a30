"""Reads prepared sets: a folder with shards of records and their index in manifest.json."""

import csv
import json
import os
import threading
import zlib
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from mri_tf.core.errors import InputError
from mri_tf.core.hashing import fingerprint
from mri_tf.core.system import read_at
from mri_tf.store.fingerprints import prep_fingerprint
from mri_tf.store.record import SCHEMA_VERSION, Record, decode_example
from mri_tf.task import Task
from mri_tf.task.spec import WHITE_STRIPE

MANIFEST = "manifest.json"
PRIVATE = "sources.private.csv"  # the only file that maps records to their sources; mode 0600
INDEX_COLUMNS = (
    "record_id", "patient", "group", "split", "site", "label",
    "shard", "offset", "length", "crc32", "content",
)  # fmt: skip
# A TFRecord is an 8-byte length with a 4-byte checksum, the data, and a 4-byte checksum of the data.
FRAME_HEAD_BYTES, FRAME_TAIL_BYTES = 12, 4


def read_private(path: Path) -> list[dict]:
    """Rows of the private sidecar; none where the set was shared without it."""
    if not path.is_file():
        return []
    with path.open(newline="", encoding="utf-8", errors="surrogateescape") as file:
        return list(csv.DictReader(file))


class Prepared:
    """A prepared set opened for reading; the columns of its index are arrays with one entry a record."""

    def __init__(self, folder: Path, manifest: dict):
        self.damage: InputError | None = None  # of the last record that could not be read
        self._descriptors: dict[int, int] = {}
        self._opening = threading.Lock()  # records are read from several threads
        self.folder, self.manifest = Path(folder), manifest
        index = manifest["index"]
        self.record_ids = np.array(index["record_id"], dtype=object)
        self.patients = np.array(index["patient"], dtype=object)
        self.groups = np.array(index["group"], dtype=object)
        self.splits = np.array(index["split"], dtype=object)
        self.sites = np.array(index["site"], dtype=object)
        self.labels = np.array(index["label"], dtype=np.int64)
        self.contents = np.array(index["content"], dtype=object)
        self._place = {
            key: np.array(index[key], dtype=np.int64)
            for key in ("shard", "offset", "length", "crc32")
        }
        if len({len(index[column]) for column in INDEX_COLUMNS}) != 1:
            raise ValueError("columns of the index differ in length")

    @classmethod
    def open(cls, folder: Path) -> "Prepared":
        """Opens a folder; raises InputError for a wrong schema version or shards of another size."""
        folder = Path(folder)
        path = folder / MANIFEST
        if not path.is_file():
            raise InputError(
                f"This folder is no prepared set: it has no {MANIFEST}.",
                folder,
                "Make one with python -m data_prep.write --task T --raw DIR --out DIR.",
            )
        try:
            manifest = json.loads(path.read_text(encoding="utf-8"))
            version = manifest["schema_version"]
            prepared = cls(folder, manifest) if version == SCHEMA_VERSION else None
            shards = [(folder / shard["file"], shard["bytes"]) for shard in manifest["shards"]]
            for name in ("task", "prep", "record_shape", "image_dtype", "has_mask", "class_names"):
                manifest[name]
        except (ValueError, KeyError, TypeError, AttributeError):
            raise InputError(
                f"{MANIFEST} of the prepared set is damaged.",
                path,
                "Prepare the set again into another folder.",
            ) from None
        if prepared is None:
            raise InputError(
                f"This version of mri_tf reads only prepared sets of schema version {SCHEMA_VERSION}.",
                f"version {version} in {path}",
                "Prepare the set again with python -m data_prep.write into another folder.",
            )
        for file, expected in shards:
            size = file.stat().st_size if file.is_file() else 0
            if size != expected:
                raise InputError(
                    "A shard of the prepared set is missing or cut off.",
                    f"{file} of {size} bytes, not {expected}",
                    "Copy the set again, or prepare it again into another folder.",
                )
        return prepared

    def __len__(self) -> int:
        return len(self.record_ids)

    @property
    def image_shape(self) -> tuple[int, ...]:
        """Shape of an image on the prepared grid, channels last."""
        return tuple(self.manifest["record_shape"])

    @property
    def image_dtype(self) -> str:
        return self.manifest["image_dtype"]

    @property
    def has_mask(self) -> bool:
        return self.manifest["has_mask"]

    @property
    def standardised(self) -> bool:
        """Whether records are z-scores inside a mask with 0 outside it."""
        return bool((self.manifest.get("layout") or {}).get("standardised"))

    @property
    def by_white_matter(self) -> bool:
        """Whether these z-scores are by the mean and SD of white matter."""
        return bool((self.manifest.get("layout") or {}).get(WHITE_STRIPE))

    @property
    def separate_channels(self) -> bool:
        """Whether the channels of an image come from several files."""
        return self.manifest.get("separate_channels", False)

    @property
    def patients_known(self) -> bool:
        """False where groups of copies of an image take the place of patients."""
        return self.manifest.get("patients_known", True)

    @property
    def masks(self) -> tuple[str, ...]:
        """Which of `mask` and `predicted_mask` every record has."""
        derived = ("predicted_mask",) if self.manifest.get("derived") else ()
        return (("mask",) if self.has_mask else ()) + derived

    @property
    def class_names(self) -> tuple[str, ...]:
        return tuple(self.manifest["class_names"])

    def content_fingerprint(self) -> str:
        """Fingerprint of the set's pixels, labels and patients, independent of its folder."""
        index = self.manifest["index"]
        columns = [index[key] for key in ("record_id", "patient", "label", "content", "crc32")]
        return fingerprint([self.manifest["prep"], columns])

    def check_fits(self, task: Task) -> None:
        """Raises InputError if the set was prepared for another task or with other settings."""
        made_for, needed = self.manifest["prep"], prep_fingerprint(task)
        if self.manifest["task"] == task.name and made_for == needed:
            return
        raise InputError(
            f"The prepared set is not for task {task.name} with these settings (prep {needed[:8]}).",
            f"{self.folder} of task {self.manifest['task']} (prep {made_for[:8]})",
            "Give --raw DIR instead of --data to prepare another set, or, for the task without "
            "--variant and --set, use python -m data_prep.write --task T --raw DIR --out DIR.",
        )

    def sources(self) -> dict[str, str]:
        """Record id -> its file, for messages on the terminal; empty where the set has no sidecar."""
        return {row["record_id"]: row["source"] for row in read_private(self.folder / PRIVATE)}

    def showing(self, contents: list[str]) -> np.ndarray:
        """(records,) bool: whose image has one of these content hashes. An image with one value
        everywhere is never counted as a copy."""
        found = np.isin(self.contents, contents)
        for position in np.flatnonzero(found).tolist():
            image = self.record(position).own_slice
            found[position] = image.min() < image.max()
        return found

    def record(self, position: int) -> Record:
        """One record with its image, masks, affine and facts."""
        return decode_example(
            self._read_one(position), self.image_shape, self.image_dtype, self.masks
        )

    def read(self, records: np.ndarray) -> list[bytes]:
        """The serialized examples at these positions; raises InputError if one is damaged."""
        return [self._read_one(int(record)) for record in records]

    def _read_one(self, record: int) -> bytes:
        shard, offset, length, crc32 = (
            int(self._place[key][record]) for key in ("shard", "offset", "length", "crc32")
        )
        with self._opening:
            if shard not in self._descriptors:
                file = self.folder / self.manifest["shards"][shard]["file"]
                self._descriptors[shard] = os.open(file, os.O_RDONLY | getattr(os, "O_BINARY", 0))
        data = read_at(self._descriptors[shard], length, offset + FRAME_HEAD_BYTES)
        if len(data) != length or zlib.crc32(data) != crc32:
            raise InputError(
                "A record of the prepared set is damaged: its checksum is wrong.",
                f"record {self.record_ids[record]} in {self.folder}",
                "Copy the set again, or prepare it again into another folder.",
            )
        return data

    def __del__(self):
        for descriptor in self._descriptors.values():
            os.close(descriptor)


def positions_in(prepared: Prepared, record_ids: Iterable[str]) -> np.ndarray:
    """(n,) positions in a set of the records with these ids; raises KeyError for one that it lacks."""
    place = {name: number for number, name in enumerate(prepared.record_ids)}
    return np.array([place[name] for name in record_ids], dtype=np.int64)
