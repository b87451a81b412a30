"""Sequences that are left out look as missing ones do, at random and never all of them."""

from dataclasses import replace

import numpy as np
import pytest
import tensorflow as tf
from augmented import seeds

from data_prep.ops.intensity_stats import region_stats
from data_prep.ops.stack import stack_channels
from data_prep.volume import Volume
from mri_tf.core.errors import InputError
from mri_tf.network.build import check_task
from mri_tf.pipeline.batches import batch_function
from mri_tf.pipeline.sequence_dropout import drop_sequences, lost_sequences
from mri_tf.task import Task

CHANNELS = ("flair", "t1", "t2", "has_flair", "has_t1", "has_t2")
TASK = Task(
    name="tiny", channels=CHANNELS, image_shape=(4, 6, 8), class_names=("a", "b"), model="vgg3d",
    model_args=dict(blocks=2), prep=dict(missing="zero_fill"), normalize=dict(method="zscore"),
    augment=dict(sequence_dropout=dict(probability=0.5)), augment_probability=1.0,
)  # fmt: skip


def batch_of(count: int, missing: dict[int, int] = {}) -> dict:  # noqa: B006 - it is only read
    """Records in which all sequences are there, but for `missing`: record -> sequence."""
    rng = np.random.default_rng(0)
    image = np.concatenate([rng.normal(300, 50, (count, 4, 6, 8, 3)), np.ones((count, 4, 6, 8, 3))], -1)
    for record, sequence in missing.items():
        image[record, ..., [sequence, sequence + 3]] = 0
    stats = np.stack([image.mean((1, 2, 3)), image.std((1, 2, 3))], -1)  # (count, channels, 2)
    stats[:, 3:] = 0, 1
    return {
        "image": tf.constant(image, tf.float32), "label": tf.zeros(count, tf.int32),
        "intensity_stats": tf.constant(np.stack([stats, stats], 1), tf.float32),
        "spacing_mm": tf.ones((count, 3)), "weight": tf.ones(count), "seed": seeds(count),
    }  # fmt: skip


def test_a_dropped_sequence_is_what_a_missing_one_is_after_normalisation():
    whole, lacking = batch_of(1), batch_of(1, {0: 1})
    for number in range(100):
        own = {**whole, "seed": seeds(1, first=number)}
        image = batch_function(TASK, training=True)(own)[0].numpy()
        if [image[..., place].any() for place in (3, 4, 5)] == [True, False, True]:
            break
    missing = batch_function(TASK, training=False)(lacking)[0].numpy()
    np.testing.assert_array_equal(image, missing)
    assert not image[..., 1].any() and image[..., 0].any()


def test_each_present_sequence_is_left_out_as_often_as_asked_but_never_the_last():
    rng = np.random.default_rng(0)
    present = np.ones((20_000, 3), bool)
    present[::2, 2] = False
    uniforms = rng.uniform(size=present.shape).astype("f4")
    lost = lost_sequences(tf.constant(present), tf.constant(uniforms), 0.3).numpy()
    assert not (lost & ~present).any()
    assert ((present & ~lost).sum(axis=1) >= 1).all()
    # All three would be lost in 0.3 ** 3 of cases; then one of them stays.
    assert lost[1::2].mean() == pytest.approx(0.3 - 0.3**3 / 3, abs=0.01)
    assert lost[::2, :2].mean() == pytest.approx(0.3 - 0.3**2 / 2, abs=0.01)


def test_a_record_loses_the_same_sequences_whatever_batch_is_around_it():
    batch = batch_of(6, {2: 0})
    images, stats = drop_sequences(batch["image"], batch["intensity_stats"], batch["seed"], TASK)
    for number in range(6):
        one = slice(number, number + 1)
        own = (batch[name][one] for name in ("image", "intensity_stats", "seed"))
        alone = drop_sequences(*own, TASK)
        np.testing.assert_array_equal(alone[0], images[one])
        np.testing.assert_array_equal(alone[1], stats[one])
    said = images.numpy()[..., 3:].any(axis=(1, 2, 3))
    np.testing.assert_array_equal(images.numpy()[..., :3].any(axis=(1, 2, 3)), said)
    assert said.any(axis=1).all() and not said.all()


def test_neighbouring_slices_lose_the_same_sequence():
    task = replace(TASK, image_shape=(6, 8), context_slices=1, model="vgg", channels=CHANNELS)
    batch = batch_of(8)
    image = tf.tile(batch["image"][:, 0], [1, 1, 1, 3])  # (8, 6, 8, 3 slices of 6 channels)
    stats = tf.tile(batch["intensity_stats"], [1, 1, 3, 1])
    images, changed = drop_sequences(image, stats, batch["seed"], task)
    there = images.numpy().any(axis=(1, 2)).reshape(8, 3, 6)
    assert (there == there[:, :1]).all() and not there.all()
    np.testing.assert_array_equal(changed.numpy()[:, 0, :, 0] != 0, (stats.numpy()[:, 0, :, 0] != 0)
                                  & there.reshape(8, 18))  # fmt: skip


def test_no_change_of_intensities_reaches_the_channels_that_say_what_is_there():
    changes = dict(random_contrast={}, random_gamma={}, random_noise=dict(probability=1.0),
                   random_erasing=dict(probability=1.0), random_elastic={})  # fmt: skip
    batch = batch_of(4, {1: 2})
    image = batch_function(replace(TASK, augment=changes), training=True)(batch)[0].numpy()
    np.testing.assert_array_equal(image[..., 3:], batch["image"][..., 3:])
    plain = batch_function(TASK, training=False)(batch)[0].numpy()
    assert np.abs(image - plain)[..., :2].max() > 0.1 and not image[1, ..., 2].any()


def test_nothing_is_left_out_of_what_is_not_trained_on():
    image = batch_function(TASK, training=False)(batch_of(4))[0].numpy()
    assert image[..., 3:].all()


def test_tasks_that_cannot_say_what_is_missing_are_refused():
    check_task(TASK)
    with pytest.raises(InputError, match='Set prep.missing="zero_fill" and add a channel has_NAME'):
        check_task(replace(TASK, channels=CHANNELS[:3], prep={}))
    with pytest.raises(InputError, match="probability must be from 0 to below 1. Received: 1.0"):
        check_task(replace(TASK, augment=dict(sequence_dropout=dict(probability=1.0))))


def test_preparation_stores_a_missing_sequence_as_zeros_without_statistics():
    volume = Volume(np.random.default_rng(0).normal(300, 50, (4, 4, 4)), np.eye(4))
    stacked = stack_channels({"flair": volume, "t2": volume}, ("flair", "t1", "t2"), "zero_fill")
    stats = region_stats(stacked.volume.array, np.ones((4, 4, 4), bool), stacked.presence)
    assert stacked.names == CHANNELS and not stacked.volume.array[..., [1, 4]].any()
    assert not stats[:, 1].any() and (stats[:, [3, 4, 5]] == (0, 1)).all()
