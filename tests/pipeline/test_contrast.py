"""Random contrast: linear about the record's mean and drawn independently of the affine transform."""

import numpy as np
import pytest
import tensorflow as tf
from augmented import seeds

from mri_tf.core.errors import InputError
from mri_tf.pipeline.augment2d import (
    augment_images,
    check_augment,
    draw_changes,
)
from mri_tf.pipeline.contrast import apply_contrast, random_contrast
from mri_tf.pipeline.known import Known
from mri_tf.pipeline.normalize import normalize

SIZE = (6, 8)
AUGMENT = {"random_affine": {"max_degrees": 20.0}, "random_contrast": {"low": 0.5, "high": 2.0}}


def _images(count, channels=1):
    return tf.constant(np.random.default_rng(0).normal(300, 80, (count, *SIZE, channels)), tf.float32)


def _stats(count, mean=300.0, sd=80.0, channels=1):
    return tf.constant(np.full((count, 2, channels, 2), (mean, sd)), tf.float32)


def _known(stats) -> Known:
    """Of a batch with these statistics, on pixels of 1 mm."""
    return Known(SIZE, tf.ones((len(stats), 2)), stats[:, 0, :, 0], stats[:, 0, :, 1])


def test_factors_lie_evenly_between_their_ends_in_the_logarithm():
    uniforms = tf.constant([[0.0], [0.5], [1.0]])
    np.testing.assert_allclose(random_contrast(uniforms, SIZE, 0.5, 2.0), [0.5, 1.0, 2.0], rtol=1e-6)
    drawn = draw_changes(seeds(400), SIZE, AUGMENT, 1.0).intensities["random_contrast"].numpy()
    assert drawn.min() > 0.5 and drawn.max() < 2.0 and abs(np.log(drawn).mean()) < 0.08


def test_with_the_probability_of_the_task_a_record_keeps_its_contrast_and_place():
    drawn = draw_changes(seeds(400), SIZE, AUGMENT, 0.3).intensities["random_contrast"].numpy()
    moves = draw_changes(seeds(400), SIZE, AUGMENT, 0.3).transforms.numpy()
    kept = np.all(moves == [1, 0, 0, 0, 1, 0, 0, 0], axis=1)
    assert 0.62 < np.mean(drawn == 1) < 0.78
    np.testing.assert_array_equal(drawn == 1, kept)


def test_contrast_and_angle_have_numbers_of_their_own():
    drawn = np.log(draw_changes(seeds(400), SIZE, AUGMENT, 1.0).intensities["random_contrast"].numpy())
    angles = draw_changes(seeds(400), SIZE, AUGMENT, 1.0).transforms.numpy()[:, 1]
    assert abs(np.corrcoef(drawn, angles)[0, 1]) < 0.15


def test_a_factor_on_intensities_is_one_on_z_scores():
    images, stats = _images(3), _stats(3)
    factors = tf.constant([0.5, 1.0, 1.7])
    changed = apply_contrast(images, factors, stats[:, 0, :, 0])
    np.testing.assert_allclose(
        normalize(changed, stats, {"method": "zscore"}),
        factors[:, None, None, None] * normalize(images, stats, {"method": "zscore"}),
        atol=1e-5,
    )


def test_a_batch_is_changed_as_each_of_its_records_alone():
    images, stats, drawn = _images(4, 2), _stats(4, channels=2), seeds(4)
    together, _ = augment_images(images, None, drawn, AUGMENT, 1.0, _known(stats))
    for number in range(4):
        one = slice(number, number + 1)
        known = _known(stats[one])
        alone, _ = augment_images(images[one], None, drawn[one], AUGMENT, 1.0, known)
        np.testing.assert_array_equal(alone, together[one])


def test_labels_move_with_the_image_and_keep_their_values():
    labels = tf.constant(np.random.default_rng(1).integers(0, 3, (5, *SIZE)), tf.int32)
    both = [AUGMENT, {"random_affine": AUGMENT["random_affine"]}]
    known = _known(_stats(5))
    moved = [augment_images(_images(5), labels, seeds(5), one, 1.0, known)[1] for one in both]
    assert set(np.unique(moved[0])) <= {0, 1, 2} and not np.array_equal(moved[0], labels)


def test_hue_and_saturation_change_no_grey_image_in_three_channels():
    grey = tf.repeat(tf.constant(np.random.default_rng(2).uniform(0, 1, (*SIZE, 1)), tf.float32), 3, -1)
    for changed in (tf.image.adjust_hue(grey, 0.2), tf.image.adjust_saturation(grey, 1.8)):
        np.testing.assert_allclose(changed, grey, atol=1e-6)


@pytest.mark.parametrize("values", [{"low": 0.0}, {"low": 1.5}, {"high": 0.5}, {"factor": 1.1}], ids=str)
def test_a_contrast_that_cannot_be_is_refused(values):
    with pytest.raises(InputError):
        check_augment({"random_contrast": values}, SIZE)
    with pytest.raises(InputError):
        check_augment({"random_contrast": values}, (4, 4, 4))
