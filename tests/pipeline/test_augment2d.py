"""Augmentation and normalisation in closed form, and alike wherever and with whomever they run."""

import numpy as np
import pytest
import tensorflow as tf

from mri_tf.core.errors import InputError
from mri_tf.pipeline.augment2d import (
    apply_transforms,
    check_augment,
    draw_transforms,
    random_affine,
    random_flip,
)
from mri_tf.pipeline.batches import batch_function
from mri_tf.pipeline.normalize import check_normalize, needs_stats, normalize, value_range, zscore
from mri_tf.task import Task

SIZE = (12, 16)  # rows, columns: not square, so that a swap of the two is seen
EVERYTHING = {
    "random_affine": {"max_degrees": 30.0, "max_shift_fraction": 0.1, "zoom": (0.8, 1.2)},
    "random_flip": {"axis": "columns"},
}
MIDDLE = 0.5  # the uniform number that turns, shifts and zooms nothing (zoom 0.8 to 1.2)


def noise(*shape, seed=0) -> np.ndarray:
    return np.random.default_rng(seed).uniform(-1000, 1000, shape).astype(np.float32)


def seeds(count, first=0) -> tf.Tensor:
    return tf.constant([[5, first + number] for number in range(count)], tf.int64)


def moved(image: np.ndarray, matrix: tf.Tensor, nearest=False) -> np.ndarray:
    """One image (rows, columns) through one (1, 3, 3) matrix."""
    transform = tf.reshape(matrix, (-1, 9))[:, :8]
    return apply_transforms(tf.constant(image)[None, ..., None], transform, nearest)[0, ..., 0].numpy()


def affine(size, angle=MIDDLE, columns=MIDDLE, rows=MIDDLE, **arguments) -> tf.Tensor:
    return random_affine(tf.constant([[angle, columns, rows, MIDDLE]]), size, **arguments)


# ---- geometry


@pytest.mark.parametrize("nearest", [False, True])
@pytest.mark.parametrize(
    "augment", [{}, {"random_affine": {}}, {"random_flip": {"probability": 0.0}}], ids=str
)
def test_the_identity_leaves_every_pixel_exactly(augment, nearest):
    images = tf.constant(noise(3, *SIZE, 2))
    transforms = draw_transforms(seeds(3), SIZE, augment, probability=1.0)
    assert np.array_equal(apply_transforms(images, transforms, nearest), images)


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
    transforms = draw_transforms(seeds(1), (16, 16), augment, 1.0)
    result = apply_transforms(tf.constant(image)[None, ..., None], transforms, nearest=True)
    assert np.array_equal(result[0, ..., 0], wanted)


# ---- how often


def share_changed(augment, probability, count=400) -> float:
    transforms = draw_transforms(seeds(count), SIZE, augment, probability).numpy()
    return float(np.mean(np.any(transforms != np.eye(3).ravel()[:8], axis=-1)))


AFFINE_ONLY = {"random_affine": {"max_degrees": 30.0}}


def test_with_probability_nought_nothing_and_with_one_everything_changes():
    assert share_changed(AFFINE_ONLY, 0.0) == 0
    assert share_changed(AFFINE_ONLY, 1.0) == 1


def test_with_probability_six_tenths_about_that_many_change():
    assert abs(share_changed(AFFINE_ONLY, 0.6) - 0.6) < 0.08  # 3.3 standard deviations of 400


def test_a_flip_has_its_own_probability_beside():
    assert abs(share_changed({"random_flip": {"probability": 0.5}}, 0.6) - 0.3) < 0.08


def test_angles_and_shifts_fill_their_ranges_evenly():
    augment = {"random_affine": {"max_degrees": 20.0, "max_shift_fraction": 0.25}}
    matrix = draw_transforms(seeds(400), SIZE, augment, 1.0).numpy()
    degrees = np.degrees(np.arctan2(matrix[:, 3], matrix[:, 0]))
    centre = np.array([(SIZE[1] - 1) / 2, (SIZE[0] - 1) / 2])
    source = np.stack([matrix[:, :3] @ [*centre, 1], matrix[:, 3:6] @ [*centre, 1]], axis=-1)
    shifts = (source - centre) / [SIZE[1], SIZE[0]]  # of the image's size
    for values, limit in ((degrees, 20.0), (shifts[:, 0], 0.25), (shifts[:, 1], 0.25)):
        assert 0.95 * limit < np.abs(values).max() <= limit * (1 + 1e-5)
        assert abs(values.mean()) < 0.1 * limit
        assert abs(np.abs(values).mean() / limit - 0.5) < 0.06


# ---- records in a batch


def a_task(kind="segmentation", **changes) -> Task:
    values = dict(
        name="tiny", kind=kind, channels=("ct", "mr"), image_shape=SIZE, class_names=("a", "b", "c"),
        model="mnet", normalize=dict(method="range", low=0.0, high=1.0), augment=EVERYTHING,
        augment_probability=1.0,
    )  # fmt: skip
    return Task(**{**values, **changes})


def raw_batch(count=6, seed=0) -> dict:
    """A batch as it is read: masks of three labels, whose first channel is the mask itself."""
    rng = np.random.default_rng(seed)
    masks = np.zeros((count, *SIZE), np.int32)
    for mask in masks:
        top, left = rng.integers(0, SIZE[0] - 6), rng.integers(0, SIZE[1] - 8)
        mask[top : top + 5, left : left + 7] = 1
        mask[top + 1 : top + 4, left + 3 : left + 7] = 2
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
    batch = raw_batch(24)
    image, mask, weight = batch_function(a_task(), training=True)(batch)
    assert not np.array_equal(mask, batch["mask"])
    for label in (1, 2):
        channel = image[..., label - 1].numpy()
        inside, outside = channel > 1 - 1e-4, channel < 1e-4  # where interpolation mixed nothing
        assert inside.sum() > 100
        assert np.all(mask.numpy()[inside] == label)
        assert np.all(mask.numpy()[outside] != label)
    assert np.array_equal(weight, batch["weight"])


def test_labels_of_a_moved_mask_are_labels():
    batch = raw_batch(24)
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
    assert (image.shape, image.dtype) == ((6, *SIZE, 2), tf.float32)


@pytest.mark.parametrize(
    ("training", "changes"), [(False, {}), (True, {"augment": {}}), (True, {"augment_probability": 0.0})]
)
def test_what_is_not_augmented_is_only_normalised(training, changes):
    batch = raw_batch()
    image, mask, _ = batch_function(a_task(**changes), training)(batch)
    assert np.array_equal(image, tf.cast(batch["image"], tf.float32))
    assert np.array_equal(mask, batch["mask"])


def test_a_record_is_changed_alike_whatever_the_batch_around_it():
    make, batch = batch_function(a_task(augment_probability=0.6), training=True), raw_batch(8)
    together = [part.numpy() for part in make(batch)]
    for keep in ([3], [7, 3, 0], [5, 6]):
        some = make({key: tf.gather(value, keep) for key, value in batch.items()})
        # The cosine's last bit hangs on the place in the batch; a pixel of 0 to 1 hardly does.
        np.testing.assert_allclose(some[0], together[0][keep], atol=1e-5)
        assert np.array_equal(some[1], together[1][keep])
        assert np.array_equal(some[2], together[2][keep])


def test_the_same_record_is_changed_otherwise_with_another_seed():
    make, batch = batch_function(a_task(), training=True), raw_batch(1)
    images = {make({**batch, "seed": seeds(1, first)})[0].numpy().tobytes() for first in range(8)}
    assert len(images) == 8


def test_a_batch_is_changed_alike_eagerly_in_a_graph_and_in_a_data_set():
    make, batch = batch_function(a_task(augment_probability=0.6), training=True), raw_batch(8)
    eager = make(batch)
    in_graph = tf.function(make)(batch)
    in_data_set = next(iter(tf.data.Dataset.from_tensors(batch).map(make)))
    for other in (in_graph, in_data_set):
        np.testing.assert_allclose(other[0], eager[0], atol=1e-4)
        assert np.array_equal(other[1], eager[1])
        assert np.array_equal(other[2], eager[2])


def test_a_batch_of_unknown_size_can_be_changed():
    make, batch = batch_function(a_task(), training=True), raw_batch(5)
    data = tf.data.Dataset.from_tensor_slices(batch).batch(2).map(make)
    assert [image.shape[0] for image, _, _ in data] == [2, 2, 1]
    whole = make(batch)[0]
    np.testing.assert_allclose(np.concatenate([image for image, _, _ in data]), whole, atol=1e-4)


# ---- refusals


@pytest.mark.parametrize(
    "augment",
    [
        {"random_rotation": {}}, {"random_affine": {"degrees": 3}}, {"random_flip": {"size": (2, 2)}},
        {"random_affine": 3}, {"random_affine": "max_degrees"}, {"random_flip": {"uniforms": 1}},
    ],
    ids=str,
)  # fmt: skip
def test_an_operation_or_argument_that_does_not_exist_is_refused(augment):
    with pytest.raises(InputError) as error:
        check_augment(augment, (32, 32))
    assert "\n" not in str(error.value)
    assert "Received:" in str(error.value)


def test_what_exists_is_not_refused():
    check_augment(EVERYTHING, (32, 32))
    check_augment({}, (8, 32, 32))


def test_a_flip_along_no_axis_is_refused_before_any_data_is_read():
    with pytest.raises(InputError, match="columns or rows"):
        check_augment({"random_flip": {"axis": "depth"}}, (32, 32))


# ---- intensities


def test_a_range_is_linear_between_its_ends_and_clipped_beyond():
    values = tf.constant([[-300.0, -200.0, 0.0, 200.0, 600.0, 900.0]])
    wanted = [[0, 0, 0.25, 0.5, 1, 1]]
    np.testing.assert_allclose(value_range(values, None, low=-200.0, high=600.0), wanted)
    settings = dict(method="range", low=-200.0, high=600.0)
    whole = tf.cast(values, tf.int16)
    result = normalize(whole, None, settings)
    assert result.dtype == tf.float32
    np.testing.assert_allclose(result, wanted)


STATS = np.array(  # (2 records, region: image, mask; 2 channels; mean, SD)
    [[[[10, 2], [100, 5]], [[20, 4], [200, 10]]], [[[30, 1], [0, 0.5]], [[40, 8], [1, 3]]]], np.float32
)


@pytest.mark.parametrize("grid", [(3, 4), (2, 3, 4)], ids=["2D", "3D"])
@pytest.mark.parametrize("region", ["image", "mask"])
def test_a_zscore_takes_the_mean_and_sd_of_its_region_a_record_and_channel(grid, region):
    images = noise(2, *grid, 2)
    result = normalize(tf.constant(images), tf.constant(STATS), {"method": "zscore", "region": region})
    number = ("image", "mask").index(region)
    for record in range(2):
        for channel in range(2):
            mean, deviation = STATS[record, number, channel]
            wanted = (images[record, ..., channel] - mean) / deviation
            np.testing.assert_allclose(result[record, ..., channel], wanted, rtol=1e-4, atol=1e-4)


def test_a_zscore_is_of_the_whole_image_unless_said_otherwise():
    images = tf.constant(noise(2, 3, 4, 2))
    settings = {"method": "zscore"}
    named = normalize(images, tf.constant(STATS), {**settings, "region": "image"})
    assert np.array_equal(normalize(images, tf.constant(STATS), settings), named)


def test_an_image_of_one_value_has_a_zscore_of_nought():
    stats = tf.constant(np.tile([7.0, 0.0], (1, 2, 1, 1)), tf.float32)
    assert np.array_equal(zscore(tf.fill((1, 2, 2, 1), 7.0), stats), np.zeros((1, 2, 2, 1)))


def test_normalisation_is_alike_in_a_batch_of_unknown_size():
    images, stats = tf.constant(noise(2, 3, 4, 2)), tf.constant(STATS)
    signature = [tf.TensorSpec([None, 3, 4, 2]), tf.TensorSpec([None, 2, 2, 2])]
    served = tf.function(lambda x, s: normalize(x, s, {"method": "zscore"}), input_signature=signature)
    np.testing.assert_allclose(
        served(images, stats), normalize(images, stats, {"method": "zscore"}), rtol=1e-6
    )


def test_only_a_zscore_needs_the_statistics_of_the_record():
    assert needs_stats({"method": "zscore"})
    assert not needs_stats({"method": "range", "low": 0, "high": 1})


@pytest.mark.parametrize(
    "settings",
    [
        {}, {"method": "minmax"}, {"method": {}}, {"method": "range"}, {"method": "range", "low": 0.0},
        {"method": "range", "low": 0.0, "high": 1.0, "middle": 0.5},
        {"method": "zscore", "regoin": "mask"}, {"method": "zscore", "stats": 1},
    ],
    ids=str,
)  # fmt: skip
def test_a_method_or_argument_that_does_not_exist_is_refused(settings):
    with pytest.raises(InputError) as error:
        check_normalize(settings)
    assert "\n" not in str(error.value)
    assert "Received:" in str(error.value)


@pytest.mark.parametrize(
    "settings", [{"method": "range", "low": 0.0, "high": 1.0}, {"method": "zscore", "region": "mask"}]
)
def test_a_method_with_its_arguments_is_not_refused(settings):
    check_normalize(settings)


def test_a_region_that_does_not_exist_is_refused_before_any_data_is_read():
    with pytest.raises(InputError, match="image or mask"):
        check_normalize({"method": "zscore", "region": "brain"})
