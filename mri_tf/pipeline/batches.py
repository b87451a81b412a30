"""Batches for a network: plan -> read -> augment -> normalise.

`read_dataset` gives raw batches; `batch_function` makes what the network takes of one. The same
function runs inside tf.data on a machine without an accelerator and inside the train step on
one with.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

import numpy as np
import tensorflow as tf

from mri_tf.core.errors import InputError
from mri_tf.pipeline.augment2d import augment_images
from mri_tf.pipeline.augment3d import augment_volumes
from mri_tf.pipeline.bags import BagPlan, pad_slices, plain_bag_batches, present_slices
from mri_tf.pipeline.epoch_plan import Batch, TrainingPlan, plain_batches
from mri_tf.pipeline.field_of_view import Cut, cut_function
from mri_tf.pipeline.histogram_matching import match_histograms, says_presence
from mri_tf.pipeline.intensity_classes import nearest_centroid
from mri_tf.pipeline.known import Known
from mri_tf.pipeline.mixup import NAME as MIXUP
from mri_tf.pipeline.mixup import mix_records
from mri_tf.pipeline.normalize import normalize
from mri_tf.pipeline.sequence_dropout import NAME as SEQUENCE_DROPOUT
from mri_tf.pipeline.sequence_dropout import drop_sequences
from mri_tf.store.prepared import Prepared
from mri_tf.store.record import parse_examples
from mri_tf.task import Task

BatchFunction = Callable[[dict], tuple[tf.Tensor, tf.Tensor, tf.Tensor]]
# Nothing here branches on a tensor: AutoGraph would rewrite sources for most of a second, in vain.
as_written = tf.autograph.experimental.do_not_convert


def read_dataset(
    prepared: Prepared, batches: Callable[[], Iterable[Batch]], count: int, cut: Cut | None = None
) -> tf.data.Dataset:
    """Raw batches: image (batch, *grid, channels), mask or label, intensity_stats, weight, seed, bag.

    `count` is how many batches there are; `cut` takes the part of each case that the network
    sees.
    """

    def generate() -> Iterator[tuple[np.ndarray, ...]]:
        for batch in batches():
            yield batch.records, batch.weights, batch.seeds, batch.places

    dataset = tf.data.Dataset.from_generator(
        generate,
        output_signature=(
            tf.TensorSpec([None], tf.int64),
            tf.TensorSpec([None], tf.float32),
            tf.TensorSpec([None, 2], tf.int64),
            tf.TensorSpec([None], tf.int64),
        ),
    )

    @as_written
    def read(records, weights, seeds, bags):
        def from_disk(positions: np.ndarray) -> np.ndarray:
            try:
                return np.array(prepared.read(positions), dtype=object)
            except InputError as error:
                prepared.damage = error
                raise

        serialized = tf.numpy_function(from_disk, [records], tf.string, stateful=False)
        serialized.set_shape([None])
        batch = parse_examples(serialized, prepared.image_shape, prepared.image_dtype, prepared.masks)
        batch |= {"weight": weights, "seed": seeds, "bag": bags}
        return cut(batch) if cut else batch

    read_batches = dataset.map(read, num_parallel_calls=2, deterministic=True)
    return read_batches.apply(tf.data.experimental.assert_cardinality(count))


@contextmanager
def report_damage(prepared: Prepared):
    """Raises the InputError of a damaged record, which TensorFlow would wrap in an error of its own."""
    try:
        yield
    except tf.errors.OpError:
        if prepared.damage is not None:
            raise prepared.damage from None
        raise


def batch_function(task: Task, training: bool, fitted: dict | None = None) -> BatchFunction:
    """Raw batch -> (image, target, weight), augmented if `training`, normalised always, and before that
    with the histograms of the training side where the task matches them.

    Where patients are answered for, the image is (slices padded to (patients, slices, ...), which are
    present), and target and weight are the patients'.

    The target is the label of a classification task, or the share of each class where images are mixed;
    of a segmentation task it is the mask, or the nearest of the `centroids` in `fitted`, what was fitted
    on the training side.
    """
    segmentation = task.kind == "segmentation"
    changed = training and task.augment and task.augment_probability > 0
    # Channels that say which sequences are there are no images: nothing changes them.
    presence = says_presence(task)

    @as_written
    def make(batch: dict) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        stats = batch["intensity_stats"]
        image = match_histograms(batch["image"], stats, task, fitted)
        if task.intensity_classes:
            target = nearest_centroid(image, fitted["centroids"])
        else:
            target = batch["mask"] if segmentation else batch["label"]
        if changed:
            labels = target if segmentation else None
            augmented = augment_images if len(task.image_shape) == 2 else augment_volumes
            known = Known.of(batch, keep_zero=task.standardised)
            image, labels = augmented(
                image, labels, batch["seed"], task.augment, task.augment_probability, known
            )
            target = labels if segmentation else target
            image = tf.where(presence, tf.cast(batch["image"], tf.float32), image)
        if changed and SEQUENCE_DROPOUT in task.augment:
            image, stats = drop_sequences(image, stats, batch["seed"], task)
        image = normalize(image, stats, task.normalize)
        if changed and MIXUP in task.augment:
            image, target = mix_records(image, target, batch["weight"], batch["seed"], task)
        if task.bag:
            return gather_bags([image], target, batch["bag"], batch["weight"])
        return image, target, batch["weight"]

    return make


def gather_bags(
    slices: list[tf.Tensor], labels: tf.Tensor, bags: tf.Tensor, weights: tf.Tensor
) -> tuple[tuple[tf.Tensor, ...], tf.Tensor, tf.Tensor]:
    """What slices have, with the bag of each, -> ((padded, ..., present), label and weight a bag)."""
    count = tf.shape(weights, tf.int64)[0]
    padded = tuple(pad_slices(one, bags, count) for one in slices)
    return (*padded, present_slices(bags, count)), tf.math.segment_max(labels, bags), weights


def training_batches(
    prepared: Prepared, plan: TrainingPlan | BagPlan, first: int, task: Task, fitted: dict
) -> tf.data.Dataset:
    """Raw batches of the epochs from `first` on, one after the other."""

    def batches() -> Iterator[Batch]:
        for epoch in range(first, epochs):
            yield from plan.batches(epoch)

    epochs = task.epochs_of(plan.steps)
    count = plan.steps * (epochs - first)
    return read_dataset(prepared, batches, count, cut_function(task, training=True, fitted=fitted))


def read_in_order(
    prepared: Prepared, records: np.ndarray, batch_size: int, replicas: int = 1, cut: Cut | None = None
):
    """Raw batches of every record once, in order; whole cases unless there is a `cut`."""
    return read_dataset(
        prepared,
        lambda: plain_batches(records, batch_size, replicas),
        count=-(-len(records) // batch_size),
        cut=cut,
    )


def read_bags_in_order(
    prepared: Prepared, bags: list[np.ndarray], batch_size: int, replicas: int = 1,
    cut: Cut | None = None,
) -> tf.data.Dataset:  # fmt: skip
    """Raw batches of every patient once, in order."""
    return read_dataset(
        prepared,
        lambda: plain_bag_batches(bags, batch_size, replicas),
        count=-(-len(bags) // batch_size),
        cut=cut,
    )


def eval_batches(raw: tf.data.Dataset, task: Task, fitted: dict) -> tf.data.Dataset:
    """(image, target, weight) of the batches of `read_in_order`, nothing augmented."""
    return raw.map(batch_function(task, training=False, fitted=fitted)).prefetch(2)
