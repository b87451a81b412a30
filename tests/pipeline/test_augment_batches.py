"""Augmentation of slices and volumes: how often it happens, and alike wherever and with whom it runs."""

import numpy as np
import pytest
import tensorflow as tf
from augmented import SLICES, VOLUMES, seeds

from mri_tf.core.errors import InputError
from mri_tf.pipeline import augment2d
from mri_tf.pipeline.augment2d import check_augment
from mri_tf.pipeline.augment3d import AXES, draw_changes
from mri_tf.pipeline.batches import batch_function

GAMMA = {**VOLUMES.augment, "random_gamma": {}}
TURNED = ({"random_affine": {"max_degrees": 30.0}}, {"random_affine3d": {"max_degrees": 30.0}})
slices_and_volumes = pytest.mark.parametrize("grid", [SLICES, VOLUMES], ids=["slices", "volumes"])
# Every operation there is, of a record with probability 0.6; records of a batch to look at alone.
often = pytest.mark.parametrize(
    ("grid", "augment", "count", "alone", "atol"),
    [
        (SLICES, SLICES.augment, 8, ([3], [7, 3, 0], [5, 6]), 1e-4),
        (VOLUMES, GAMMA, 4, ([3], [2, 0, 1]), 1e-5),
    ],
    ids=["slices", "volumes"],
)


# ---- how often


def changed(augment, probability, count=400) -> np.ndarray:
    """Whether each of `count` records moves."""
    if "random_affine3d" in augment or "random_rot90" in augment:
        matrices = draw_changes(seeds(count), VOLUMES.size, augment, probability).matrix.numpy()
        return np.any(matrices != np.eye(4), axis=(1, 2))
    changes = augment2d.draw_changes(seeds(count), SLICES.size, augment, probability)
    transforms = changes.transforms.numpy()
    return np.any(transforms != np.eye(3).ravel()[:8], axis=-1)


@pytest.mark.parametrize("augment", TURNED, ids=["slices", "volumes"])
def test_with_probability_nought_nothing_and_with_one_everything_changes(augment):
    assert not changed(augment, 0.0).any()
    assert changed(augment, 1.0).all()


@pytest.mark.parametrize("augment", TURNED, ids=["slices", "volumes"])
def test_with_probability_six_tenths_about_that_many_change(augment):
    assert abs(changed(augment, 0.6).mean() - 0.6) < 0.08  # 3.3 standard deviations of 400


def test_a_volume_changes_its_place_and_its_gamma_together():
    augment = {**TURNED[1], "random_gamma": {}}
    exponents = draw_changes(seeds(400), VOLUMES.size, augment, 0.6).intensities["random_gamma"].numpy()
    assert np.array_equal(changed(augment, 0.6), exponents != 1)


def test_a_flip_and_quarter_turns_have_their_own_probability_beside():
    augment = {"random_flip": {"probability": 0.5}}
    volumes = draw_changes(seeds(400), VOLUMES.size, augment, 0.6).matrix.numpy()
    for share, wanted in (
        (changed(augment, 0.6).mean(), 0.3),
        (np.any(volumes != np.eye(4), axis=(1, 2)).mean(), 0.3),
        (changed({"random_rot90": {}}, 1.0).mean(), 0.75),
    ):
        assert abs(share - wanted) < 0.08


# ---- records in a batch


@slices_and_volumes
def test_image_and_mask_move_together(grid):
    batch = grid.batch()
    image, mask, weight = batch_function(grid.task(), training=True)(batch)
    assert not np.array_equal(mask, batch["mask"])
    for label in (1, 2):
        channel = image[..., label - 1].numpy()
        inside, outside = channel > 1 - 1e-4, channel < 1e-4  # where interpolation mixed nothing
        assert inside.sum() > (100 if grid is SLICES else 50)
        assert np.all(mask.numpy()[inside] == label)
        assert np.all(mask.numpy()[outside] != label)
    assert np.array_equal(weight, batch["weight"])


@slices_and_volumes
def test_labels_of_a_moved_mask_are_labels(grid):
    batch = grid.batch()
    batch["mask"] = tf.where(batch["mask"] == 2, 16, batch["mask"])  # 1 and 16: no mean is either
    _, mask, _ = batch_function(grid.task(), training=True)(batch)
    assert mask.dtype == tf.int32
    assert set(np.unique(mask)) == {0, 1, 16}
    assert mask.shape == batch["mask"].shape


@slices_and_volumes
def test_a_classification_batch_keeps_its_labels(grid):
    batch = grid.batch()
    image, label, weight = batch_function(grid.task(kind="classification"), training=True)(batch)
    assert np.array_equal(label, batch["label"])
    assert np.array_equal(weight, batch["weight"])
    assert (image.shape, image.dtype) == ((grid.count, *grid.size, 2), tf.float32)


@slices_and_volumes
@pytest.mark.parametrize(
    ("training", "changes"), [(False, {}), (True, {"augment": {}}), (True, {"augment_probability": 0.0})]
)
def test_what_is_not_augmented_is_only_normalised(grid, training, changes):
    batch = grid.batch()
    image, mask, _ = batch_function(grid.task(**changes), training)(batch)
    assert np.array_equal(image, tf.cast(batch["image"], tf.float32))
    assert np.array_equal(mask, batch["mask"])


@often
def test_a_record_is_changed_alike_whatever_the_batch_around_it(grid, augment, count, alone, atol):
    task, batch = grid.task(augment=augment, augment_probability=0.6), grid.batch(count)
    make = batch_function(task, training=True)
    together = [part.numpy() for part in make(batch)]
    for keep in alone:
        some = make({key: tf.gather(value, keep) for key, value in batch.items()})
        # The cosine's last bit hangs on the place in the batch; a pixel of 0 to 1 hardly does.
        np.testing.assert_allclose(some[0], together[0][keep], atol=1e-5)
        assert np.array_equal(some[1], together[1][keep])
        assert np.array_equal(some[2], together[2][keep])


@slices_and_volumes
def test_a_seed_repeats_and_another_seed_does_not(grid):
    make, batch = batch_function(grid.task(), training=True), grid.batch(1)
    images = [make({**batch, "seed": seeds(1, n)})[0].numpy().tobytes() for n in (*range(8), 0)]
    assert images[0] == images[8]
    assert len(set(images)) == 8


@often
def test_a_batch_is_changed_alike_eagerly_in_a_graph_and_in_data_sets_of_any_batch(
    grid, augment, count, alone, atol
):
    task, batch = grid.task(augment=augment, augment_probability=0.6), grid.batch(count)
    make = batch_function(task, training=True)
    eager = make(batch)
    in_parts = list(tf.data.Dataset.from_tensor_slices(batch).batch(3).map(make))
    assert [image.shape[0] for image, _, _ in in_parts] == ([3, 3, 2] if count == 8 else [3, 1])
    for other in (
        tf.function(make)(batch),
        next(iter(tf.data.Dataset.from_tensors(batch).map(make))),
        [np.concatenate(parts) for parts in zip(*in_parts, strict=True)],
    ):
        np.testing.assert_allclose(other[0], eager[0], atol=atol)
        assert np.array_equal(other[1], eager[1])
        assert np.array_equal(other[2], eager[2])


# ---- refusals


@pytest.mark.parametrize(
    ("size", "augment", "words"),
    [
        ((32, 32), {"random_rotation": {}}, "random_rotation"),
        ((32, 32), {"random_affine": {"degrees": 3}}, "degrees"),
        ((32, 32), {"random_flip": {"size": (2, 2)}}, "size"),
        ((32, 32), {"random_affine": 3}, "random_affine"),
        ((32, 32), {"random_affine": "max_degrees"}, "random_affine"),
        ((32, 32), {"random_flip": {"uniforms": 1}}, "uniforms"),
        ((32, 32), {"random_flip": {"axis": "depth"}}, "columns or rows"),
        ((32, 32), {"random_affine3d": {}}, "cannot be used for 2D images"),
        ((32, 32), {"random_rot90": {}}, "cannot be used for 2D images"),
        (VOLUMES.size, {"random_affine": {}}, "cannot be used for 3D images"),
        (VOLUMES.size, {"random_turn": {}}, "augment3d.py"),
        (VOLUMES.size, {"random_affine3d": {"degrees": 3}}, "degrees"),
        (VOLUMES.size, {"random_gamma": {"low": "one"}}, "low"),
        (VOLUMES.size, {"random_affine3d": {"max_degrees": (1.0, 2.0)}}, "max_degrees"),
        (VOLUMES.size, {"random_affine3d": {"zoom": (0.0, 1.0)}}, "zoom"),
        (VOLUMES.size, {"random_affine3d": {"spacing_mm": (1.0, 0.0, 1.0)}}, "spacing_mm"),
        (VOLUMES.size, {"random_flip": {"axis": "columns"}}, "left_right"),
        (VOLUMES.size, {"random_rot90": {"axes": ("depth",)}}, "head_foot"),
        (VOLUMES.size, {"random_rot90": {}}, "Received: 10 x 12 voxels"),
        (VOLUMES.size, {"random_rot90": {"axes": ("left_right",)}}, "Received: 8 x 10 voxels"),
        (VOLUMES.size, {"random_gamma": {"low": 1.2}}, "0 < low <= high"),
        (VOLUMES.size, {"random_gamma": {"value_range": (3.0, 3.0)}}, "value_range"),
    ],
    ids=str,
)
def test_what_no_image_can_be_changed_by_is_refused_before_any_data_is_read(size, augment, words):
    with pytest.raises(InputError) as error:
        check_augment(augment, size)
    assert "\n" not in str(error.value)
    assert words in str(error.value) and "Received:" in str(error.value)


@pytest.mark.parametrize(
    ("size", "augment"),
    [
        ((32, 32), SLICES.augment),
        ((8, 32, 32), {}),
        (VOLUMES.size, {**VOLUMES.augment, "random_gamma": {"value_range": (0.0, 255.0)}}),
        ((4, 9, 9), {"random_rot90": {}}),
        ((11, 11, 11), {"random_rot90": {"axes": AXES}}),
        (VOLUMES.size, {"random_affine3d": {"max_degrees": 20.0, "max_shift_fraction": (0.1, 0, 0)}}),
    ],
    ids=str,
)
def test_what_exists_is_not_refused(size, augment):
    check_augment(augment, size)
