"""Learning curves: known curves are found, intervals hold, and too few cells have none."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mri_tf.metrics.learning_curve import (
    RATES,
    Cells,
    Curve,
    drawn_curves,
    fit_curve,
    interval_at,
    patients_for_half_the_width,
    too_few_cells,
)

SIZES = np.array([10, 20, 40, 80])


@given(st.floats(0.6, 1.0), st.floats(0.1, 2.0), st.sampled_from(RATES.tolist()))
@settings(max_examples=50, deadline=None)
def test_a_curve_without_noise_is_found(best, gap, rate):
    found = fit_curve(SIZES, best - gap * SIZES**-rate)
    assert found.at(40) == pytest.approx(best - gap * 40**-rate, abs=1e-6)
    assert found.at(640) == pytest.approx(best - gap * 640**-rate, abs=1e-3)


def test_no_curve_falls_with_more_patients_or_exceeds_what_is_perfect():
    falling = fit_curve(SIZES, np.array([0.9, 0.8, 0.7, 0.6]))
    assert falling.gap == 0 and falling.at(1000) == pytest.approx(0.75)
    steep = fit_curve(SIZES, np.array([0.5, 0.7, 0.9, 0.99]))
    assert steep.at(10**9) <= 1


def test_intervals_of_a_larger_size_hold_the_truth():
    truth, inside = Curve(0.9, 1.0, 0.5), 0
    for seed in range(60):
        rng = np.random.default_rng(seed)
        repeats = np.repeat(np.arange(8), len(SIZES))
        sizes = np.tile(SIZES, 8)
        noise = rng.normal(0, 0.02, len(sizes)) + rng.normal(0, 0.02, 8)[repeats]
        cells = Cells(sizes, np.array([truth.at(n) for n in sizes]) + noise, repeats)
        low, high = interval_at(drawn_curves(cells, seed=seed), 160, 8)
        inside += low <= truth.at(160) <= high
    assert inside >= 53  # of 60; 95 % would be 57


def test_four_times_the_patients_halve_an_interval_and_fewer_do_where_the_score_still_rises():
    assert patients_for_half_the_width(Curve(0.75, 0.0, 1.0), 60) == 240
    rising = patients_for_half_the_width(Curve(0.95, 2.0, 0.5), 60)
    assert 60 < rising < 240
    assert patients_for_half_the_width(Curve(1.0, 0.0, 1.0), 60) is None


def test_few_sizes_or_repeats_have_no_curve():
    cells = Cells(np.tile(SIZES[:2], 4), np.full(8, 0.7), np.repeat(np.arange(4), 2))
    assert too_few_cells(cells) == "2 training sizes, fewer than 3"
    cells = Cells(np.tile(SIZES, 2), np.full(8, 0.7), np.repeat(np.arange(2), 4))
    assert too_few_cells(cells) == "2 repeats, fewer than 3"
    assert not too_few_cells(Cells(np.tile(SIZES, 3), np.full(12, 0.7), np.repeat(np.arange(3), 4)))
