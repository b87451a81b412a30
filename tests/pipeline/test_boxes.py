"""The box around a mask: where it lies, what is kept, and what is outside the study."""

import numpy as np
import pytest
import tensorflow as tf
from scipy import ndimage

from mri_tf.pipeline.boxes import cube_around, resample_cube


def blob(shape, low, high):
    mask = np.zeros(shape, np.int32)
    mask[tuple(slice(a, b + 1) for a, b in zip(low, high, strict=True))] = 1
    return mask


def test_the_cube_holds_the_mask_and_the_margin_and_keeps_proportions():
    centre, side = cube_around(blob((20, 30, 40), (3, 10, 20), (6, 19, 22)), margin_voxels=2)
    np.testing.assert_allclose(centre, [4.5, 14.5, 21.0])
    assert float(side) == 10 + 4


def test_an_empty_mask_gives_the_whole_study():
    centre, side = cube_around(np.zeros((20, 30, 40), np.int32), margin_voxels=10)
    np.testing.assert_allclose(centre, [9.5, 14.5, 19.5])
    assert float(side) == 40


def test_a_cube_of_the_study_s_own_voxels_is_copied():
    image = np.random.default_rng(0).normal(size=(12, 14, 16, 2)).astype(np.float32)
    part = resample_cube(image, tf.constant([5.5, 6.5, 7.5]), tf.constant(8.0), (8, 8, 8))
    np.testing.assert_allclose(part, image[2:10, 3:11, 4:12], atol=1e-6)


def test_what_lies_outside_the_study_is_zero():
    image = np.ones((6, 6, 6, 1), np.float32)
    part = resample_cube(image, tf.constant([2.5, 2.5, 2.5]), tf.constant(10.0), (10, 10, 10)).numpy()
    assert part[2:8, 2:8, 2:8].min() == pytest.approx(1)
    part[2:8, 2:8, 2:8] = 0
    assert np.abs(part).max() == 0


def test_a_cube_wholly_outside_is_all_zero():
    image = np.ones((6, 6, 6, 1), np.float32)
    part = resample_cube(image, tf.constant([-40.0, 2.5, 60.0]), tf.constant(4.0), (4, 4, 4))
    assert np.abs(part).max() == 0


def test_enlarging_is_trilinear_and_shrinking_keeps_the_mean():
    rng = np.random.default_rng(1)
    image = ndimage.gaussian_filter(rng.normal(size=(16, 16, 16)), 2).astype(np.float32)
    large = resample_cube(image[..., None], tf.constant([7.5] * 3), tf.constant(8.0), (16, 16, 16))
    places = 7.5 + (np.arange(16) - 7.5) * 0.5
    all_places = np.meshgrid(places, places, places, indexing="ij")
    expected = ndimage.map_coordinates(image, all_places, order=1)
    np.testing.assert_allclose(large[..., 0], expected, atol=1e-5)
    wide = np.zeros((40, 40, 40, 1), np.float32)
    wide[12:28, 12:28, 12:28, 0] = image
    small = resample_cube(wide, tf.constant([19.5] * 3), tf.constant(40.0), (10, 10, 10))
    assert float(tf.reduce_sum(small)) * 4**3 == pytest.approx(float(image.sum()), rel=1e-3, abs=1e-3)


def test_axes_are_not_mixed_up():
    image = np.zeros((8, 10, 12, 1), np.float32)
    image[1, 4, 9] = 1
    part = resample_cube(image, tf.constant([2.0, 4.0, 8.0]), tf.constant(5.0), (5, 5, 5)).numpy()
    assert np.argwhere(part[..., 0] > 0.5).tolist() == [[1, 2, 3]]


def test_the_same_in_a_graph():
    image = np.random.default_rng(2).normal(size=(9, 11, 13, 1)).astype(np.float32)
    mask = blob(image.shape[:3], (1, 2, 3), (6, 7, 9))

    @tf.function(input_signature=[tf.TensorSpec([None] * 3 + [1]), tf.TensorSpec([None] * 3, tf.int32)])
    def both(image, mask):
        return resample_cube(image, *cube_around(mask, 1), (6, 6, 6))

    eager = resample_cube(image, *cube_around(mask, 1), (6, 6, 6))
    np.testing.assert_allclose(both(image, mask), eager, atol=1e-6)
