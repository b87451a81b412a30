"""Feature bank: features of a frozen prefix for several augmented copies of each image, kept on disk.

A bank has rows for every record of a prepared set: its identity copy and `copies` augmented ones, in
half precision. Only the rows that a training asks for are computed: all copies of its training records,
the identity of its validation records; the files have holes where the others are. An epoch draws the
identity as often as the task leaves an image as it is. The bank is deterministic and goes on where a
kill left it; trainings of equal features, for example the folds of a cross-validation, may share it.
"""

import io
import json
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from mri_tf.core.errors import InputError
from mri_tf.core.files import write_atomic
from mri_tf.core.hashing import content_hash, fingerprint
from mri_tf.core.progress import progress
from mri_tf.core.system import SECONDS_BETWEEN_LOOKS, try_lock
from mri_tf.pipeline.batches import batch_function, read_dataset
from mri_tf.pipeline.epoch_plan import Batch
from mri_tf.pipeline.subset import Subset
from mri_tf.task.spec import to_json

STORED = np.float16
LARGEST_HALF = 65504.0
COPY_SEED = 2**40  # keeps the seeds of copies apart from those of epochs
BATCHES_BETWEEN_MARKS = 50  # between two notes of how much of a bank is on disk
FACTS, DONE, TENSOR, LOCK = "bank.json", "done.npy", "tensor_{}.npy", ".lock"
# What a training may change without changing the copies: how often and in which order they are drawn,
# and what comes behind them. The prefix itself says what `model_args` decide before the cut, and what
# was fitted how histograms are matched.
NOT_IN_FEATURES = (
    "augment_probability", "average", "batch_size", "caution", "choose_epoch", "clip_norm",
    "demo_patients", "dice_share", "epochs", "fine_tune", "harmonise", "label_smoothing",
    "learning_rate", "loss_weights", "model_args", "operating_point", "oversample", "patience",
    "schedule", "split_fractions", "steps", "test_time", "variants", "warm_up",
)  # fmt: skip


@dataclass(frozen=True)
class Bank:
    """Rows of features; the record at position `n` of the set has those from n * (1 + copies) on."""

    files: list[np.ndarray]  # one memory map a tensor of the cut, (rows, *shape), float16
    copies: int

    def rows(self, records: np.ndarray, drawn: np.ndarray) -> tuple[np.ndarray, ...]:
        """Features of `records` in their copies `drawn` (0: identity)."""
        at = records * (1 + self.copies) + drawn
        return tuple(file[at] for file in self.files)


@dataclass(frozen=True)
class BankSource:
    """What is asked of a bank: rows of a side's records."""

    subset: Subset
    seed: int
    training: bool  # all copies are asked for, and boxes are cut as in training; else the identity alone

    @property
    def copies(self) -> int:
        """Augmented ones a record."""
        return self.subset.task.feature_bank

    @property
    def wanted(self) -> np.ndarray:
        """Row numbers, ascending."""
        first = np.sort(np.asarray(self.subset.records, np.int64)) * (1 + self.copies)
        each = np.arange(1 + self.copies if self.training else 1)
        return (first[:, None] + each).ravel()


def bank_identity(prefix: keras.Model, source: BankSource) -> str:
    """Of all that decides the features: images, their seeds and preparation, layers, weights.

    Not of which records are asked for; sides of which boxes are cut differently have different banks.
    """
    subset = source.subset
    task = {key: value for key, value in to_json(subset.task).items() if key not in NOT_IN_FEATURES}
    return fingerprint(
        [
            task, subset.prepared.content_fingerprint(), source.seed, source.copies,
            source.training if subset.task.box else None, subset.fitted, _without_names(prefix),
            [content_hash(array) for array in prefix.get_weights()],
        ]
    )  # fmt: skip


def _without_names(prefix: keras.Model):
    """The configuration with numbers for the names of layers, which count up while a process lives."""
    names = {layer.name: f"layer {number}" for number, layer in enumerate(prefix.layers)}
    names[prefix.name] = "prefix"

    def renamed(value):
        if isinstance(value, dict):
            return {key: renamed(one) for key, one in value.items()}
        if isinstance(value, list):
            return [renamed(one) for one in value]
        return names.get(value, value) if isinstance(value, str) else value

    return renamed(json.loads(prefix.to_json()))


def fill_bank(folder: Path, prefix: keras.Model, source: BankSource, identity: str) -> Bank:
    """The bank in `folder`, with at least the rows that are asked for.

    `identity` is that of `bank_identity`; a bank of another one is written anew. A second process that
    wants the same bank waits for the first. Raises InputError if the disk is too small.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / LOCK).open("wb") as file:
        while not try_lock(file):
            time.sleep(SECONDS_BETWEEN_LOOKS)
        return _filled(folder, prefix, source, identity)


def _filled(folder: Path, prefix: keras.Model, source: BankSource, identity: str) -> Bank:
    total = len(source.subset.prepared) * (1 + source.copies)
    shapes = [tuple(tensor.shape[1:]) for tensor in prefix.outputs]
    facts = {"identity": identity, "rows": total, "copies": source.copies, "shapes": shapes}
    done = _rows_done(folder, facts)
    begun = done is not None
    done = np.zeros(total, bool) if done is None else done
    missing = source.wanted[~done[source.wanted]]
    _check_space(folder, len(missing) * sum(2 * int(np.prod(shape)) for shape in shapes))
    if not begun:
        (folder / FACTS).unlink(missing_ok=True)  # of another bank, whose files are overwritten next
    files = [
        np.lib.format.open_memmap(
            folder / TENSOR.format(number), "r+" if begun else "w+", STORED, (total, *shape)
        )
        for number, shape in enumerate(shapes)
    ]
    if not begun:
        _mark(folder, files, done)
        write_atomic(folder / FACTS, json.dumps(facts).encode())
    if len(missing):
        _fill(folder, files, prefix, source, missing, done)
    return Bank(files, source.copies)


def _fill(
    folder: Path, files: list, prefix: keras.Model, source: BankSource, missing: np.ndarray,
    done: np.ndarray,
) -> None:  # fmt: skip
    """Computes the rows `missing`, in whole batches, and says on disk which are done."""
    task = source.subset.task
    single = replace(task, bag={})
    fitted = source.subset.fitted
    augment = batch_function(replace(single, augment_probability=1.0), training=True, fitted=fitted)
    augmented = tf.function(augment, autograph=False)  # drawing for each record is slow outside a graph
    plain = batch_function(single, training=False, fitted=fitted)
    forward = tf.function(lambda image: prefix(image, training=False))
    batches = list(_row_batches(source, task.batch_size, missing))
    cut = source.subset.cut(source.training)
    raw = read_dataset(source.subset.prepared, lambda: iter(batches), len(batches), cut)
    with progress("features", len(missing)) as advance:
        for number, batch in enumerate(raw):
            rows = missing[number * task.batch_size : (number + 1) * task.batch_size]
            # The last batch is filled up, so that no row depends on how many were missing with it.
            copy = _filled_up(rows, task.batch_size) % (1 + source.copies)
            image = _by_copy(plain(batch)[0], augmented(batch)[0] if copy.any() else None, copy)
            outputs = forward(image)
            for file, output in zip(files, keras.tree.flatten(outputs), strict=True):
                half = tf.clip_by_value(tf.cast(output, tf.float32), -LARGEST_HALF, LARGEST_HALF)
                file[rows] = half.numpy().astype(STORED)[: len(rows)]
            done[rows] = True
            if (number + 1) % BATCHES_BETWEEN_MARKS == 0 or number + 1 == len(batches):
                _mark(folder, files, done)
            advance(min((number + 1) * task.batch_size, len(missing)))


def _mark(folder: Path, files: list, done: np.ndarray) -> None:
    """Says on disk which rows are there."""
    for file in files:
        file.flush()
    buffer = io.BytesIO()
    np.save(buffer, done)
    write_atomic(folder / DONE, buffer.getvalue())


def _filled_up(rows: np.ndarray, size: int) -> np.ndarray:
    """The rows, the last one repeated up to `size`."""
    return np.pad(rows, (0, size - len(rows)), mode="edge")


def _by_copy(plain: tf.Tensor, augmented: tf.Tensor | None, copy: np.ndarray) -> tf.Tensor:
    """The plain image where the copy is number 0, else the augmented one."""
    if augmented is None:
        return plain
    identity = tf.reshape(tf.constant(copy == 0), (-1,) + (1,) * (plain.shape.rank - 1))
    return tf.where(identity, plain, augmented)


def _row_batches(source: BankSource, batch_size: int, rows: np.ndarray) -> Iterator[Batch]:
    """The records of these rows, with the seeds of the copies that they are.

    A seed follows from the place of the row, so that every training that shares the bank computes the
    same copy. The rows on disk may have been computed in batches of another size.
    """
    for start in range(0, len(rows), batch_size):
        own = _filled_up(rows[start : start + batch_size], batch_size)
        seeds = np.stack([np.full(batch_size, source.seed), COPY_SEED + own], axis=-1)
        weights = np.ones(batch_size, np.float32)
        yield Batch(own // (1 + source.copies), weights, seeds.astype(np.int64))


def _rows_done(folder: Path, facts: dict) -> np.ndarray | None:
    """(rows,) which rows of this very bank are on disk; None where there is no such bank."""
    try:
        known = json.loads((folder / FACTS).read_text(encoding="utf-8"))
        done = np.load(folder / DONE, allow_pickle=False)
    except (OSError, ValueError, EOFError):
        return None
    there = all((folder / TENSOR.format(number)).is_file() for number in range(len(facts["shapes"])))
    same = known == json.loads(json.dumps(facts)) and len(done) == facts["rows"]
    return done if there and same else None


def _check_space(folder: Path, needed_bytes: int) -> None:
    free = shutil.disk_usage(folder).free
    if needed_bytes > 0.9 * free:
        raise InputError(
            "The bank of frozen features does not fit on the disk.",
            f"{needed_bytes / 1e9:.1f} GB needed, {free / 1e9:.1f} GB free at {folder}",
            "Set feature_bank to fewer copies, or to 0.",
        )
