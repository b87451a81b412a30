"""Rank correlation and structural similarity of maps equal those of SciPy and scikit-image."""

import math

import numpy as np
import pytest
from scipy.stats import permutation_test, spearmanr
from skimage.metrics import structural_similarity as of_skimage

from mri_tf.metrics.map_similarity import rank_correlation, structural_similarity
from mri_tf.metrics.sign_flip import sign_flip_p


def maps(shape, seed=0):
    rng = np.random.default_rng(seed)
    first = rng.normal(size=shape)
    return first, 0.6 * first + rng.normal(size=shape)


@pytest.mark.parametrize("shape", [(20, 24), (9, 12, 15)])
def test_ranks_and_structure_are_those_of_the_libraries(shape):
    first, second = maps(shape)
    first[0] = 0  # ties
    expected = spearmanr(np.abs(first).ravel(), np.abs(second).ravel()).statistic
    assert rank_correlation(first, second) == pytest.approx(expected)
    one, other = (np.abs(values) / np.abs(values).max() for values in (first, second))
    expected = of_skimage(one, other, data_range=1.0, win_size=7)
    assert structural_similarity(first, second) == pytest.approx(expected)


def test_the_scale_and_sign_of_a_map_do_not_count():
    first, _ = maps((16, 16))
    assert rank_correlation(first, -3 * first) == pytest.approx(1)
    assert structural_similarity(first, -3 * first) == pytest.approx(1)


def test_large_maps_are_ranked_at_even_steps():
    first, second = maps((64, 64, 64), seed=1)
    expected = spearmanr(np.abs(first).ravel(), np.abs(second).ravel()).statistic
    assert rank_correlation(first, second) == pytest.approx(expected, abs=0.02)


def test_nothing_is_left_of_a_map_that_became_the_same_everywhere():
    first, _ = maps((8, 8))
    assert rank_correlation(first, np.zeros((8, 8))) == 0
    assert math.isnan(rank_correlation(np.zeros((8, 8)), first))
    assert math.isnan(structural_similarity(np.zeros((8, 8)), first))
    assert math.isnan(structural_similarity(first[:5], first[:5]))


@pytest.mark.parametrize("count", [8, 20])
def test_sign_flips_are_those_of_scipy(count):
    values = np.random.default_rng(count).normal(0.3, 1, count)
    library = permutation_test((values,), np.mean, permutation_type="samples", alternative="greater",
                               n_resamples=9999 if count > 12 else np.inf)  # fmt: skip
    assert sign_flip_p(values) == pytest.approx(library.pvalue, abs=0.02 if count > 12 else 1e-9)
