"""Mixes each training image with the next one of its batch, and their labels alike.

The image becomes s times itself and 1 - s times the next one, and so does its target, where the share s
of a record comes from its own seed. Batches are drawn anew in every epoch, so that a record meets others
each time. It comes last, after normalisation.

Source: Zhang et al. 2018, arXiv:1710.09412.
"""

import tensorflow as tf

from mri_tf.core.errors import InputError
from mri_tf.pipeline.augment_ops import other_seeds, record_uniforms
from mri_tf.pipeline.sequence_dropout import present_sequences
from mri_tf.task import Task

NAME = "mixup"
OWN_GATES, OWN_SHARES = 0x313A, 0x313B  # keep these numbers apart from those of other changes


def mixup(*, alpha: float = 0.2, probability: float = 1.0) -> tuple[float, float]:
    """Both parameters of the beta distribution of the share, and the chance of an image to be mixed."""
    return alpha, probability


def check_mixup(task: Task) -> None:
    """Raises InputError for a task whose images cannot be mixed, or for values that nothing can be
    drawn with."""
    if NAME not in task.augment:
        return
    hindrances = {
        "kind": (task.kind != "classification", "of a classification, as a mask has no shares"),
        "bag": (bool(task.bag), "without bag, as patients differ in their number of slices"),
        "feature_bank": (
            task.feature_bank > 0, "with feature_bank 0, as stored features are of one image",
        ),
    }
    for name, (hinders, rule) in hindrances.items():
        if hinders:
            raise InputError(
                f"augment.{NAME} mixes images {rule}.", f"{name} {getattr(task, name)}",
                f"Take {NAME} out of augment, or change {name}.",
            )  # fmt: skip
    alpha, probability = mixup(**task.augment[NAME])
    for name, value, rule, holds in (
        ("alpha", alpha, "positive", alpha > 0),
        ("probability", probability, "from 0 to 1", 0 <= probability <= 1),
    ):
        if not holds:
            raise InputError(f"augment.{NAME}.{name} must be {rule}.", value, "Change it in the task.")


def mix_records(
    images: tf.Tensor, labels: tf.Tensor, weights: tf.Tensor, seeds: tf.Tensor, task: Task
) -> tuple[tf.Tensor, tf.Tensor]:
    """Draws the share of each record, and mixes.

    A record stays as it is where it or the next one only fills the batch, or where they do not have the
    same sequences: no examination has a part of one.

    Args:
        images: float32 (batch, [depth,] rows, columns, channels), normalised.
        labels: (batch,) classes.
        weights: (batch,), 0 of records that only fill the batch.
        seeds: (batch, 2), of each record.
        task: with `augment["mixup"]`.

    Returns:
        Images of the same shape, and the share of each class in the target, (batch, classes).
    """
    shares = draw_shares(seeds, *mixup(**task.augment[NAME]))
    counts = weights > 0
    fit = counts & _next(counts)
    if task.presence:
        present = present_sequences(images, task)
        fit &= tf.reduce_all(present == _next(present), axis=1)
    targets = tf.one_hot(labels, len(task.class_names))  # (batch, classes)
    shares = tf.where(fit, shares, 1.0)
    return mixed(images, shares), mixed(targets, shares)


def draw_shares(seeds: tf.Tensor, alpha: float, probability: float) -> tf.Tensor:
    """What a record keeps of itself, (batch,): beta distributed, or 1 if it is not mixed.

    Two gamma numbers of the same shape a and b give a / (a + b), which is beta distributed.
    """
    parts = tf.map_fn(
        # float64, as half of the numbers of a small alpha are too small for float32
        lambda seed: tf.random.stateless_gamma([2], seed, alpha=alpha, dtype=tf.float64),
        other_seeds(seeds, OWN_SHARES), fn_output_signature=tf.TensorSpec([2], tf.float64),
    )  # fmt: skip
    share = tf.math.divide_no_nan(parts[:, 0], tf.reduce_sum(parts, axis=1))
    gate = record_uniforms(other_seeds(seeds, OWN_GATES), 1)[:, 0] < probability
    return tf.where(gate, tf.cast(share, tf.float32), 1.0)


def mixed(values: tf.Tensor, shares: tf.Tensor) -> tf.Tensor:
    """`shares` (batch,) of each of `values` (batch, ...), and the rest of the next one; of the last one
    the next is the first."""
    shares = tf.reshape(shares, (-1, *[1] * (values.shape.rank - 1)))
    return tf.where(shares == 1, values, shares * values + (1 - shares) * _next(values))


def _next(values: tf.Tensor) -> tf.Tensor:
    return tf.roll(values, shift=-1, axis=0)
