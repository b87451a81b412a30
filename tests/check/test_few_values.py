"""Masks that are named as images hold only a few values, resampled ones too."""

import numpy as np
import pytest
from made_up_set import MadeUpSet
from scipy.ndimage import gaussian_filter, zoom

from mri_tf.check.few_values import few_values, share_of_few_values
from mri_tf.check.findings import ATTENTION
from mri_tf.check.look import _measured
from mri_tf.task import Task


def picture(seed: int) -> np.ndarray:
    """(64, 64): something round and textured on dark ground."""
    rng = np.random.default_rng(seed)
    texture = gaussian_filter(rng.normal(size=(64, 64)), 2)
    inside = np.hypot(*np.mgrid[-32:32, -32:32]) < 20 + 2 * rng.random()
    return np.rint(inside * (300 + 400 * texture) + 5 * rng.random((64, 64)))


def mask(seed: int, values: int) -> np.ndarray:
    return np.digitize(picture(seed), np.linspace(100, 300, values - 1)).astype(float)


def shares(images: list) -> np.ndarray:
    return np.array([[share_of_few_values(image)] for image in images])


@pytest.mark.parametrize("values", [2, 3, 5])
@pytest.mark.parametrize("factor", [1.0, 1.5])
def test_a_mask_among_images_is_named_after_resampling_and_scaling_too(values, factor):
    images = [picture(seed) for seed in range(12)]
    images[5] = mask(5, values)
    images = [zoom(image, factor, order=1) for image in images]
    images = [(image - image.mean()) / image.std() for image in images]
    (found,) = few_values(shares(images))
    assert found.status == ATTENTION and found.records == (5,)
    assert found.text == "1 of 12 records hold hardly more than a few values, the others many"


def test_images_blank_ones_and_sets_of_masks_alone_are_not_named():
    assert few_values(shares([picture(seed) for seed in range(12)] + [np.zeros((64, 64))])) == []
    assert few_values(shares([mask(seed, 2) for seed in range(12)])) == []


def test_a_check_names_the_masks_in_one_channel_of_a_set(tmp_path):
    images = [np.stack([picture(seed), picture(seed + 50)], axis=-1) for seed in range(14)]
    for place in (3, 8):
        images[place][..., 1] = picture(place) > 150
    task = Task(
        name="two", channels=("t1", "t2"), image_shape=(64, 64), class_names=("a", "b"), model="vgg"
    )
    found = {one.name: one for one in _measured(MadeUpSet(tmp_path, images), task)}
    assert found["values"].records == (3, 8)
