"""What the statistics inside a network's structures say, and what has no say in them."""

import keras
import numpy as np
import pytest
from check_model import randomised
from hypothesis import given, settings
from hypothesis import strategies as st

from mri_tf.core.errors import InputError
from mri_tf.models.mnet import mnet3d
from mri_tf.models.statistics_probe import (
    BLURS,
    INTENSITIES,
    POWERS,
    TAILS,
    CountedStatistics,
    VoxelCounts,
    statistics_probe3d,
)
from mri_tf.train.probe import is_probe, split_at_features

SHAPE = (12, 14, 16)
VOLUME, ENTROPY, HISTOGRAM = 0, 1, slice(2, 2 + len(INTENSITIES))
APART = HISTOGRAM.stop
TAIL = slice(APART + 1, APART + 1 + len(BLURS) * len(TAILS))
DIFFERENCE = slice(TAIL.stop, TAIL.stop + len(BLURS) * len(POWERS))


def drawn(seed=0):
    """Intensities, and the probabilities of a background and of two structures."""
    rng = np.random.default_rng(seed)
    images = rng.normal(size=(1, *SHAPE, 1)).astype(np.float32)
    structures = rng.dirichlet([1, 1, 1], size=(1, *SHAPE)).astype(np.float32)
    return images, structures


def a_brain():
    """The probabilities of a box that is surely inside, in the middle of the grid."""
    structures = np.zeros((1, *SHAPE, 2), np.float32)
    structures[..., 0] = 1
    structures[:, 2:-2, 2:-2, 2:-2] = (0, 1)
    return structures


def statistics(images, structures):
    maps = VoxelCounts()(images, structures)
    return CountedStatistics(images.shape[-1])(maps).numpy()[0]


@given(st.integers(0, 10_000))
@settings(max_examples=15, deadline=None)
def test_a_mirrored_head_has_the_same_statistics(seed):
    images, structures = drawn(seed)
    mirrored = statistics(images[..., ::-1, :], structures[..., ::-1, :])
    np.testing.assert_allclose(mirrored, statistics(images, structures), rtol=1e-3, atol=1e-4)


def test_what_lies_outside_the_structures_has_no_say():
    images, _ = drawn()
    structures = a_brain()
    other = np.where(structures[..., 1:] > 0, images, 50).astype(np.float32)
    np.testing.assert_allclose(statistics(other, structures), statistics(images, structures), atol=1e-5)


def test_the_histogram_holds_the_shares_of_the_intensities_inside():
    images, structures = drawn()[0], a_brain()
    images[..., 0] = 0.5  # between no two bins
    images[:, :, :, 8:] = -1.25  # half-way between two
    found = statistics(images, structures)
    expected = np.zeros(len(INTENSITIES))
    expected[INTENSITIES == 0.5] = 0.5
    expected[np.isin(INTENSITIES, (-1.5, -1.0))] = 0.25
    np.testing.assert_allclose(found[HISTOGRAM], expected, atol=1e-5)
    assert found[APART] == pytest.approx(2, abs=1e-3)  # no intensity is on both sides
    assert np.exp(found[VOLUME]) == pytest.approx(8 * 10 * 12, rel=1e-3)
    assert found[ENTROPY] == pytest.approx(0, abs=1e-3)


def test_a_head_whose_sides_are_alike_differs_nowhere_and_a_dark_place_is_found_at_every_blur():
    structures, images = a_brain(), np.zeros((1, *SHAPE, 1), np.float32)
    even = statistics(images, structures)
    np.testing.assert_allclose(even[DIFFERENCE], 0, atol=0.05)
    np.testing.assert_allclose(even[TAIL], 0, atol=1e-2)
    images[:, 4:8, 4:8, 3:7] = -2
    dark = statistics(images, structures)
    differences = dark[DIFFERENCE].reshape(len(BLURS), len(POWERS))
    assert (np.diff(differences, axis=1) > 0).all()  # higher powers see the most different place
    assert differences[0, -1] > 1 and (differences > even[DIFFERENCE].max()).all()
    tails = dark[TAIL].reshape(len(BLURS), len(TAILS))
    assert (tails < 0).all() and (tails[:, 0] < tails[:, -1]).all()  # dark, and nowhere bright


def test_where_no_structure_is_found_every_statistic_is_a_number():
    structures = np.zeros((1, *SHAPE, 2), np.float32)
    structures[..., 0] = 1
    assert np.isfinite(statistics(drawn()[0], structures)).all()


def test_a_fine_grid_is_counted_on_one_of_at_most_32_voxels_a_side():
    images = np.zeros((1, 20, 32, 64, 2), np.float32)
    structures = np.ones((1, 20, 32, 64, 3), np.float32) / 3
    maps = VoxelCounts()(images, structures)
    assert maps.shape[1:-1] == (10, 16, 32)
    assert CountedStatistics(2)(maps).shape == (1, 2 + 2 * (DIFFERENCE.stop - 2))


def test_it_is_a_probe_that_is_cut_before_its_statistics_are_standardised():
    network = randomised(mnet3d((16, 16, 32, 1), 3, start_filters=2, levels=3))
    before = keras.ops.convert_to_numpy(network.get_weights()[0])
    probe = statistics_probe3d(network, 4)
    assert is_probe(probe)
    prefix, suffix = split_at_features(probe)
    images = np.random.default_rng(0).normal(size=(2, 16, 16, 32, 1)).astype(np.float32)
    np.testing.assert_allclose(suffix(prefix(images)), probe(images), atol=1e-6)
    assert not prefix.trainable_variables
    np.testing.assert_array_equal(network.get_weights()[0], before)


def test_only_a_softmax_can_be_fitted():
    network = mnet3d((16, 16, 16, 1), 3, start_filters=2, levels=3)
    with pytest.raises(InputError, match="head must be softmax. Received: cumulative"):
        statistics_probe3d(network, 3, head="cumulative")
