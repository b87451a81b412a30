"""Leaves out sequences of a record at random, so that a network learns what a missing one means.

A set in which every examination is complete says nothing of incomplete ones, and a network that was
trained on it takes an empty sequence for a finding. A sequence that is left out looks as preparation
stores one that is missing: 0, statistics included, and its channel `has_...` says so.
"""

import tensorflow as tf

from mri_tf.core.errors import InputError
from mri_tf.pipeline.augment_ops import other_seeds, record_uniforms
from mri_tf.task import Task

NAME = "sequence_dropout"
OWN_SEEDS = 0xD209  # keeps these numbers apart from those of other changes


def sequence_dropout(*, probability: float = 0.2) -> float:
    """The chance of each present sequence of a training image to be left out, but never of all."""
    return probability


def check_sequence_dropout(task: Task) -> None:
    """Raises InputError for a task that cannot say which sequences are there, or for no probability."""
    if NAME not in task.augment:
        return
    if not task.presence:
        raise InputError(
            f"augment.{NAME} needs channels that say which sequences are there.",
            f"channels {', '.join(task.channels)}",
            'Set prep.missing="zero_fill" and add a channel has_NAME for each sequence NAME.',
        )  # fmt: skip
    chance = sequence_dropout(**task.augment[NAME])
    if not 0 <= chance < 1:
        raise InputError(
            f"augment.{NAME}.probability must be from 0 to below 1.", chance, "Change it in the task."
        )


def drop_sequences(
    images: tf.Tensor, stats: tf.Tensor, seeds: tf.Tensor, task: Task
) -> tuple[tf.Tensor, tf.Tensor]:
    """Draws which sequences each record loses, and empties them.

    Args:
        images: float32 (batch, [depth,] rows, columns, channels), of neighbouring slices one after the
            other.
        stats: (batch, 2, channels, 2) intensity statistics.
        seeds: (batch, 2), of each record.
        task: with `augment["sequence_dropout"]`.

    Returns:
        Images and statistics, of the same shapes.
    """
    present = present_sequences(images, task)
    own = other_seeds(seeds, OWN_SEEDS)
    uniforms = record_uniforms(own, len(task.presence))  # (batch, sequences)
    lost = lost_sequences(present, uniforms, sequence_dropout(**task.augment[NAME]))
    return empty_sequences(images, stats, lost, task)


def present_sequences(images: tf.Tensor, task: Task) -> tf.Tensor:
    """Which sequences each record has, (batch, sequences) bool; images as `drop_sequences` takes them.

    The task's channels must say which are there.
    """
    grid = list(range(1, images.shape.rank - 1))
    filled = tf.reduce_any(tf.not_equal(images, 0), axis=grid)  # (batch, channels)
    middle = images.shape[-1] // len(task.channels) // 2 * len(task.channels)  # of the slice itself
    return tf.gather(filled, [middle + place for place in task.presence.values()], axis=1)


def lost_sequences(present: tf.Tensor, uniforms: tf.Tensor, probability: float) -> tf.Tensor:
    """Which sequences are left out, (batch, sequences): of those that are there at most all but one.

    Args:
        present: (batch, sequences) bool.
        uniforms: (batch, sequences) in [0, 1).
        probability: of each to be left out.
    """
    drawn = tf.where(present, uniforms, -1.0)
    last = tf.equal(drawn, tf.reduce_max(drawn, axis=1, keepdims=True))  # the one that always stays
    return present & (uniforms < probability) & ~last


def empty_sequences(
    images: tf.Tensor, stats: tf.Tensor, lost: tf.Tensor, task: Task
) -> tuple[tf.Tensor, tf.Tensor]:
    """Images and statistics without the sequences of `lost` (batch, sequences)."""
    channels = len(task.channels)
    sequence, presence = list(task.presence), list(task.presence.values())
    of_sequence = tf.one_hot(sequence, channels)  # (sequences, channels)
    lost = tf.cast(lost, tf.float32)
    gone = tf.matmul(lost, of_sequence)  # (batch, channels)
    unsaid = gone + tf.matmul(lost, tf.one_hot(presence, channels))
    repeats = images.shape[-1] // channels
    kept = tf.tile(unsaid, [1, repeats]) == 0
    kept = tf.reshape(kept, (-1, *[1] * (images.shape.rank - 2), images.shape[-1]))
    empty = tf.tile(gone, [1, repeats])[:, None, :, None] > 0
    return tf.where(kept, images, 0.0), tf.where(empty, 0.0, stats)
