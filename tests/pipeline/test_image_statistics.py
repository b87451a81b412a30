"""The statistics by which images are compared with the training side."""

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from mri_tf.pipeline.image_statistics import (
    AT_MAXIMUM,
    SMALLEST_SHARE,
    STATISTICS,
    image_statistics,
    plain_value,
    served_statistics,
    statistic_names,
    statistics_of,
)
from mri_tf.task import Task


def _plain(images: np.ndarray) -> dict[str, float]:
    """The statistics of the first image's first channel as a person reads them."""
    values = image_statistics(tf.constant(images))[0, 0].numpy()
    return {name: plain_value(name, value) for name, value in zip(STATISTICS, values, strict=True)}


def _task(**changes) -> Task:
    return Task(name="t", channels=("a", "b"), image_shape=(6, 5), class_names=("x", "y"), model="vgg",
                **changes)  # fmt: skip


def test_white_noise_has_the_values_of_theory():
    noise = np.random.default_rng(0).normal(5, 3, (1, 40, 50, 60, 1)).astype(np.float32)
    found = _plain(noise)
    assert found["mean divided by SD"] == pytest.approx(5 / 3, rel=0.02)
    assert found["SD"] == pytest.approx(3, rel=0.02)
    assert found["roughness"] == pytest.approx(2 / np.sqrt(np.pi), rel=0.02)
    assert found["coarseness"] == pytest.approx(1, rel=0.02)
    assert found["share above the mean"] == pytest.approx(0.5, abs=0.02)


@settings(max_examples=25, deadline=None)
@given(
    shape=st.sampled_from([(5, 7, 1), (1, 6, 2), (4, 5, 6, 2), (4, 4, 1)]),
    offset=st.sampled_from([0.0, -1000.0, 1000.0]), scale=st.sampled_from([1.0, 1e2, 1e4]),
    seed=st.integers(0, 99),
)  # fmt: skip
def test_the_statistics_are_those_of_numpy(shape, offset, scale, seed):
    noise = np.random.default_rng(seed).normal(size=(3, *shape))
    images = (offset + scale * noise).astype(np.float32)
    found = image_statistics(tf.constant(images)).numpy()
    for record, image in enumerate(images.astype(float)):
        for channel in range(shape[-1]):
            one = image[..., channel]
            # Whether a voxel that lies on the mean is above it is a matter of rounding in float32.
            assume(np.abs(one - one.mean()).min() > 1e-6 * (abs(offset) + scale))
            steps = [np.abs(np.diff(one, axis=axis)).mean() for axis in range(one.ndim)
                     if one.shape[axis] > 1]  # fmt: skip
            far = [np.abs(np.moveaxis(one, axis, 0)[2:] - np.moveaxis(one, axis, 0)[:-2]).mean()
                   for axis in range(one.ndim) if one.shape[axis] > 2]  # fmt: skip
            near = one >= one.max() - AT_MAXIMUM * np.ptp(one)
            above = (one > one.mean()).mean()
            wanted = [
                np.arcsinh(one.mean() / one.std()), np.log(one.std()),
                np.log(np.mean(steps) / one.std()),
                np.log(np.mean(far) / np.mean(steps)), np.log(near.mean() + SMALLEST_SHARE),
                np.log(above / (1 - above)), np.log(np.ptp(one) / one.std()),
            ]  # fmt: skip
            np.testing.assert_allclose(found[record, channel], wanted, rtol=2e-3, atol=2e-3)


def test_a_constant_channel_has_nothing_to_compare_and_nan_is_infinitely_far():
    images = np.random.default_rng(0).normal(size=(2, 6, 5, 2)).astype(np.float32)
    images[0, ..., 1] = 7
    images[1, 2, 2, 0] = np.nan
    found = image_statistics(tf.constant(images)).numpy()
    assert np.isnan(found[0, 1]).all() and np.isfinite(found[0, 0]).all()
    assert np.isposinf(found[1, 0]).all() and np.isfinite(found[1, 1]).all()


def test_a_gain_moves_the_sd_alone():
    images = np.random.default_rng(0).normal(3, 1, (1, 20, 20, 1)).astype(np.float32)
    plain, louder = (image_statistics(tf.constant(gain * images))[0, 0].numpy() for gain in (1, 8))
    expected = [np.log(8) if name == "SD" else 0 for name in STATISTICS]
    np.testing.assert_allclose(louder - plain, expected, atol=1e-4)


def test_sizes_are_in_mm_and_unknown_where_the_spacing_is():
    task = _task(spacing=dict(grid=(4, 4), margin_mm=5.0, medians=1.0))
    names, in_graph = statistic_names(task)
    assert in_graph == 2 * len(STATISTICS) + 2 and len(names) == in_graph + 6
    affine = np.diag([0.5, 0.6, 3.0, 1.0]).ravel().tolist()
    known = {"source_shape": [256, 200, 30], "source_affine": affine}
    images = tf.constant(np.random.default_rng(0).normal(size=(3, 6, 5, 2)), tf.float32)
    spacing_mm = tf.constant([[0.6, 0.5], [0.6, np.nan], [0.0, 0.5]], tf.float32)
    values = statistics_of(images, spacing_mm, [known, {**known, "spacing": "nominal"}, {}])
    sizes = {name: plain_value(name, value) for name, value in zip(names, values[0], strict=True)}
    assert sizes["source spacing along z in mm"] == pytest.approx(3)
    assert sizes["source extent along x in mm"] == pytest.approx(128)
    assert sizes["spacing between rows in mm"] == pytest.approx(0.6)
    assert np.isnan(values[1:, in_graph:]).all()
    assert np.isposinf(values[1, in_graph - 1]) and values[2, in_graph - 2] < -10
    np.testing.assert_array_equal(served_statistics(images, spacing_mm), values[:, :in_graph])
