"""Gaps between sides: closed forms, and how often the interval holds the true gap."""

import numpy as np
import pytest

from mri_tf.metrics.gap import gap_of_sides, mean_gap
from mri_tf.metrics.intervals import share_interval
from mri_tf.metrics.number import number


def share_of(right):
    low, high, method = share_interval(right, np.ones(len(right)))
    return number(right.mean(), len(right), (low, high), method)


def test_distances_to_the_limits_add_up_like_standard_deviations():
    earlier, later = dict(value=0.9, low=0.6, high=0.95), dict(value=0.7, low=0.5, high=1.1)
    gap = gap_of_sides(earlier, later)
    assert gap.value == pytest.approx(0.2)
    assert gap.low == pytest.approx(0.2 - 0.5) and gap.high == pytest.approx(0.2 + np.hypot(0.05, 0.2))


def test_where_lower_is_better_a_later_loss_that_is_larger_is_a_gap():
    earlier, later = dict(value=0.2, low=0.1, high=0.3), dict(value=0.5, low=0.4, high=0.6)
    assert gap_of_sides(earlier, later, lower_is_better=True).value == pytest.approx(0.3)


def test_without_an_interval_there_is_the_gap_and_without_a_number_none():
    known, bare = dict(value=0.9, low=0.8, high=1.0), dict(value=0.6, low=None, high=None)
    gap = gap_of_sides(known, bare)
    assert gap.value == pytest.approx(0.3) and np.isnan(gap.low)
    assert gap_of_sides(known, dict(value=None, low=None, high=None)) is None


def test_the_interval_of_two_independent_shares_holds_no_gap_in_95_of_100():
    rng = np.random.default_rng(0)
    held = 0
    for _ in range(300):
        gap = gap_of_sides(*(share_of((rng.random(count) < 0.8).astype(float)) for count in (20, 30)))
        held += gap.low <= 0 <= gap.high
    assert held / 300 >= 0.93


def test_no_limit_of_a_mean_gap_is_beyond_the_largest_gap():
    gap = mean_gap([1.0, 0.2, 0.9], 0.25, largest=1.0)
    assert gap.high == 1 and -1 <= gap.low < gap.value
    assert mean_gap([1.0, 0.2, 0.9], 0.25).high > 1


def test_of_folds_the_variance_counts_the_patients_that_they_share():
    gaps = [0.1, 0.2, 0.0, 0.1, 0.1]
    gap = mean_gap(gaps, 0.25)
    error = np.sqrt((1 / 5 + 0.25) * np.var(gaps, ddof=1))
    assert gap.value == pytest.approx(0.1)
    assert gap.high - gap.value == pytest.approx(2.7764451 * error)
    assert np.isnan(mean_gap([0.1], 0.25).low)
