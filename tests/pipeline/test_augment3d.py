"""Augmentation of volumes in closed form, against SciPy, and alike wherever it runs."""

import numpy as np
import pytest
import tensorflow as tf
from scipy.ndimage import map_coordinates

from mri_tf.core.errors import InputError
from mri_tf.pipeline.augment2d import check_augment
from mri_tf.pipeline.augment3d import (
    AXES,
    PLANES,
    apply_changes,
    draw_changes,
    random_affine3d,
    random_flip,
    random_gamma,
    random_rot90,
)
from mri_tf.pipeline.augment_ops import apply_gamma
from mri_tf.pipeline.batches import batch_function
from mri_tf.pipeline.resample3d import resample_linear, resample_nearest
from mri_tf.task import Task

SIZE = (8, 10, 12)  # depth, rows, columns: all different, so that a swap is seen
CUBE = (11, 11, 11)
EVERYTHING = {
    "random_affine3d": {
        "max_degrees": (10.0, 20.0, 30.0),
        "max_shift_fraction": 0.1,
        "zoom": (0.8, 1.2),
        "spacing_mm": (2.0, 1.0, 1.0),
    },
    "random_flip": {"axis": "left_right"},
}
DEPTH, ROWS, COLUMNS = range(3)


def noise(*shape, seed=0) -> np.ndarray:
    return np.random.default_rng(seed).uniform(-1000, 1000, shape).astype(np.float32)


def seeds(count, first=0) -> tf.Tensor:
    return tf.constant([[5, first + number] for number in range(count)], tf.int64)


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


# ---- geometry


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
    images, moved_map = apply_changes(tf.constant(volumes), tf.constant(labels), changes, augment)
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


# ---- what is drawn


def share_changed(augment, probability, count=400) -> float:
    matrices = draw_changes(seeds(count), SIZE, augment, probability).matrix.numpy()
    return float(np.mean(np.any(matrices != np.eye(4), axis=(1, 2))))


AFFINE_ONLY = {"random_affine3d": {"max_degrees": 30.0}}


def test_with_probability_nought_nothing_and_with_one_everything_changes():
    assert share_changed(AFFINE_ONLY, 0.0) == 0
    assert share_changed(AFFINE_ONLY, 1.0) == 1


def test_with_probability_six_tenths_about_that_many_change_in_both_ways():
    augment = {**AFFINE_ONLY, "random_gamma": {}}
    changes = draw_changes(seeds(400), SIZE, augment, 0.6)
    turned = np.any(changes.matrix.numpy() != np.eye(4), axis=(1, 2))
    assert abs(turned.mean() - 0.6) < 0.08  # 3.3 standard deviations of 400
    assert np.array_equal(turned, changes.exponent.numpy() != 1)


def test_a_flip_and_quarter_turns_have_their_own_probability_beside():
    assert abs(share_changed({"random_flip": {"probability": 0.5}}, 0.6) - 0.3) < 0.08
    assert abs(share_changed({"random_rot90": {}}, 1.0) - 0.75) < 0.08


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


# ---- records in a batch


def a_task(kind="segmentation", **changes) -> Task:
    values = dict(
        name="tiny", kind=kind, channels=("t1", "t2"), image_shape=SIZE, class_names=("a", "b", "c"),
        model="mnet", normalize=dict(method="range", low=0.0, high=1.0), augment=EVERYTHING,
        augment_probability=1.0,
    )  # fmt: skip
    return Task(**{**values, **changes})


def raw_batch(count=4, seed=0) -> dict:
    """A batch as it is read: masks of three labels, whose channels are the labels themselves."""
    rng = np.random.default_rng(seed)
    masks = np.zeros((count, *SIZE), np.int32)
    for mask in masks:
        top, left = rng.integers(0, SIZE[1] - 6), rng.integers(0, SIZE[2] - 7)
        mask[1:7, top : top + 6, left : left + 7] = 1
        mask[2:6, top + 1 : top + 5, left + 3 : left + 7] = 2
    images = np.stack([masks == 1, masks == 2], axis=-1).astype(np.int16)
    return {
        "image": tf.constant(images),
        "mask": tf.constant(masks),
        "label": tf.constant(rng.integers(0, 3, count), tf.int32),
        "intensity_stats": tf.constant(np.tile([0.0, 1.0], (count, 2, 2, 1)), tf.float32),
        "weight": tf.constant(rng.uniform(0.5, 2, count), tf.float32),
        "seed": seeds(count),
    }


def test_image_and_mask_move_together():
    batch = raw_batch()
    image, mask, weight = batch_function(a_task(), training=True)(batch)
    assert not np.array_equal(mask, batch["mask"])
    for label in (1, 2):
        channel = image[..., label - 1].numpy()
        inside, outside = channel > 1 - 1e-4, channel < 1e-4  # where interpolation mixed nothing
        assert inside.sum() > 50
        assert np.all(mask.numpy()[inside] == label)
        assert np.all(mask.numpy()[outside] != label)
    assert np.array_equal(weight, batch["weight"])


def test_labels_of_a_moved_mask_are_labels():
    batch = raw_batch()
    batch["mask"] = tf.where(batch["mask"] == 2, 16, batch["mask"])  # 1 and 16: no mean is either
    _, mask, _ = batch_function(a_task(), training=True)(batch)
    assert mask.dtype == tf.int32
    assert set(np.unique(mask)) == {0, 1, 16}
    assert mask.shape == batch["mask"].shape


def test_a_classification_batch_keeps_its_labels():
    batch = raw_batch()
    image, label, weight = batch_function(a_task(kind="classification"), training=True)(batch)
    assert np.array_equal(label, batch["label"])
    assert np.array_equal(weight, batch["weight"])
    assert (image.shape, image.dtype) == ((4, *SIZE, 2), tf.float32)


def test_gamma_bends_what_is_stored_and_not_its_zscores():
    batch = {**raw_batch(), "image": tf.constant(np.abs(noise(4, *SIZE, 2)))}
    batch["intensity_stats"] = tf.constant(np.tile([500.0, 200.0], (4, 2, 2, 1)), tf.float32)
    augment = {"random_gamma": {"low": 0.5, "high": 0.6, "value_range": (0.0, 1000.0)}}
    task = a_task(augment=augment, normalize={"method": "zscore"})
    image, mask, _ = batch_function(task, training=True)(batch)
    exponents = draw_changes(batch["seed"], SIZE, augment, 1.0).exponent
    powers = (batch["image"] / 1000) ** exponents[:, None, None, None, None]
    np.testing.assert_allclose(image, (powers * 1000 - 500) / 200, atol=1e-4)
    assert np.array_equal(mask, batch["mask"])


def test_a_record_is_changed_alike_whatever_the_batch_around_it():
    task = a_task(augment={**EVERYTHING, "random_gamma": {}}, augment_probability=0.6)
    make, batch = batch_function(task, training=True), raw_batch(4)
    together = [part.numpy() for part in make(batch)]
    for keep in ([3], [2, 0, 1]):
        some = make({key: tf.gather(value, keep) for key, value in batch.items()})
        np.testing.assert_allclose(some[0], together[0][keep], atol=1e-5)
        assert np.array_equal(some[1], together[1][keep])
        assert np.array_equal(some[2], together[2][keep])


def test_a_seed_repeats_and_another_seed_does_not():
    make, batch = batch_function(a_task(), training=True), raw_batch(1)
    images = [make({**batch, "seed": seeds(1, first)})[0].numpy().tobytes() for first in (0, 1, 2, 0)]
    assert images[0] == images[3]
    assert len(set(images)) == 3


def test_a_batch_is_changed_alike_eagerly_in_a_graph_and_in_data_sets_of_any_batch():
    task = a_task(augment={**EVERYTHING, "random_gamma": {}}, augment_probability=0.6)
    make, batch = batch_function(task, training=True), raw_batch(4)
    eager = make(batch)
    in_graph = tf.function(make)(batch)
    in_data_set = list(tf.data.Dataset.from_tensor_slices(batch).batch(3).map(make))
    assert [image.shape[0] for image, _, _ in in_data_set] == [3, 1]
    joined = [np.concatenate(parts) for parts in zip(*in_data_set, strict=True)]
    for other in (in_graph, joined):
        np.testing.assert_allclose(other[0], eager[0], atol=1e-5)
        assert np.array_equal(other[1], eager[1])
        assert np.array_equal(other[2], eager[2])


# ---- refusals


@pytest.mark.parametrize(
    ("augment", "words"),
    [
        ({"random_affine": {}}, "not for 3D images"), ({"random_turn": {}}, "augment3d.py"),
        ({"random_affine3d": {"degrees": 3}}, "degrees"), ({"random_gamma": {"low": "one"}}, "low"),
        ({"random_affine3d": {"max_degrees": (1.0, 2.0)}}, "max_degrees"),
        ({"random_affine3d": {"zoom": (0.0, 1.0)}}, "zoom"),
        ({"random_affine3d": {"spacing_mm": (1.0, 0.0, 1.0)}}, "spacing_mm"),
        ({"random_flip": {"axis": "columns"}}, "left_right"),
        ({"random_rot90": {"axes": ("depth",)}}, "head_foot"),
        ({"random_rot90": {}}, "Received: 10 x 12 voxels"),
        ({"random_rot90": {"axes": ("left_right",)}}, "Received: 8 x 10 voxels"),
        ({"random_gamma": {"low": 1.2}}, "0 < low <= high"),
        ({"random_gamma": {"value_range": (3.0, 3.0)}}, "value_range"),
    ],
    ids=str,
)  # fmt: skip
def test_what_no_volume_can_be_changed_by_is_refused_before_any_data_is_read(augment, words):
    with pytest.raises(InputError) as error:
        check_augment(augment, SIZE)
    assert "\n" not in str(error.value)
    assert words in str(error.value)


@pytest.mark.parametrize("name", ["random_affine3d", "random_rot90", "random_gamma"])
def test_an_operation_on_volumes_is_refused_for_slices(name):
    with pytest.raises(InputError, match="not for 2D images"):
        check_augment({name: {}}, (32, 32))


def test_what_exists_is_not_refused():
    check_augment({**EVERYTHING, "random_gamma": {"value_range": (0.0, 255.0)}}, SIZE)
    check_augment({"random_rot90": {}}, (4, 9, 9))
    check_augment({"random_rot90": {"axes": AXES}}, CUBE)
    check_augment({"random_affine3d": {"max_degrees": 20.0, "max_shift_fraction": (0.1, 0.0, 0)}}, SIZE)
