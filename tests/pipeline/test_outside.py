"""What comes from outside an image that was moved: the border, or one value."""

import numpy as np
import pytest
import scipy.ndimage
import tensorflow as tf
from augmented import SLICES, VOLUMES, seeds

from mri_tf.core.errors import InputError
from mri_tf.pipeline.augment2d import augment_images, check_augment
from mri_tf.pipeline.augment3d import augment_volumes
from mri_tf.pipeline.known import Known
from mri_tf.pipeline.resample2d import resample_linear, resample_nearest

grids = pytest.mark.parametrize("grid", [SLICES, VOLUMES], ids=["slices", "volumes"])
FAR = {  # every record is moved far, and nothing else is changed
    2: dict(random_affine=dict(max_shift_fraction=0.5)),
    3: dict(random_affine3d=dict(max_shift_fraction=0.5)),
}


def augmented(grid, outside: dict, keep_zero: bool = False) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Images before and after, and masks after."""
    batch, axes = grid.batch(), len(grid.size)
    known = Known.of(batch, keep_zero)
    images = tf.cast(batch["image"], tf.float32) + 7
    masks = tf.ones_like(batch["mask"])
    change = augment_images if axes == 2 else augment_volumes
    after = change(images, masks, seeds(len(images)), FAR[axes] | outside, 1.0, known)
    return images.numpy(), *(one.numpy() for one in after)


@grids
@pytest.mark.parametrize("fill", ["low", "mean"])
def test_what_comes_from_outside_has_one_value_and_no_label(grid, fill):
    before, images, masks = augmented(grid, dict(outside=dict(fill=fill)))
    inner = tuple(range(1, before.ndim - 1))
    value = (before.min if fill == "low" else before.mean)(axis=inner)
    empty = masks == 0
    assert 0.05 < empty.mean() < 0.95
    for record, is_empty in enumerate(empty):
        found = images[record][is_empty]
        np.testing.assert_allclose(found, np.broadcast_to(value[record], found.shape), rtol=1e-5)


@grids
def test_the_border_repeats_unless_something_else_is_asked_for(grid):
    _, usual, masks = augmented(grid, {})
    assert (masks == 1).all()
    np.testing.assert_array_equal(augmented(grid, dict(outside=dict(fill="border")))[1], usual)
    _, filled, masks = augmented(grid, dict(outside=dict(fill="low")))
    np.testing.assert_array_equal(filled[masks == 1], usual[masks == 1])


@grids
@pytest.mark.parametrize("fill", ["low", "mean"])
def test_outside_a_standardised_brain_is_nought(grid, fill):
    _, images, masks = augmented(grid, dict(outside=dict(fill=fill)), keep_zero=True)
    assert not images[masks == 0].any() and images[masks == 1].all()


@grids
def test_no_change_of_intensities_changes_what_lies_outside_a_standardised_brain(grid):
    batch = grid.batch()
    images = tf.cast(batch["image"], tf.float32).numpy() + 7
    images[:, :, :3] = 0
    change = augment_images if len(grid.size) == 2 else augment_volumes
    intensities = dict(
        random_contrast=dict(low=0.5, high=0.6), random_gamma=dict(low=2.0, high=3.0),
        random_bias_field=dict(probability=1.0), random_noise=dict(probability=1.0),
    )  # fmt: skip
    of_batch = seeds(len(images)), intensities, 1.0, Known.of(batch, keep_zero=True)
    found = change(tf.constant(images), None, *of_batch)[0].numpy()
    assert not found[:, :, :3].any() and (found[:, :, 3:] != images[:, :, 3:]).mean() > 0.9


def test_half_a_pixel_beyond_the_border_is_still_the_border_as_scipy_has_it_for_labels():
    labels = np.random.default_rng(0).integers(1, 5, (1, 9, 11, 1)).astype("i4")
    for shift in (2.4, 2.6, -3.2):
        transform = tf.constant([[1.0, 0, shift, 0, 1, 0, 0, 0]])
        found = resample_nearest(tf.constant(labels), transform, None, True)[0, ..., 0]
        expected = scipy.ndimage.shift(labels[0, ..., 0], (0, -shift), order=0, mode="grid-constant")
        np.testing.assert_array_equal(found, expected)
        image = resample_linear(tf.constant(labels, tf.float32), transform, None, tf.zeros((1, 1)))
        np.testing.assert_array_equal(image[0, ..., 0] == 0, expected == 0)


@pytest.mark.parametrize(
    "augment, words",
    [
        (dict(random_affine={}, outside=dict(fill="zero")), "fill must be border, mean or low"),
        (dict(random_contrast={}, outside=dict(fill="low")), "nothing moves the images"),
        (dict(random_affine={}, outside=dict(value=0)), "value"),
    ],
    ids=str,
)
def test_what_cannot_fill_is_refused(augment, words):
    with pytest.raises(InputError, match=words):
        check_augment(augment, SLICES.size)
