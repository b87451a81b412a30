"""Elastic deformation: B-splines as SciPy has them, fields that do not fold, labels that move along."""

import numpy as np
import pytest
import tensorflow as tf
from augmented import SLICES, VOLUMES, noise, seeds
from scipy.interpolate import BSpline
from scipy.ndimage import map_coordinates

from mri_tf.core.errors import InputError
from mri_tf.pipeline import resample2d, resample3d
from mri_tf.pipeline.augment2d import check_augment
from mri_tf.pipeline.batches import batch_function
from mri_tf.pipeline.elastic import NAME, displacements, draw_displacements, spline_weights
from mri_tf.pipeline.known import Known

each_grid = pytest.mark.parametrize("size", [(24, 30), (12, 20, 16)], ids=("2D", "3D"))


def known(count: int, size: tuple[int, ...], spacing_mm=None) -> Known:
    spacing = tf.ones((count, len(size))) if spacing_mm is None else tf.constant(spacing_mm, tf.float32)
    return Known(size, spacing, tf.zeros((count, 1)), tf.ones((count, 1)))


def drawn(count: int, of: Known, changed=None, **values) -> np.ndarray:
    chosen = tf.fill([count], True) if changed is None else tf.constant(changed)
    augment = {NAME: {"probability": 1.0, **values}}
    return draw_displacements(seeds(count), of, augment, chosen).numpy()


@pytest.mark.parametrize(("length", "points"), [(20, 5), (33, 7), (8, 12)])
def test_the_weights_are_those_of_cubic_b_splines(length, points):
    place = (np.arange(length) + 0.5) / length * (points - 3)
    knots = np.arange(points + 4) - 3.0
    expected = BSpline.design_matrix(place, knots, 3).toarray()
    np.testing.assert_allclose(spline_weights(length, points), expected, atol=1e-6)
    np.testing.assert_allclose(spline_weights(length, points).sum(axis=1), 1, atol=1e-6)


def test_equal_control_points_move_every_voxel_by_as_much():
    control = np.broadcast_to([1.5, -2.0, 0.25], (1, 6, 6, 6, 3)).astype("f4")
    field = displacements(tf.constant(control), (9, 10, 11)).numpy()
    np.testing.assert_allclose(field, np.broadcast_to([1.5, -2.0, 0.25], field.shape), atol=1e-5)


@each_grid
def test_places_are_read_where_scipy_reads_them(size):
    axes = len(size)
    field = drawn(2, known(2, size), max_mm=3.0)
    images = noise(2, *size, 2)
    labels = np.random.default_rng(0).integers(0, 3, (2, *size)).astype(np.int32)
    if axes == 2:
        identity = tf.constant([[1.0, 0, 0, 0, 1, 0, 0, 0]] * 2)
        moved = resample2d.resample_linear(tf.constant(images), identity, tf.constant(field))
        nearest = resample2d.resample_nearest(tf.constant(labels)[..., None], identity, field)[..., 0]
    else:
        identity = tf.eye(4, batch_shape=[2])
        moved = resample3d.resample_linear(tf.constant(images), identity, tf.constant(field))
        nearest = resample3d.resample_nearest(tf.constant(labels), identity, tf.constant(field))
    grid = np.stack(np.meshgrid(*map(np.arange, size), indexing="ij"))
    for record in range(2):
        places = grid + np.moveaxis(field[record], -1, 0)
        for channel in range(2):
            wanted = map_coordinates(images[record, ..., channel], places, order=1, mode="nearest")
            np.testing.assert_allclose(moved[record, ..., channel], wanted, atol=0.02)
        wanted = map_coordinates(labels[record], places, order=0, mode="nearest")
        assert np.mean(nearest[record] != wanted) < 0.005  # a place half way may go either way


@each_grid
def test_no_field_folds_however_large_the_displacement_that_is_asked_for(size):
    field = drawn(8, known(8, size), max_mm=1000.0, control_points=6)
    axes = len(size)
    steps = np.stack([np.stack(np.gradient(field[..., axis], axis=tuple(range(1, axes + 1))), -1)
                      for axis in range(axes)], axis=-2)  # fmt: skip
    volumes = np.linalg.det(steps + np.eye(axes))
    assert volumes.min() > 0 and np.abs(field).max() > 1


def test_displacements_are_in_mm_and_records_that_stay_have_none():
    size = (24, 30)
    one, other = known(3, size), known(3, size, [[2.0, 0.5]] * 3)
    fields = [drawn(3, of, [True, False, True], max_mm=0.5) for of in (one, other)]
    np.testing.assert_allclose(fields[0][..., 0], 2 * fields[1][..., 0], atol=1e-5)
    np.testing.assert_allclose(fields[0][..., 1], 0.5 * fields[1][..., 1], atol=1e-5)
    assert not fields[0][1].any() and fields[0][0].any() and fields[0][2].any()
    assert np.abs(fields[0]).max() <= 0.5
    single = drawn(1, known(1, size), max_mm=0.5)
    np.testing.assert_allclose(single[0], fields[0][0], atol=1e-6)  # whatever batch is around it


@pytest.mark.parametrize("grid", [SLICES, VOLUMES], ids=("2D", "3D"))
def test_masks_move_with_their_images(grid):
    task = grid.task(augment={NAME: {"max_mm": 2.0, "control_points": 6, "probability": 1.0}})
    batch = grid.batch()
    image, mask, _ = batch_function(task, training=True)(batch)
    assert (mask.numpy() != batch["mask"].numpy()).any()
    likely = np.argmax(np.concatenate([np.full((*image.shape[:-1], 1), 0.5), image], -1), axis=-1)
    sure = np.abs(image.numpy() - 0.5).min(axis=-1) > 0.2  # not at the border of a label
    assert (likely == mask.numpy())[sure].mean() > 0.99


def test_values_that_deform_nothing_are_refused():
    for message, values in {
        "max_mm must be 0 or more. Received: -1.0": dict(max_mm=-1.0),
        "control_points must be from 5 to 20. Received: 4": dict(control_points=4),
        "probability must be from 0 to 1": dict(probability=2.0),
    }.items():
        with pytest.raises(InputError, match=message):
            check_augment({NAME: values}, (16, 16))
