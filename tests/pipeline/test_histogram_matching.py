"""Histogram matching, in closed form and against a second implementation with numpy.percentile."""

from dataclasses import replace

import numpy as np
import pytest
import tensorflow as tf

from mri_tf.core.errors import InputError
from mri_tf.pipeline.histogram_matching import (
    LEAST_VOXELS,
    PERCENTILES,
    fit_standard,
    in_units_of_fit,
    landmarks,
    match_histograms,
    matched_and_normalised,
)
from mri_tf.store.record import image_stats
from mri_tf.task import Task

VOLUMES = Task(
    name="volumes", channels=("t1", "flair", "has_t1", "has_flair"), image_shape=(6, 10, 12),
    class_names=("a", "b"), model="vgg3d", modality="MR", harmonise=dict(method="nyul"),
    normalize=dict(method="zscore", region="mask"),
)  # fmt: skip
WHOLE = Task(
    name="whole", channels=("t1",), image_shape=(24, 20), class_names=("a", "b"), model="vgg",
    harmonise=dict(method="nyul"),
)  # fmt: skip
STANDARD = np.tile([0.0, 1.0], (1, 2, 4, 1)).astype(np.float32)  # mean and SD of standardised records


def volume(seed: int, gain: float = 1.0) -> np.ndarray:
    """A standardised record of two sequences: skewed z-scores inside half of the grid, 0 outside it."""
    rng = np.random.default_rng(seed)
    image = np.zeros((6, 10, 12, 4), np.float32)
    image[1:5, 1:9, 2:11, :2] = gain * rng.gamma(2.0, 0.7, (4, 8, 9, 2)) - 1.5
    image[..., 2:] = 1
    return image


def fitted_to(images: list[np.ndarray], task: Task, patients=None) -> dict:
    stats = [STANDARD[0] if task.standardised else image_stats(image) for image in images]
    found = in_units_of_fit(tf.constant(np.stack(images)), tf.constant(np.stack(stats)), task)
    names = np.arange(len(images)) if patients is None else np.array(patients)
    return fit_standard(*found, names, task.image_channels)


def matched(image: np.ndarray, fitted: dict, task: Task) -> np.ndarray:
    """What a network is given of an image."""
    stats = STANDARD if task.standardised else image_stats(image)[None]
    return matched_and_normalised(tf.constant(image[None]), tf.constant(stats), task, fitted).numpy()[0]


def by_numpy(image: np.ndarray, standard: np.ndarray) -> np.ndarray:
    """One channel of a standardised record, matched by numpy.percentile and numpy.interp."""
    own = np.percentile(image[image != 0].astype(float), PERCENTILES)
    inside = np.interp(image, own, standard)
    low = standard[0] + (image - own[0]) * (standard[1] - standard[0]) / (own[1] - own[0])
    high = standard[-1] + (image - own[-1]) * (standard[-1] - standard[-2]) / (own[-1] - own[-2])
    found = np.where(image < own[0], low, np.where(image > own[-1], high, inside))
    return np.where(image == 0, 0, found)


def test_images_are_matched_as_numpy_matches_them():
    images = [volume(seed, gain) for seed, gain in enumerate((1.0, 1.4, 0.8, 2.0))]
    fitted = fitted_to(images, VOLUMES)
    new = volume(9, 1.7)
    found = matched(new, fitted, VOLUMES)
    for channel in range(2):
        own = [np.percentile(one[..., channel][one[..., channel] != 0], PERCENTILES) for one in images]
        low, high = np.mean([one[0] for one in own]), np.mean([one[-1] for one in own])
        lines = [low + (one - one[0]) / (one[-1] - one[0]) * (high - low) for one in own]
        np.testing.assert_allclose(fitted["landmarks"][channel], np.mean(lines, axis=0), atol=1e-5)
        wanted = by_numpy(new[..., channel], np.mean(lines, axis=0))
        np.testing.assert_allclose(found[..., channel], wanted, atol=1e-4)


def test_what_lies_outside_the_mask_and_what_says_a_sequence_is_there_stay_as_they_are():
    fitted = fitted_to([volume(0), volume(1, 1.5)], VOLUMES)
    new = volume(2, 3.0)
    found = matched(new, fitted, VOLUMES)
    assert not found[0].any(axis=(0, 1))[:2].any() and not found[:, 0, :, :2].any()
    np.testing.assert_array_equal(found[..., 2:], new[..., 2:])


def test_a_missing_sequence_stays_missing_and_does_not_move_the_other():
    fitted = fitted_to([volume(0), volume(1, 1.5)], VOLUMES)
    new = volume(2, 3.0)
    lacking = new.copy()
    lacking[..., 1] = lacking[..., 3] = 0
    found = matched(lacking, fitted, VOLUMES)
    assert not found[..., 1].any() and not found[..., 3].any()
    np.testing.assert_array_equal(found[..., 0], matched(new, fitted, VOLUMES)[..., 0])


def test_a_channel_with_hardly_any_foreground_stays_as_it_is():
    fitted = fitted_to([volume(0), volume(1, 1.5)], VOLUMES)
    few = np.zeros((6, 10, 12, 4), np.float32)
    few.reshape(-1, 4)[: LEAST_VOXELS - 1, 0] = np.arange(1, LEAST_VOXELS)
    np.testing.assert_array_equal(matched(few, fitted, VOLUMES), few)


def test_the_standard_landmarks_are_taken_to_themselves():
    images = [volume(0), volume(1, 1.5)]
    fitted = fitted_to(images, VOLUMES)
    like_all = np.zeros((6, 10, 12, 4), np.float32)
    # 101 voxels whose percentiles are the standard landmarks.
    for channel in range(2):
        values = np.interp(np.arange(101), PERCENTILES, fitted["landmarks"][channel])
        like_all.reshape(-1, 4)[100:201, channel] = values
    np.testing.assert_allclose(matched(like_all, fitted, VOLUMES), like_all, atol=1e-5)


@pytest.mark.parametrize("task", [VOLUMES, WHOLE], ids=lambda task: task.name)
def test_a_rising_line_changes_nothing_of_what_the_network_is_given(task):
    if task is VOLUMES:
        images = [volume(seed, 1 + seed / 4) for seed in range(3)]
        other = np.where(images[0] == 0, 0, 3 * images[0] + 0.7)
        other[..., 2:] = images[0][..., 2:]
    else:
        images = [picture(seed) for seed in range(3)]
        other = images[0] * 37.0
    fitted = fitted_to(images, task)
    wanted = matched(images[0], fitted, task)
    np.testing.assert_allclose(matched(other.astype(np.float32), fitted, task), wanted, atol=2e-4)


def test_a_change_that_is_piecewise_between_the_landmarks_is_taken_back():
    images = [volume(seed, 1 + seed / 4) for seed in range(3)]
    fitted = fitted_to(images, VOLUMES)
    image, bent = np.zeros_like(images[0]), np.zeros_like(images[0])
    # Of 301 voxels every percentile is one of them, so that both images have them in the same voxels.
    own = np.random.default_rng(4).gamma(2.0, 1.0, 301)
    knots = np.percentile(own, PERCENTILES)
    steps = np.array([2.0, 3.0, 0.5, 1.0, 4.0, 0.7, 1.5, 0.2, 2.5, 0.9])
    places = -5 + np.concatenate([[0], np.cumsum(steps * np.diff(knots))])
    other = np.interp(own, knots, places)
    other = np.where(own < knots[0], places[0] + 2.0 * (own - knots[0]), other)
    other = np.where(own > knots[-1], places[-1] + 0.9 * (own - knots[-1]), other)
    for values, one in ((own, image), (other, bent)):
        one.reshape(-1, 4)[:301, :2] = values[:, None]
    wanted = matched(image, fitted, VOLUMES)
    np.testing.assert_allclose(matched(bent, fitted, VOLUMES), wanted, atol=1e-4)
    assert np.abs(bent - image).max() > 1


def picture(seed: int, gain: float = 100.0) -> np.ndarray:
    """A head on black, without a mask: half of the pixels are 0."""
    rng = np.random.default_rng(seed)
    image = np.zeros((24, 20, 1), np.float32)
    image[4:20, 3:17, 0] = gain * (1 + rng.gamma(2.0, 0.5, (16, 14)))
    return image


def test_without_a_mask_the_foreground_is_brighter_than_the_mean_and_black_is_black_in_every_image():
    images = [picture(seed, gain) for seed, gain in enumerate((100.0, 700.0, 20.0))]
    fitted = fitted_to(images, WHOLE)
    black = []
    for image in images:
        own, scores = image[..., 0], matched(image, fitted, WHOLE)[..., 0]
        found = np.percentile(scores[own > own.mean()], PERCENTILES)
        np.testing.assert_allclose(found, fitted["landmarks"][0], atol=5e-3)
        black.append(scores[own == 0])
    np.testing.assert_allclose(np.concatenate(black), fitted["background"][0], atol=1e-5)


def test_a_patient_counts_once_however_many_images_there_are():
    images = [volume(0), volume(1, 1.5), volume(2, 2.5)]
    once = fitted_to(images, VOLUMES)
    often = fitted_to([*images, *[images[2]] * 5], VOLUMES, [0, 1, 2, 2, 2, 2, 2, 2])
    np.testing.assert_allclose(often["landmarks"], once["landmarks"], rtol=1e-12)


def test_a_large_image_is_matched_by_an_even_sample_of_its_voxels():
    task = Task(name="large", channels=("t1",), image_shape=(40, 64, 48), class_names=("a", "b"),
                model="vgg3d", harmonise=dict(method="nyul"), normalize=VOLUMES.normalize)  # fmt: skip
    rng = np.random.default_rng(0)
    images = rng.gamma(2.0, 0.7, (2, 40, 64, 48, 1)).astype(np.float32)
    stats = tf.constant(np.tile([0.0, 1.0], (2, 2, 1, 1)), tf.float32)
    found, _ = in_units_of_fit(tf.constant(images), stats, task)
    wanted = [np.percentile(image, PERCENTILES) for image in images]
    np.testing.assert_allclose(found[:, 0], wanted, rtol=0.05)


def test_it_is_alike_in_a_graph_of_unknown_batch_size_and_leaves_no_trace_without_the_setting():
    images = tf.constant(np.stack([volume(0), volume(1, 1.5)]))
    fitted, stats = fitted_to(list(images.numpy()), VOLUMES), tf.tile(STANDARD, (2, 1, 1, 1))
    signature = [tf.TensorSpec([None, 6, 10, 12, 4]), tf.TensorSpec([None, 2, 4, 2])]
    served = tf.function(lambda x, s: match_histograms(x, s, VOLUMES, fitted), input_signature=signature)
    alone = match_histograms(images, stats, VOLUMES, fitted)
    np.testing.assert_allclose(served(images, stats), alone, rtol=1e-5, atol=1e-5)
    plain = replace(VOLUMES, harmonise={})
    np.testing.assert_array_equal(match_histograms(images, stats, plain, {}), images)


def test_the_value_at_which_landmarks_are_equal_comes_to_the_middle_of_their_standard():
    fitted, image = fitted_to([volume(0), volume(1, 1.5)], VOLUMES), np.zeros((6, 10, 12, 4), np.float32)
    values = np.repeat([1.0, 2.0, 3.0, 4.0], [25, 40, 25, 11])  # percentiles 30 to 60 are all 2
    image.reshape(-1, 4)[:101, 0] = values
    standard = np.array(fitted["landmarks"][0])
    found = matched(image, fitted, VOLUMES)[..., 0].ravel()[:101]
    assert found[values == 2.0] == pytest.approx((standard[3] + standard[6]) / 2, abs=1e-4)
    assert found[values == 3.0] == pytest.approx((standard[7] + standard[8]) / 2, abs=1e-4)
    assert (np.diff(found) >= 0).all()


def test_images_of_whole_numbers_are_alike_in_a_graph_though_landmarks_may_be_equal():
    images = [np.round(picture(seed, gain) / 4) for seed, gain in enumerate((100.0, 60.0, 30.0, 20.0))]
    fitted = fitted_to([picture(seed) for seed in range(3)], WHOLE)
    stacked, stats = tf.constant(np.stack(images)), tf.constant(np.stack(list(map(image_stats, images))))
    found, count = landmarks(stacked, WHOLE)
    assert (np.diff(found) == 0).any() and (count >= LEAST_VOXELS).numpy().all()
    signature = [tf.TensorSpec([None, 24, 20, 1]), tf.TensorSpec([None, 2, 1, 2])]
    served = tf.function(lambda x, s: match_histograms(x, s, WHOLE, fitted), input_signature=signature)
    alone = match_histograms(stacked, stats, WHOLE, fitted)
    np.testing.assert_allclose(served(stacked, stats), alone, rtol=1e-5, atol=1e-4)


def test_too_few_patients_and_images_of_few_values_are_refused():
    with pytest.raises(InputError, match="needs 2 training patients .* Received: 1 with t1"):
        fitted_to([volume(0), volume(1)], VOLUMES, ["p", "p"])
    lacking = [volume(0), volume(1)]
    lacking[1][..., 1] = 0
    with pytest.raises(InputError, match="Received: 1 with flair"):
        fitted_to(lacking, VOLUMES)
    flat = [np.where(one > 0, 1, 0).astype(np.float32) for one in (volume(0), volume(1))]
    with pytest.raises(InputError, match="differ. Received: channel t1 with an image of one value"):
        fitted_to(flat, VOLUMES)
    rounded = [np.where(one == 0, 0, np.round(one) + 5) for one in (volume(0), volume(1))]
    with pytest.raises(InputError, match="percentiles differ. Received: channel t1 with "):
        fitted_to([one.astype(np.float32) for one in rounded], VOLUMES)
