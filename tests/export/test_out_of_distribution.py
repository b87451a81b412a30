"""Images outside the ranges of the training side are flagged, by `reasons` and in the graph alike."""

import json

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter

from mri_tf.export.out_of_distribution import (
    STATISTICS,
    fit_ranges,
    image_statistics,
    outside_in_graph,
    reasons,
    source_sizes,
    statistics_in_graph,
)

CHANNELS = ("t1", "t2")


def smooth(seed: int, count: int = 40, shape=(24, 20)) -> np.ndarray:
    """Images (count, *shape, 2) with similar neighbours, as anatomy has, each with another gain."""
    rng = np.random.default_rng(seed)
    noise = rng.normal(size=(count, *shape, 2))
    blurred = gaussian_filter(noise, [0, *[2.0] * len(shape), 0])
    gain = rng.uniform(80, 120, (count, *[1] * len(shape), 2))
    return (300 + gain * blurred / blurred.std()).astype(np.float32)


@pytest.fixture(scope="module")
def ranges():
    return fit_ranges(image_statistics(smooth(0)), CHANNELS, {})


def _flags(images, ranges) -> list[int]:
    return outside_in_graph(tf.constant(images, tf.float32), ranges).numpy().tolist()


def test_images_like_those_of_the_training_are_inside(ranges):
    assert sum(_flags(smooth(0), ranges)) == 0
    assert sum(_flags(smooth(1), ranges)) <= 2


def test_distorted_images_are_outside_and_the_reason_names_the_statistic(ranges):
    image = smooth(1, 1)[0]
    rng = np.random.default_rng(2)
    shuffled = rng.permutation(image.reshape(-1, 2)).reshape(image.shape)  # mean and SD are the same
    nan = image.copy()
    nan[0, 0, 1] = np.nan
    for wrong, name in (
        (10 * image, "mean of t1"),
        (np.full_like(image, 300), "sd of t1"),
        (shuffled, "roughness of t1"),
        (nan, "mean of t2"),
        (np.zeros_like(image), "mean of t1"),
        (-image, "mean of t2"),
        (gaussian_filter(image, [6, 6, 0]), "roughness of t2"),
    ):
        texts = [text for text in reasons(wrong, ranges) if text.startswith(name)]
        assert texts and all("outside the training range of" in text for text in texts)
        assert _flags(wrong[None], ranges) == [1]
    assert reasons(image, ranges) == []


def test_white_noise_is_as_rough_as_theory_says():
    noise = np.random.default_rng(0).normal(5, 3, (1, 40, 50, 60, 1))
    mean, sd, roughness = image_statistics(noise)[0, 0]
    assert (mean, sd, roughness) == pytest.approx((5, 3, 2 / np.sqrt(np.pi)), rel=0.02)
    assert image_statistics(np.full((1, 4, 4, 1), 7.0))[0, 0].tolist() == [7, 0, 0]


@settings(max_examples=25, deadline=None)
@given(
    shape=st.sampled_from([(5, 7, 1), (1, 6, 2), (4, 5, 6, 2), (1, 1, 1)]),
    offset=st.sampled_from([0.0, -1000.0, 1e5]), scale=st.sampled_from([0.0, 1e-3, 1.0, 1e4]),
    seed=st.integers(0, 99),
)  # fmt: skip
def test_the_graph_takes_the_same_statistics(shape, offset, scale, seed):
    noise = np.random.default_rng(seed).normal(size=(3, *shape))
    images = (offset + scale * noise).astype(np.float32)
    in_graph = statistics_in_graph(tf.constant(images)).numpy()
    expected = image_statistics(images)
    if scale < 1e-4 * abs(offset):  # float32 rounds much of the noise away: compare the mean alone
        in_graph, expected = in_graph[..., 0], expected[..., 0]
    np.testing.assert_allclose(in_graph, expected, rtol=1e-3, atol=1e-4 * max(scale, 1e-3))


def test_the_reasons_and_the_graph_agree_on_many_images(ranges):
    gain, offset = np.random.default_rng(3).uniform([0.5, -200], [2, 200], (300, 2)).T
    images = smooth(4, 300) * gain[:, None, None, None] + offset[:, None, None, None]
    flags = _flags(images, ranges)
    assert flags == [int(bool(reasons(image, ranges))) for image in images.astype(np.float32)]
    assert 50 < sum(flags) < 250


def test_one_channel_outside_is_enough(ranges):
    images = smooth(1, 2)
    images[1, ..., 1] *= 20
    assert _flags(images, ranges) == [0, 1]


def test_one_training_record_still_gives_limits_of_some_width():
    image = smooth(0, 1)
    ranges = fit_ranges(image_statistics(image), CHANNELS, {})
    assert _flags(image * 1.05, ranges) == [0] and _flags(image * 10, ranges) == [1]


def test_blank_images_of_the_training_stay_inside():
    images = np.concatenate([smooth(0, 20), np.zeros((20, 24, 20, 2), np.float32)])
    ranges = fit_ranges(image_statistics(images), CHANNELS, {})
    assert sum(_flags(images, ranges)) == 0


def test_sizes_have_limits_too_in_the_reasons_and_the_spacing_in_the_graph():
    sizes = {
        "spacing_mm": np.array([[0.5, 0.5], [0.8, 0.8]]), "source_shape": np.full((2, 3), 200.0)
    }  # fmt: skip
    ranges = fit_ranges(image_statistics(smooth(0)), CHANNELS, sizes)
    image = smooth(0, 1)
    for spacing, flag in (((0.6, 0.6), 0), ((0.6, 6.0), 1), ((np.nan, 0.6), 1), ((0.0, 0.6), 1)):
        flags = outside_in_graph(tf.constant(image), ranges, tf.constant([spacing], tf.float32))
        assert flags.numpy().tolist() == [flag]
        assert len(reasons(image[0], ranges, {"spacing_mm": spacing})) == flag
    assert reasons(image[0], ranges, {"source_shape": (200, 200, 20)}) == [
        "source_shape along axis 3 is 20, outside the training range of 160 to 250"
    ]


def test_the_size_of_a_source_is_read_from_a_record_s_facts():
    affine = np.diag([0.5, 0.6, 3.0, 1.0]).ravel().tolist()
    facts = {"source_shape": [256, 256, 30], "source_affine": affine}
    assert source_sizes(facts) == {
        "source_shape": (256, 256, 30), "source_spacing_mm": pytest.approx((0.5, 0.6, 3.0))
    }  # fmt: skip
    assert list(source_sizes({**facts, "spacing": "nominal"})) == ["source_shape"]
    assert source_sizes({"site": "north"}) == {}


def test_limits_are_plain_values_that_survive_json(ranges):
    assert json.loads(json.dumps(ranges)) == ranges
    assert list(ranges["intensity"]["t1"]) == list(STATISTICS) and ranges["records"] == 40
