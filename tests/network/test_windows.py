"""Windows over a volume and patches out of one: exact for pointwise networks, seeded, nothing lost."""

import dataclasses
import tracemalloc

import numpy as np
import pytest
import tensorflow as tf
from augmented import seeds
from hypothesis import given, settings
from hypothesis import strategies as st

from mri_tf.core.errors import InputError
from mri_tf.network.windows import predict_windows, window_starts, windows_in_graph
from mri_tf.pipeline.patches import crop, draw_corners
from mri_tf.task import Task
from mri_tf.task.settings import patch_of

WINDOW = (4, 6, 8)  # depth, rows, columns: all different, so that a swap of two is seen


def volume(*shape, seed=0) -> np.ndarray:
    return np.random.default_rng(seed).uniform(0, 1, shape).astype(np.float32)


def same(patches: np.ndarray) -> np.ndarray:
    return patches


class Counting:
    """A network that gives the number of the window, and keeps what it was given."""

    def __init__(self):
        self.batches, self.count = [], 0

    def __call__(self, patches: np.ndarray) -> np.ndarray:
        self.batches.append(patches.copy())
        numbers = self.count + np.arange(len(patches))
        self.count += len(patches)
        return np.broadcast_to(numbers[:, None, None, None, None], (*patches.shape[:4], 1))


# ---- windows

sizes = st.tuples(*[st.integers(1, 19)] * 3)
settings_of_windows = st.fixed_dictionaries(
    {
        "overlap": st.sampled_from([0.0, 0.25, 0.5, 0.7, 0.9]),
        "blending": st.sampled_from(["gaussian", "linear"]),
        "batch_size": st.integers(1, 5),
    }
)


@settings(max_examples=60, deadline=None)
@given(sizes, settings_of_windows)
def test_the_identity_gives_back_any_volume(size, arguments):
    image = volume(*size, 2)
    result = predict_windows(same, image, WINDOW, **arguments)
    assert result.dtype == np.float32 and result.shape == image.shape
    np.testing.assert_allclose(result, image, atol=2e-6)  # sums of many weights


@settings(max_examples=20, deadline=None)
@given(sizes, settings_of_windows)
def test_a_pointwise_network_of_two_classes_gives_its_probabilities(size, arguments):
    def network(patches):
        tumour = 1 / (1 + np.exp(-patches.sum(axis=-1, keepdims=True)))
        return np.concatenate([1 - tumour, tumour], axis=-1)

    image = volume(*size, 3)
    result = predict_windows(network, image, WINDOW, **arguments)
    np.testing.assert_allclose(result, network(image[None])[0], atol=4e-6)  # sums of many weights


@pytest.mark.parametrize("size", [(4, 6, 8), (9, 6, 11), (13, 15, 17)])
@pytest.mark.parametrize("overlap", [0.0, 0.5, 0.75])
def test_windows_are_the_weighted_mean_of_what_the_network_gives(size, overlap):
    # The plain way, with a sum of weights as large as the volume.
    def network(patches):
        return np.cumsum(patches, axis=2)  # what a voxel gets depends on where the window lies

    image = volume(*size, 2)
    along = [
        np.exp(-(((np.arange(side) - (side - 1) / 2) / (side / 8)) ** 2) / 2) for side in WINDOW
    ]
    weight = np.einsum("d,r,c->drc", *along)[..., None]
    total, weights = np.zeros(image.shape), np.zeros((*size, 1))
    starts = [window_starts(n, side, overlap) for n, side in zip(size, WINDOW, strict=True)]
    for corner in [(d, r, c) for d in starts[0] for r in starts[1] for c in starts[2]]:
        box = tuple(slice(at, at + side) for at, side in zip(corner, WINDOW, strict=True))
        total[box] += weight * network(image[box][None])[0]
        weights[box] += weight
    result = predict_windows(network, image, WINDOW, overlap=overlap, batch_size=3)
    np.testing.assert_allclose(result, total / weights, atol=1e-5)


@pytest.mark.parametrize(
    ("blending", "profile"),
    [
        ("gaussian", lambda x: np.exp(-((x - 3.5) ** 2) / 2)),  # sigma of a side of 8 is 1
        ("linear", lambda x: 4.5 - np.abs(x - 3.5)),
    ],
)
def test_two_windows_blend_by_their_profile(blending, profile):
    result = predict_windows(Counting(), volume(4, 6, 12, 1), WINDOW, blending=blending)
    both = np.arange(4.0, 8.0)  # voxels that both windows see
    first, second = profile(both), profile(both - 4)
    wanted = np.concatenate([np.zeros(4), second / (first + second), np.ones(4)])
    np.testing.assert_allclose(result[..., 0], np.broadcast_to(wanted, (4, 6, 12)), atol=1e-6)


@given(st.integers(1, 40), st.integers(1, 20), st.floats(0, 0.95))
def test_windows_cover_an_axis_with_the_overlap_asked_and_no_more_than_needed(extra, side, overlap):
    size = side + extra - 1
    starts = window_starts(size, side, overlap)
    assert starts[0] == 0 and starts[-1] == size - side
    steps = np.diff(starts)
    assert np.all(steps >= 1) and np.all(steps <= max(int(side * (1 - overlap)), 1))
    assert np.ptp(steps) <= 1 if len(steps) else size == side
    assert len(starts) == 1 + -(-(size - side) // max(int(side * (1 - overlap)), 1))


def test_the_network_sees_whole_windows_batch_by_batch():
    for batch_size, sizes in ((4, [4, 4, 4]), (5, [5, 5, 2])):
        network = Counting()
        predict_windows(network, volume(7, 13, 5, 2), WINDOW, batch_size=batch_size)
        # depth 0, 1, 3; rows 0, 2, 4, 7; columns padded to one
        assert [batch.shape for batch in network.batches] == [(size, *WINDOW, 2) for size in sizes]


def test_a_small_volume_is_padded_with_its_border_on_both_sides():
    network, image = Counting(), volume(2, 6, 5, 1)
    predict_windows(network, image, WINDOW)
    wanted = np.pad(image, ((1, 1), (0, 0), (1, 2), (0, 0)), mode="edge")
    np.testing.assert_array_equal(network.batches[0][0], wanted)


def test_memory_is_that_of_the_result_not_of_all_windows():
    image = volume(48, 48, 48, 1)
    windows = 11**3 * 8**3 * 4  # bytes of all windows together: 2.7 MB
    tracemalloc.start()
    predict_windows(same, image, (8, 8, 8))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < image.nbytes + windows / 10


@pytest.mark.parametrize(
    ("shape", "arguments", "received"),
    [
        ((8, 8, 8), {}, "(8, 8, 8)"),
        ((8, 0, 8, 1), {}, "(8, 0, 8, 1)"),
        ((8, 8, 8, 1), {"overlap": 1.0}, "1.0"),
        ((8, 8, 8, 1), {"overlap": -0.1}, "-0.1"),
        ((8, 8, 8, 1), {"blending": "cosine"}, "cosine"),
        ((8, 8, 8, 1), {"batch_size": 0}, "0"),
        ((8, 8, 8, 1), {"window": (4, 4)}, "(4, 4)"),
        ((8, 8, 8, 1), {"predict": lambda patches: patches.mean(axis=(1, 2, 3))}, "(1, 1)"),
        ((8, 8, 8, 1), {"predict": lambda patches: patches[:, 1:]}, "(1, 3, 6, 8, 1)"),
    ],
)
def test_what_cannot_be_blended_is_refused(shape, arguments, received):
    arguments = {"predict": same, "window": WINDOW, **arguments}
    with pytest.raises(InputError) as error:
        predict_windows(arguments.pop("predict"), volume(*shape), arguments.pop("window"), **arguments)
    assert f"Received: {received}." in str(error.value)


# ---- patches

GRID, PATCH = (10, 12, 14), (4, 6, 8)


def masks_with(voxels, count, grid=GRID) -> np.ndarray:
    mask = np.zeros(grid, np.int32)
    for number, voxel in enumerate(voxels):
        mask[voxel] = 1 + number
    return np.broadcast_to(mask, (count, *grid)).copy()


def corners(masks, share, patch=PATCH, first=0) -> np.ndarray:
    draw = tf.function(lambda seed, mask: draw_corners(seed, mask, patch, share))
    return draw(seeds(len(masks), first), tf.constant(masks)).numpy()


def test_images_and_masks_are_cut_at_the_same_corner():
    images = volume(3, *GRID, 2)
    masks = np.random.default_rng(1).integers(0, 4, (3, *GRID)).astype(np.uint8)
    at = np.array([[0, 0, 0], [6, 6, 6], [1, 2, 3]], np.int32)
    patches, labels = crop(tf.constant(images), at, PATCH), crop(tf.constant(masks), at, PATCH)
    assert patches.shape == (3, *PATCH, 2) and labels.dtype == tf.uint8
    for number, (d, r, c) in enumerate(at):
        box = (number, slice(d, d + 4), slice(r, r + 6), slice(c, c + 8))
        np.testing.assert_array_equal(patches[number], images[box])
        np.testing.assert_array_equal(labels[number], masks[box])


def test_a_patch_is_centred_on_foreground_and_stays_inside():
    for voxel, corner in (((5, 6, 7), [3, 3, 3]), ((0, 11, 13), [0, 6, 6])):
        found = corners(masks_with([voxel], 20), share=1.0)
        np.testing.assert_array_equal(found, np.broadcast_to(corner, (20, 3)))


def test_every_foreground_voxel_is_as_likely():
    voxels = [(3, 4, 5), (3, 4, 6), (3, 9, 5), (7, 4, 5)]
    found = corners(masks_with(voxels, 800), share=1.0) + np.array(PATCH) // 2
    values, counts = np.unique(found, axis=0, return_counts=True)
    np.testing.assert_array_equal(values, voxels)
    assert np.all(np.abs(counts - 200) < 4 * np.sqrt(800 * 0.25 * 0.75))


@pytest.mark.parametrize("share, mask", [(0.0, [(5, 6, 7)]), (1.0, [])], ids=["no share", "empty mask"])
def test_elsewhere_every_corner_is_as_likely(share, mask):
    found = corners(masks_with(mask, 2100), share)
    assert found.min() == 0
    for axis in range(3):
        counts = np.bincount(found[:, axis], minlength=7)  # grid - patch + 1 corners an axis
        assert len(counts) == 7
        assert np.all(np.abs(counts - 300) < 4.5 * np.sqrt(300))
    assert np.abs(np.corrcoef(found.T) - np.eye(3)).max() < 0.1


@pytest.mark.parametrize("share", [0.25, 0.6])
def test_the_share_of_patches_on_foreground_is_the_one_asked(share):
    found = corners(masks_with([(5, 6, 7)], 1000), share)
    centred = np.mean(np.all(found == 3, axis=1))
    wanted = share + (1 - share) / 7**3
    assert abs(centred - wanted) < 4 * np.sqrt(wanted * (1 - wanted) / 1000)


def test_a_record_has_its_patch_whatever_the_batch_around_it():
    masks = np.random.default_rng(3).integers(0, 2, (8, *GRID)).astype(np.int32)
    whole = corners(masks, 0.5)
    np.testing.assert_array_equal(whole[5:6], corners(masks[5:6], 0.5, first=5))
    data = tf.data.Dataset.from_tensor_slices((seeds(8), masks)).batch(3)
    found = data.map(lambda seed, mask: draw_corners(seed, mask, PATCH, 0.5))
    np.testing.assert_array_equal(whole, np.concatenate(list(found)))
    assert not np.array_equal(whole, corners(masks, 0.5, first=100))


def test_where_a_patch_lies_says_nothing_about_how_it_is_augmented():
    found = corners(masks_with([], 500), 0.0)
    own = tf.map_fn(
        lambda seed: tf.random.stateless_uniform([5], seed), seeds(500),
        fn_output_signature=tf.float32,
    )  # fmt: skip
    both = np.corrcoef(np.concatenate([found, own], axis=1).T)
    assert np.abs(both[:3, 3:]).max() < 0.2


def test_a_patch_as_large_as_the_volume_is_the_volume():
    masks = masks_with([(0, 0, 0)], 4)
    assert not corners(masks, 0.5, patch=GRID).any()
    np.testing.assert_array_equal(crop(tf.constant(masks), corners(masks, 0.5, GRID), GRID), masks)


@pytest.mark.parametrize(
    ("patch", "grid", "share"),
    [
        ((4, 6, 15), GRID, 0.5),
        ((4, 6, 0), GRID, 0.5),
        ((4, 6), GRID, 0.5),
        ((4, 6), (10, 12), 0.5),
        (PATCH, GRID, 1.2),
        (PATCH, GRID, -0.1),
    ],
)
def test_patches_that_do_not_fit_are_refused(patch, grid, share):
    whole = dict(shape=PATCH, foreground_share=1.0)
    task = Task("t", ("mri",), GRID, ("a", "b"), "unet", kind="segmentation", patch=whole)
    assert patch_of(task).shape == PATCH
    patch = dict(shape=patch, foreground_share=share)
    with pytest.raises(InputError, match=r"patch.*Received"):
        patch_of(dataclasses.replace(task, image_shape=grid, patch=patch))


@pytest.mark.parametrize("shape, overlap", [((9, 12, 7), 0.5), ((6, 5, 4), 0.0), ((6, 5, 4), 0.7)])
def test_windows_in_a_graph_blend_as_those_outside_of_it(shape, overlap):
    window = (6, 5, 4)
    volumes = np.random.default_rng(0).normal(size=(2, *shape, 2)).astype(np.float32)
    place = np.random.default_rng(1).normal(size=(*window, 1)).astype(np.float32)  # what a border does

    def network(patches):
        return tf.concat([patches * place, patches[..., :1] ** 2], axis=-1)

    call = tf.function(lambda given: windows_in_graph(network, given, window, 3, overlap=overlap))
    found = call(tf.constant(volumes))
    wanted = [predict_windows(network, volume, window, overlap=overlap) for volume in volumes]
    np.testing.assert_allclose(found, wanted, atol=1e-5)
    assert found.shape == (2, *shape, 3)
