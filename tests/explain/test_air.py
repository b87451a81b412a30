"""Air is what is dark or padding around a body, and nothing inside it."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mri_tf.explain.air import air_of

RNG = np.random.default_rng(0)


def disc(radius: float, shape=(64, 64), centre=(32, 32)) -> np.ndarray:
    rows, columns = np.indices(shape)
    return (rows - centre[0]) ** 2 + (columns - centre[1]) ** 2 < radius**2


HEAD, VENTRICLE = disc(24), disc(5, centre=(30, 36))


def head(noise: float = 0.0) -> np.ndarray:
    """A head of 100 to 200 with a black ventricle, in air with Rician noise."""
    tissue = np.where(HEAD & ~VENTRICLE, 150 + 50 * np.sin(np.indices((64, 64))[1] / 3), 0)
    return np.hypot(tissue + noise * RNG.normal(size=HEAD.shape), noise * RNG.normal(size=HEAD.shape))


@pytest.mark.parametrize("noise", [0.0, 4.0])
def test_air_is_around_a_head_and_not_in_its_ventricles(noise):
    air = air_of(head(noise).astype(np.float32))
    assert (air[~HEAD]).mean() > 0.99 and not air[HEAD].any()


def test_of_a_standardised_image_the_padding_is_air_though_it_is_not_the_darkest():
    image = np.where(HEAD, RNG.normal(0.5, 1, HEAD.shape), 0).astype(np.float32)
    np.testing.assert_array_equal(air_of(image), ~HEAD)
    assert image.min() < -1


def test_white_padding_is_air_too():
    image = np.where(HEAD, head(), 255)
    np.testing.assert_array_equal(air_of(image), ~HEAD)


def test_a_mark_in_a_corner_is_no_air():
    image = head()
    image[2:8, 2:8] = 180
    assert not air_of(image)[2:8, 2:8].any()


def test_ct_lungs_are_not_the_air_around_the_body():
    body, lung = disc(28), disc(9, centre=(32, 22)) | disc(9, centre=(32, 44))
    image = np.where(lung, -850, np.where(body, 40, -1000)) + 20 * RNG.normal(size=body.shape)
    air = air_of(image.astype(np.int16))
    assert air[~body].mean() > 0.99 and not air[body].any()


def test_an_image_that_is_filled_has_no_air_to_speak_of():
    assert air_of(RNG.uniform(100, 200, (40, 40))).mean() < 0.2


@pytest.mark.parametrize("value", [0, 51, -1000])
def test_an_image_of_one_value_has_no_air(value):
    assert not air_of(np.full((6, 8, 8), value, np.int16)).any()


def test_each_slice_of_a_volume_is_looked_at_by_itself():
    volume = np.stack([head(), np.zeros((64, 64)), head()])
    air = air_of(volume)
    assert air[1].all() and not air[0][HEAD].any() and air.shape == volume.shape


@given(st.integers(0, 1000), st.floats(0.01, 1000), st.floats(-1000, 1000))
@settings(max_examples=25, deadline=None)
def test_the_unit_of_the_image_does_not_matter(seed, scale, shift):
    image = np.where(HEAD, np.random.default_rng(seed).uniform(1, 2, HEAD.shape), 0)
    np.testing.assert_array_equal(air_of(image), air_of(scale * image + shift))
