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
        facts: of each record; none unless given.
        columns: further columns of the index: label, group, split, site.
    """

    def __init__(
        self, folder: Path, images: list, patients: list | None = None, facts: list | None = None,
        **columns: list,
    ):  # fmt: skip
        size = len(images)
        index = {
            "record_id": [f"{number:06d}-0000" for number in range(size)],
            "patient": patients or [f"p{number}" for number in range(size)],
            "group": [""] * size, "split": [""] * size, "site": [""] * size, "label": [0] * size,
            "content": [content_hash(np.asarray(image)) for image in images],
            **{key: [0] * size for key in ("shard", "offset", "length", "crc32")},
            **columns,
        }  # fmt: skip
        shape, dtype = list(np.shape(images[0])), np.asarray(images[0]).dtype.name
        manifest = {"task": "made_up", "prep": "p", "class_names": ["a", "b"],
                    "record_shape": shape, "image_dtype": dtype}  # fmt: skip
        super().__init__(folder, {"index": index, **manifest})
        self.images, self.facts = images, facts or [{}] * size

    def record(self, position: int) -> Record:
        """The record of an image."""
        return Record(
            self.record_ids[position], self.patients[position], self.images[position],
            label=int(self.labels[position]), facts=self.facts[position],
        )  # fmt: skip

    def sources(self) -> dict[str, str]:
        """A made-up file for each record."""
        return {name: f"file-{number:04d}.png" for number, name in enumerate(self.record_ids)}
