"""A prepared set whose records are arrays in memory."""

from pathlib import Path

import numpy as np

from mri_tf.core.hashing import content_hash
from mri_tf.store.prepared import Prepared
from mri_tf.store.record import Record


class MadeUpSet(Prepared):
    """Records of images, without shards on disk; `file-<number>.png` are their sources.

    Args:
        folder: of the set, where the pairs of copies are kept.
        images: one a record, channels last.
        patients: of each record; each record is of another patient unless given.
        columns: further columns of the index: labels, groups, splits.
    """

    def __init__(self, folder: Path, images: list, patients: list | None = None, **columns: list):
        size = len(images)
        index = {
            "record_id": [f"{number:06d}-0000" for number in range(size)],
            "patient": patients or [f"p{number}" for number in range(size)],
            "group": [""] * size, "split": [""] * size, "site": [""] * size, "label": [0] * size,
            "content": [content_hash(np.asarray(image)) for image in images],
            **{key: [0] * size for key in ("shard", "offset", "length", "crc32")},
            **columns,
        }  # fmt: skip
        super().__init__(folder, {"index": index, "prep": "p", "class_names": ["a", "b"]})
        self.images = images

    def record(self, position: int) -> Record:
        """The record of an image."""
        return Record(self.record_ids[position], self.patients[position], self.images[position])

    def sources(self) -> dict[str, str]:
        """A made-up file for each record."""
        return {name: f"file-{number:04d}.png" for number, name in enumerate(self.record_ids)}
