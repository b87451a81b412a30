"""Augmentation of volumes in closed form and against SciPy."""

import numpy as np
import pytest
import tensorflow as tf
from augmented import VOLUMES, noise, seeds
from scipy.ndimage import map_coordinates

from mri_tf.pipeline.augment3d import (
    AXES,
    PLANES,
    apply_changes,
    draw_changes,
    random_affine3d,
    random_flip,
    random_rot90,
)
from mri_tf.pipeline.batches import batch_function
from mri_tf.pipeline.contrast import apply_gamma, random_gamma
from mri_tf.pipeline.known import Known
from mri_tf.pipeline.resample3d import resample_linear, resample_nearest

SIZE = VOLUMES.size
KNOWN = Known(SIZE, tf.ones((2, 3)), tf.zeros((2, 1)), tf.ones((2, 1)))
CUBE = (11, 11, 11)
DEPTH, ROWS, COLUMNS = range(3)


def moved(volume: np.ndarray, matrix: tf.Tensor) -> np.ndarray:
    """One volume (depth, rows, columns) through one (1, 4, 4) matrix, linear."""
    return resample_linear(tf.constant(volume)[None, ..., None], matrix)[0, ..., 0].numpy()


def moved_labels(labels: np.ndarray, matrix: tf.Tensor) -> np.ndarray:
    return resample_nearest(tf.constant(labels, tf.int32)[None], matrix)[0].numpy()


def affine(size, angles=(0.5,) * 3, shifts=(0.5,) * 3, **arguments) -> tf.Tensor:
    """The matrix of uniforms, of which 0.5 turns and shifts nothing."""
    return random_affine3d(tf.constant([[*angles, *shifts, 0.5]]), size, **arguments)


def at(axis: int, value: float) -> tuple[float, float, float]:
    values = [0.5] * 3
    values[axis] = value
    return tuple(values)


@pytest.mark.parametrize(
    "augment",
    [
        {"random_affine3d": {"spacing_mm": (3.0, 0.7, 0.9)}}, {"random_flip": {"probability": 0.0}},
        {"random_rot90": {"axes": ()}}, {"random_gamma": {"low": 1.0, "high": 1.0}},
    ],
    ids=lambda augment: next(iter(augment)),
)  # fmt: skip
def test_identity_parameters_leave_every_voxel_exactly(augment):
    volumes, labels = noise(2, *SIZE, 1), np.arange(2 * np.prod(SIZE)).reshape(2, *SIZE)
    changes = draw_changes(seeds(2), SIZE, augment, probability=1.0)
    given = tf.constant(volumes), tf.constant(labels), changes, augment
    images, moved_map = apply_changes(*given, KNOWN)
    assert np.array_equal(images, volumes)
    assert np.array_equal(moved_map, labels)


def test_any_matrix_reads_what_scipy_reads():
    volumes = noise(3, *SIZE, 2)
    augment = {"random_affine3d": {"max_degrees": 180.0, "max_shift_fraction": 0.3, "zoom": (0.5, 2.0)}}
    matrices = draw_changes(seeds(3), SIZE, augment, 1.0).matrix
    linear = resample_linear(tf.constant(volumes), matrices)
    nearest = resample_nearest(tf.constant(volumes[..., 0]), matrices)
    centre = (np.array(SIZE) - 1) / 2
    grid = np.stack(np.meshgrid(*map(np.arange, SIZE), indexing="ij"), -1) - centre
    for record, matrix in enumerate(matrices.numpy().astype(float)):
        places = np.moveaxis(grid @ matrix[:3, :3].T + matrix[:3, 3] + centre, -1, 0)
        for channel in range(2):
            wanted = map_coordinates(volumes[record, ..., channel], places, order=1, mode="nearest")
            np.testing.assert_allclose(linear[record, ..., channel], wanted, atol=0.02)
        wanted = map_coordinates(volumes[record, ..., 0], places, order=0, mode="nearest")
        assert np.mean(nearest[record] != wanted) < 0.002  # a place half way may go either way


@pytest.mark.parametrize("axis", range(3), ids=AXES)
def test_ninety_degrees_about_an_axis_is_the_quarter_turn(axis):
    volume = noise(*CUBE)
    for uniform, quarters in ((0.0, -1), (1.0, 1)):
        matrix = affine(CUBE, angles=at(axis, uniform), max_degrees=90.0)
        np.testing.assert_allclose(
            moved(volume, matrix), np.rot90(volume, quarters, PLANES[axis]), atol=0.05
        )


def test_only_the_named_axis_turns_where_degrees_are_given_of_each():
    for axis in range(3):
        degrees = tuple(30.0 if one == axis else 0.0 for one in range(3))
        matrix = affine(SIZE, angles=(1.0, 1.0, 1.0), max_degrees=degrees)[0].numpy()
        kept = np.zeros(4)
        kept[axis] = 1
        assert np.array_equal(matrix[axis], kept)
        assert np.array_equal(matrix[:, axis], kept)
        assert np.trace(matrix) == pytest.approx(2 + 2 * np.cos(np.radians(30.0)))


def test_a_rotation_about_three_axes_is_the_product_of_three():
    angles = (0.1, 0.8, 0.3)
    whole = affine(SIZE, angles=angles, max_degrees=40.0)
    parts = [affine(SIZE, angles=at(axis, angles[axis]), max_degrees=40.0) for axis in range(3)]
    np.testing.assert_allclose(whole, parts[0] @ parts[1] @ parts[2], atol=1e-6)
    assert np.linalg.det(whole[0]) == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("axis", range(3), ids=AXES)
def test_a_shift_by_whole_voxels_is_exact_and_repeats_the_border(axis):
    volume = noise(*SIZE)
    fraction = tuple(2 / length for length in SIZE)
    forward = moved(volume, affine(SIZE, shifts=at(axis, 1.0), max_shift_fraction=fraction))
    padded = np.pad(volume, [(2, 0) if one == axis else (0, 0) for one in range(3)], mode="edge")
    assert np.array_equal(forward, np.take(padded, range(SIZE[axis]), axis))
    back = moved(volume, affine(SIZE, shifts=at(axis, 0.0), max_shift_fraction=fraction))
    padded = np.pad(volume, [(0, 2) if one == axis else (0, 0) for one in range(3)], mode="edge")
    assert np.array_equal(back, np.take(padded, range(2, SIZE[axis] + 2), axis))


def test_half_a_voxel_of_shift_is_the_mean_of_two():
    volume = noise(*SIZE)
    result = moved(volume, affine(SIZE, shifts=at(DEPTH, 1.0), max_shift_fraction=0.5 / SIZE[0]))
    np.testing.assert_allclose(result[1:], (volume[1:] + volume[:-1]) / 2, atol=1e-3)


def test_a_zoom_of_two_doubles_a_centred_box():
    labels, wanted = np.zeros(SIZE, int), np.zeros(SIZE, int)
    zoomed = random_affine3d(tf.fill([1, 7], 0.5), SIZE, zoom=(2.0, 2.0))
    labels[3:5, 4:6, 5:7], wanted[2:6, 3:7, 4:8] = 1, 1
    assert np.array_equal(moved_labels(labels, zoomed), wanted)


def test_zoom_is_drawn_between_its_ends():
    for uniform, zoom in ((0.0, 0.5), (0.5, 1.25), (1.0, 2.0)):
        uniforms = tf.constant([[0.5] * 6 + [uniform]])
        matrix = random_affine3d(uniforms, SIZE, zoom=(0.5, 2.0))[0]
        np.testing.assert_allclose(np.diag(matrix), [1 / zoom] * 3 + [1], rtol=1e-6)


@pytest.mark.parametrize("axis", range(3), ids=AXES)
def test_a_flip_mirrors_its_anatomical_axis_exactly_and_twice_is_nothing(axis):
    volume = noise(*SIZE)
    below, above = (random_flip(tf.constant([[u]]), SIZE, AXES[axis], 0.3) for u in (0.29, 0.31))
    once = moved(volume, below)
    assert np.array_equal(once, np.flip(volume, axis))
    assert np.array_equal(moved(once, below), volume)
    assert np.array_equal(moved(volume, above), volume)


@pytest.mark.parametrize("axis", range(3), ids=AXES)
def test_quarter_turns_are_exact_and_four_are_nothing(axis):
    volume = noise(*CUBE)
    for quarters, uniform in enumerate((0.0, 0.25, 0.5, 0.75)):
        matrix = random_rot90(tf.constant([at(axis, uniform)]), CUBE, (AXES[axis],))
        assert np.array_equal(moved(volume, matrix), np.rot90(volume, quarters, PLANES[axis]))
    once = random_rot90(tf.constant([at(axis, 0.25)]), CUBE, (AXES[axis],))
    assert np.array_equal(once @ once @ once @ once, tf.eye(4)[None])


def test_quarter_turns_need_no_cube_only_a_square_across_their_axis():
    volume = noise(4, 9, 9)
    matrix = random_rot90(tf.constant([[0.3, 0.9, 0.9]]), (4, 9, 9))
    assert np.array_equal(moved(volume, matrix), np.rot90(volume, 1, (ROWS, COLUMNS)))


def test_quarter_turns_about_three_axes_reach_all_the_cubes_twenty_four():
    matrices = random_rot90(tf.random.stateless_uniform([600, 3], [1, 2]), CUBE, AXES).numpy()
    assert len({matrix.tobytes() for matrix in matrices + 0.0}) == 24
    assert np.all(np.linalg.det(matrices) == 1)


def test_operations_apply_in_the_order_they_are_named():
    shift = {"random_affine3d": {"max_shift_fraction": 0.3}}
    flip = {"random_flip": {"probability": 1.0}}
    volume = noise(*SIZE)
    matrices = [draw_changes(seeds(1), SIZE, augment, 1.0).matrix for augment in (
        {**shift, **flip}, shift)]  # fmt: skip
    assert np.array_equal(moved(volume, matrices[0]), moved(volume, matrices[1])[..., ::-1])


# ---- millimetres


SPACING_MM = (3.0, 1.0, 1.5)
OBLONG = (16, 48, 32)  # 48 mm along each axis
SEMIAXES_MM = np.array([18.0, 10.0, 7.0])


def ellipsoid(turned: np.ndarray) -> np.ndarray:
    """The inside of the ellipsoid whose mm coordinates from the centre are `turned` @ the grid's."""
    lines = [(np.arange(n) - (n - 1) / 2) * mm for n, mm in zip(OBLONG, SPACING_MM, strict=True)]
    places = np.stack(np.meshgrid(*lines, indexing="ij"), -1) @ turned.T
    return (((places / SEMIAXES_MM) ** 2).sum(-1) <= 1).astype(np.int32)


def dice(one: np.ndarray, other: np.ndarray) -> float:
    return 2 * np.sum(one & other) / (one.sum() + other.sum())


@pytest.mark.parametrize("angles", [(0.5, 0.5, 1.0), (0.9, 0.2, 0.7), (0.5, 1.0, 0.5)], ids=str)
def test_a_rotation_is_one_of_millimetres_on_an_anisotropic_grid(angles):
    degrees = dict(max_degrees=60.0)
    turn = affine(OBLONG, angles=angles, **degrees)[0, :3, :3].numpy()
    assert np.allclose(turn @ turn.T, np.eye(3), atol=1e-6)
    before, wanted = ellipsoid(np.eye(3)), ellipsoid(turn)
    after = moved_labels(before, affine(OBLONG, angles=angles, spacing_mm=SPACING_MM, **degrees))
    assert abs(after.sum() / before.sum() - 1) < 0.02  # the volume stays
    assert dice(after, wanted) > 0.93  # borders are rounded to voxels of 3 mm
    in_voxels = moved_labels(before, affine(OBLONG, angles=angles, **degrees))
    assert dice(in_voxels, wanted) < 0.9


# ---- intensities


def bent(volumes: np.ndarray, exponent: float, value_range=None) -> np.ndarray:
    exponents = tf.fill([len(volumes)], exponent)
    return apply_gamma(tf.constant(volumes), exponents, value_range).numpy()


def test_gamma_is_a_power_of_what_is_scaled_to_nought_and_one():
    volumes = noise(2, *SIZE, 2)
    volumes[1, ..., 0] *= 5  # each record and channel by its own range
    low, high = (f(volumes, axis=(1, 2, 3), keepdims=True) for f in (np.min, np.max))
    wanted = ((volumes - low) / (high - low)).astype(float) ** 0.85 * (high - low) + low
    np.testing.assert_allclose(bent(volumes, 0.85), wanted, rtol=1e-5, atol=0.01)


@pytest.mark.parametrize("exponent", [0.85, 1.15])
def test_gamma_keeps_the_order_the_least_and_the_greatest(exponent):
    volumes = np.sort(noise(1, *SIZE, 1).ravel()).reshape(1, *SIZE, 1)
    result = bent(volumes, exponent).ravel()
    assert np.all(np.diff(result) >= 0)
    np.testing.assert_allclose(result[[0, -1]], volumes.ravel()[[0, -1]], rtol=1e-6)
    inner = (result - volumes.ravel())[1:-1]
    assert np.all(inner > -1e-3) if exponent < 1 else np.all(inner < 1e-3)  # brighter, darker
    assert np.abs(inner).max() > 50


def test_gamma_of_a_given_range_leaves_what_lies_beyond():
    values = np.array([-50, 0, 25, 100, 130], np.float32).reshape(1, 5, 1, 1, 1)
    result = bent(values, 0.5, (0.0, 100.0)).ravel()
    np.testing.assert_allclose(result, [-50, 0, 50, 100, 130], rtol=1e-6)


def test_a_channel_of_one_value_stays():
    volumes = noise(1, *SIZE, 2)
    volumes[..., 1] = 7
    result = bent(volumes, 0.9)
    assert np.array_equal(result[..., 1], volumes[..., 1])
    assert not np.array_equal(result[..., 0], volumes[..., 0])


def test_an_exponent_of_one_is_exact_beside_another():
    volumes = noise(2, *SIZE, 2)
    result = apply_gamma(tf.constant(volumes), tf.constant([1.0, 0.9]))
    assert np.array_equal(result[0], volumes[0])
    assert not np.array_equal(result[1], volumes[1])


def test_gamma_bends_what_is_stored_and_not_its_zscores():
    batch = {**VOLUMES.batch(), "image": tf.constant(np.abs(noise(4, *SIZE, 2)))}
    batch["intensity_stats"] = tf.constant(np.tile([500.0, 200.0], (4, 2, 2, 1)), tf.float32)
    augment = {"random_gamma": {"low": 0.5, "high": 0.6, "value_range": (0.0, 1000.0)}}
    task = VOLUMES.task(augment=augment, normalize={"method": "zscore"})
    image, mask, _ = batch_function(task, training=True)(batch)
    exponents = draw_changes(batch["seed"], SIZE, augment, 1.0).intensities["random_gamma"]
    powers = (batch["image"] / 1000) ** exponents[:, None, None, None, None]
    np.testing.assert_allclose(image, (powers * 1000 - 500) / 200, atol=1e-4)
    assert np.array_equal(mask, batch["mask"])


# ---- what is drawn


def test_angles_shifts_zooms_and_exponents_fill_their_ranges_evenly():
    uniforms = tf.random.stateless_uniform([400, 7], [3, 4])
    for axis in range(3):
        degrees = tuple(20.0 if one == axis else 0.0 for one in range(3))
        matrix = random_affine3d(uniforms, SIZE, degrees, 0.25).numpy()
        first, second = PLANES[axis]
        angles = np.degrees(np.arctan2(matrix[:, first, second], matrix[:, first, first]))
        for values, limit in ((angles, 20.0), (matrix[:, axis, 3] / SIZE[axis], 0.25)):
            fills(values, -limit, limit)
    zoom = random_affine3d(uniforms, SIZE, zoom=(0.8, 1.4)).numpy()[:, 0, 0]
    fills(1 / zoom, 0.8, 1.4)
    fills(random_gamma(uniforms[:, :1], SIZE).numpy(), 0.85, 1.15)


def fills(values: np.ndarray, low: float, high: float) -> None:
    share = (values - low) / (high - low)
    assert -1e-5 <= share.min() < 0.03
    assert 0.97 < share.max() <= 1 + 1e-5
    assert np.abs(np.sort(share) - (np.arange(len(share)) + 0.5) / len(share)).max() < 0.1
