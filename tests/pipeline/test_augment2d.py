"""Augmentation of slices in closed form: how each operation moves pixels."""

import numpy as np
import pytest
import tensorflow as tf
from augmented import SLICES, noise, seeds

from mri_tf.core.errors import InputError
from mri_tf.pipeline.augment2d import (
    augment_images,
    check_augment,
    draw_changes,
    random_affine,
    random_flip,
)
from mri_tf.pipeline.contrast import apply_contrast
from mri_tf.pipeline.known import Known
from mri_tf.pipeline.resample2d import resample_linear, resample_nearest

SIZE = SLICES.size
RESAMPLE = {False: resample_linear, True: resample_nearest}  # whether the nearest pixel is taken
MIDDLE = 0.5  # the uniform number that turns, shifts and zooms nothing (zoom 0.8 to 1.2)


def moved(image: np.ndarray, matrix: tf.Tensor, nearest=False) -> np.ndarray:
    """One image (rows, columns) through one (1, 3, 3) matrix."""
    transform = tf.reshape(matrix, (-1, 9))[:, :8]
    return RESAMPLE[nearest](tf.constant(image)[None, ..., None], transform)[0, ..., 0].numpy()


def affine(size, angle=MIDDLE, columns=MIDDLE, rows=MIDDLE, **arguments) -> tf.Tensor:
    return random_affine(tf.constant([[angle, columns, rows, MIDDLE]]), size, **arguments)


@pytest.mark.parametrize("nearest", [False, True])
@pytest.mark.parametrize(
    "augment", [{}, {"random_affine": {}}, {"random_flip": {"probability": 0.0}}], ids=str
)
def test_the_identity_leaves_every_pixel_exactly(augment, nearest):
    images = tf.constant(noise(3, *SIZE, 2))
    transforms = draw_changes(seeds(3), SIZE, augment, probability=1.0).transforms
    assert np.array_equal(RESAMPLE[nearest](images, transforms), images)


def test_intensities_alone_leave_labels_and_places_as_they_are():
    images, known = tf.constant(noise(4, *SLICES.size, 2)), _known(4)
    labels = tf.constant(np.random.default_rng(0).integers(0, 9, (4, *SLICES.size)), tf.uint8)
    only = {"random_contrast": {}}
    changed, moved = augment_images(images, labels, seeds(4), only, 1.0, known)
    factors = draw_changes(seeds(4), SLICES.size, only, 1.0).intensities["random_contrast"]
    np.testing.assert_array_equal(changed, apply_contrast(images, factors, known.mean))
    np.testing.assert_array_equal(moved, labels)
    assert moved.dtype == tf.int32


def _known(count: int) -> Known:
    return Known(SLICES.size, tf.ones((count, 2)), tf.zeros((count, 2)), tf.ones((count, 2)))


@pytest.mark.parametrize(("uniform", "quarters"), [(0.0, -1), (1.0, 1)])
@pytest.mark.parametrize("nearest", [False, True])
def test_ninety_degrees_is_a_quarter_turn(uniform, quarters, nearest):
    # The lowest uniform is -max_degrees. Positive angles turn counter-clockwise on the screen,
    # as np.rot90 with k=1.
    image = noise(16, 16)
    result = moved(image, affine((16, 16), angle=uniform, max_degrees=90.0), nearest)
    np.testing.assert_allclose(result, np.rot90(image, quarters), atol=0.05)


def test_a_half_turn_of_an_oblong_image_is_about_its_centre():
    image = noise(*SIZE)
    result = moved(image, affine(SIZE, angle=1.0, max_degrees=180.0), nearest=True)
    assert np.array_equal(result, image[::-1, ::-1])


def test_a_shift_moves_right_and_down_by_its_share_of_columns_and_rows():
    image = noise(*SIZE)
    right = moved(image, affine(SIZE, columns=1.0, max_shift_fraction=0.25))
    np.testing.assert_allclose(right[:, 4:], image[:, :-4], atol=1e-3)
    np.testing.assert_allclose(right[:, :4], np.repeat(image[:, :1], 4, axis=1), atol=1e-3)
    down = moved(image, affine(SIZE, rows=1.0, max_shift_fraction=0.25))
    np.testing.assert_allclose(down[3:], image[:-3], atol=1e-3)
    left = moved(image, affine(SIZE, columns=0.0, max_shift_fraction=0.25))
    np.testing.assert_allclose(left[:, :-4], image[:, 4:], atol=1e-3)
    up = moved(image, affine(SIZE, rows=0.0, max_shift_fraction=0.25))
    np.testing.assert_allclose(up[:-3], image[3:], atol=1e-3)


def test_half_a_pixel_of_shift_is_the_mean_of_two_pixels():
    image = noise(*SIZE)
    result = moved(image, affine(SIZE, columns=1.0, max_shift_fraction=0.5 / SIZE[1]))
    np.testing.assert_allclose(result[:, 1:], (image[:, 1:] + image[:, :-1]) / 2, atol=0.01)


def test_a_zoom_of_two_doubles_a_centred_square():
    image, wanted = np.zeros((16, 16), np.float32), np.zeros((16, 16), np.float32)
    image[6:10, 6:10], wanted[4:12, 4:12] = 1, 1
    assert np.array_equal(moved(image, affine((16, 16), zoom=(2.0, 2.0)), nearest=True), wanted)


@pytest.mark.parametrize("zoom", [(0.0, 1.2), (-1.0, 1.0), (1.2, 0.8)])
def test_a_zoom_that_is_not_positive_is_refused(zoom):
    with pytest.raises(InputError, match="random_affine.zoom must be"):
        check_augment({"random_affine": {"zoom": zoom}}, (16, 16))


def test_zoom_is_drawn_between_its_ends():
    for uniform, zoom in ((0.0, 0.5), (0.5, 1.25), (1.0, 2.0)):
        matrix = random_affine(tf.constant([[0.5, 0.5, 0.5, uniform]]), SIZE, zoom=(0.5, 2.0))
        np.testing.assert_allclose(np.diag(matrix[0]), [1 / zoom, 1 / zoom, 1], rtol=1e-6)


@pytest.mark.parametrize(
    ("axis", "flipped"), [("columns", np.s_[:, ::-1]), ("rows", np.s_[::-1])], ids=["columns", "rows"]
)
def test_a_flip_mirrors_its_axis_exactly(axis, flipped):
    image = noise(*SIZE)
    below, above = (random_flip(tf.constant([[u]]), SIZE, axis, probability=0.3) for u in (0.29, 0.31))
    assert np.array_equal(moved(image, below), image[flipped])
    assert np.array_equal(moved(image, above), image)


def test_every_operation_of_a_record_applies():
    # A flip after a certain zoom: both must be seen, in whatever order.
    augment = {"random_affine": {"zoom": (2.0, 2.0)}, "random_flip": {"probability": 1.0}}
    image = np.zeros((16, 16), np.float32)
    image[6:10, 8:10] = 1  # right of the centre
    wanted = np.zeros((16, 16), np.float32)
    wanted[4:12, 4:8] = 1  # twice as large, left of it
    transforms = draw_changes(seeds(1), (16, 16), augment, 1.0).transforms
    result = resample_nearest(tf.constant(image)[None, ..., None], transforms)
    assert np.array_equal(result[0, ..., 0], wanted)


def test_angles_and_shifts_fill_their_ranges_evenly():
    augment = {"random_affine": {"max_degrees": 20.0, "max_shift_fraction": 0.25}}
    matrix = draw_changes(seeds(400), SIZE, augment, 1.0).transforms.numpy()
    degrees = np.degrees(np.arctan2(matrix[:, 3], matrix[:, 0]))
    centre = np.array([(SIZE[1] - 1) / 2, (SIZE[0] - 1) / 2])
    source = np.stack([matrix[:, :3] @ [*centre, 1], matrix[:, 3:6] @ [*centre, 1]], axis=-1)
    shifts = (source - centre) / [SIZE[1], SIZE[0]]  # of the image's size
    for values, limit in ((degrees, 20.0), (shifts[:, 0], 0.25), (shifts[:, 1], 0.25)):
        assert 0.95 * limit < np.abs(values).max() <= limit * (1 + 1e-5)
        assert abs(values.mean()) < 0.1 * limit
        assert abs(np.abs(values).mean() / limit - 0.5) < 0.06
