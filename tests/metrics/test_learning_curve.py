"""Learning curves: known curves are found, intervals hold, and too few cells have none."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm

from mri_tf.metrics.learning_curve import (
    RATES,
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


def drawn_again(right: np.ndarray, seed: int) -> np.ndarray:
    """(draws, cells) scores of cells (cells, patients), where patients are drawn again."""
    times = np.random.default_rng(seed).multinomial(
        right.shape[1], np.full(right.shape[1], 1 / right.shape[1]), 300
    )
    return times @ right.T / right.shape[1]


def test_intervals_hold_more_than_what_chance_makes_of_the_tests():
    truth, inside = Curve(0.9, 1.0, 0.5), 0
    sizes = np.tile(SIZES, 3)
    for seed in range(60):
        rng = np.random.default_rng(seed)
        # Every repeat tests the same 60 patients, of whom some are hard for every network.
        hard, anew = rng.normal(size=60), rng.normal(size=(len(sizes), 60))
        z = 0.9 * hard + np.sqrt(0.19) * anew
        right = (z < norm.ppf([[truth.at(n)] for n in sizes])).astype(float)
        curve = fit_curve(sizes, right.mean(axis=1))
        low, high = interval_at(curve, drawn_curves(sizes, drawn_again(right, seed)), 160)
        inside += low <= truth.at(160) <= high
    assert inside >= 55


def test_draws_that_define_no_score_are_left_out():
    drawn = np.array([[0.6, 0.7, 0.8], [np.nan, 0.7, 0.8], [np.nan] * 3])
    curves = drawn_curves(SIZES[:3], drawn)
    assert curves.at(40).shape == (2,) and np.isfinite(curves.at(40)).all()
    (whole, without) = curves.at(40)
    assert whole == pytest.approx(fit_curve(SIZES[:3], drawn[0]).at(40))
    assert without == pytest.approx(fit_curve(SIZES[1:3], drawn[1, 1:]).at(40))


def test_four_times_the_patients_halve_an_interval_and_fewer_do_where_the_score_still_rises():
    assert patients_for_half_the_width(Curve(0.75, 0.0, 1.0), 48, 60) == 240
    rising = patients_for_half_the_width(Curve(0.95, 2.0, 0.5), 48, 60)
    assert 60 < rising < 240
    assert patients_for_half_the_width(Curve(1.0, 0.0, 1.0), 48, 60) is None


def test_few_sizes_or_repeats_have_no_curve():
    sizes = np.tile(SIZES, 3)
    assert too_few_cells(np.tile(SIZES[:2], 4), np.arange(8)) == "2 training sizes, fewer than 3"
    assert too_few_cells(sizes, np.arange(12) % 2) == "2 repeats, fewer than 3"
    assert not too_few_cells(sizes, np.repeat(np.arange(3), 4))
