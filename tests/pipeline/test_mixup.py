"""Mixed images: shares as the paper draws them, targets alike, and none that no examination could be."""

from dataclasses import replace

import numpy as np
import pytest
import scipy.stats
import tensorflow as tf
from augmented import SLICES, seeds

from mri_tf.core.errors import InputError
from mri_tf.network.build import check_task
from mri_tf.pipeline.batches import batch_function
from mri_tf.pipeline.mixup import draw_shares, mix_records
from mri_tf.task import Task

TASK = SLICES.task(
    "classification", model="vgg2d", augment=dict(mixup=dict(alpha=0.4)), class_names=("a", "b", "c")
)
WITH_PRESENCE = replace(TASK, channels=("t1", "t2", "has_t1", "has_t2"))


def a_batch(task: Task, count: int = 6) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor]:
    """Images, labels, weights and seeds; the last record only fills the batch."""
    rng = np.random.default_rng(1)
    images = rng.normal(size=(count, 4, 5, len(task.channels))).astype("f4")
    images[..., list(task.presence.values())] = 1
    labels = rng.integers(0, 3, count)
    weights = np.r_[np.ones(count - 1), 0].astype("f4")
    return tf.constant(images), tf.constant(labels), tf.constant(weights), seeds(count)


@pytest.mark.parametrize("alpha", [0.2, 1.0, 4.0])
def test_the_share_is_beta_distributed(alpha):
    shares = draw_shares(seeds(3000), alpha, 1.0).numpy()
    assert scipy.stats.kstest(shares, scipy.stats.beta(alpha, alpha).cdf).pvalue > 0.01


def test_as_many_images_are_mixed_as_asked():
    assert np.mean(draw_shares(seeds(3000), 1.0, 0.3).numpy() < 1) == pytest.approx(0.3, abs=0.03)
    np.testing.assert_array_equal(draw_shares(seeds(50), 1.0, 0.0), 1)


def test_image_and_target_are_the_same_share_of_the_record_and_of_the_next():
    images, labels, weights, own = a_batch(TASK)
    found, targets = (one.numpy() for one in mix_records(images, labels, weights, own, TASK))
    shares = draw_shares(own, 0.4, 1.0).numpy()
    shares[-2:] = 1  # of the one that only fills the batch, and of the one before it
    assert (shares[:-2] < 1).all()
    one_hot = np.eye(3)[labels]
    for record, share in enumerate(shares):
        other = (record + 1) % len(shares)
        mixture = share * images[record].numpy() + (1 - share) * images[other].numpy()
        np.testing.assert_allclose(found[record], mixture, atol=1e-6)
        expected = share * one_hot[record] + (1 - share) * one_hot[other]
        np.testing.assert_allclose(targets[record], expected, atol=1e-6)
    np.testing.assert_allclose(targets.sum(axis=1), 1, atol=1e-6)


def test_a_missing_sequence_is_not_mixed_with_one_that_is_there():
    images, labels, weights, own = a_batch(WITH_PRESENCE)
    images = images.numpy()
    images[2, ..., [1, 3]] = 0  # without t2
    found, targets = mix_records(tf.constant(images), labels, weights, own, WITH_PRESENCE)
    for record in (1, 2):
        np.testing.assert_array_equal(found[record], images[record])
        np.testing.assert_array_equal(targets[record], np.eye(3)[labels[record]])
    assert (found[0].numpy() != images[0]).any()
    assert set(np.unique(found[..., 2:])) == {0, 1}


def test_a_batch_of_one_record_stays_as_it_is():
    images, labels, _, own = a_batch(TASK, 1)
    found, targets = mix_records(images, labels, tf.ones(1), own, TASK)
    np.testing.assert_allclose(found, images, atol=1e-6)
    np.testing.assert_allclose(targets, np.eye(3)[labels], atol=1e-6)


def test_only_training_batches_are_mixed_after_they_are_normalised():
    batch = SLICES.batch()
    batch |= {"label": tf.range(SLICES.count) % 3, "weight": tf.ones(SLICES.count)}
    image, target, _ = batch_function(TASK, training=True)(batch)
    plain, label, _ = batch_function(TASK, training=False)(batch)
    again, _, _ = batch_function(TASK, training=True)(batch)
    np.testing.assert_array_equal(label, batch["label"])
    assert target.shape == (SLICES.count, 3) and (image.numpy() != plain.numpy()).any()
    np.testing.assert_array_equal(again, image)
    expected, _ = mix_records(plain, label, batch["weight"], batch["seed"], TASK)
    np.testing.assert_allclose(image, expected, atol=1e-6)
    off, label, _ = batch_function(replace(TASK, augment_probability=0.0), training=True)(batch)
    np.testing.assert_array_equal(off, plain)
    assert label.shape == (SLICES.count,)


@pytest.mark.parametrize(
    "changes, words",
    [
        (dict(augment=dict(mixup=dict(alpha=0.0))), "alpha must be positive"),
        (dict(augment=dict(mixup=dict(probability=1.5))), "probability must be from 0 to 1"),
        (dict(augment=dict(mixup=dict(beta=1.0))), "beta"),
        (dict(kind="segmentation", model="mnet"), "classification"),
        (dict(bag=dict(pooling="mean")), "without bag"),
        (dict(feature_bank=2), "feature_bank 0"),
        (dict(model="frozen_probe"), "trained in steps"),
    ],
    ids=str,
)
def test_what_cannot_be_mixed_is_refused_before_any_data_is_read(changes, words):
    with pytest.raises(InputError, match=words):
        check_task(replace(TASK, **changes))
