"""Shares of a map by region: they add up, and each counts its region."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mri_tf.explain.attribution import PARTS, Attribution, attribution_shares, outside_warnings


def ball(shape, centre, radius):
    squares = ((axis - place) ** 2 for axis, place in zip(np.indices(shape), centre, strict=True))
    return sum(squares) <= radius**2


BRAIN = ball((21, 21, 21), (10, 10, 10), 8)
TUMOUR = ball((21, 21, 21), (10, 10, 13), 3)


def test_a_map_inside_one_region_counts_there_alone():
    for part, region in (
        ("tumour", TUMOUR),
        ("outside", ~BRAIN),
        ("brain", ball((21, 21, 21), (10, 10, 5), 1)),
    ):
        shares = attribution_shares(region.astype(float), BRAIN, TUMOUR, shell=2)
        assert shares[part] == 1 and sum(shares.values()) == pytest.approx(1)


def test_the_border_is_a_shell_of_the_brain_of_the_given_thickness():
    surface = BRAIN & ~ball((21, 21, 21), (10, 10, 10), 6.9)
    assert attribution_shares(surface.astype(float), BRAIN, None, shell=2)["border"] > 0.95
    assert attribution_shares(surface.astype(float), BRAIN, None, shell=0.5)["border"] == 0


def test_a_shell_in_millimetres_takes_thick_slices_into_account():
    brain = np.zeros((9, 9), bool)
    brain[2:7, 2:7] = True
    ones = np.ones((9, 9))
    flat = attribution_shares(ones, brain, None, shell=1, spacing_mm=(5.0, 1.0))
    # Of the rows only the first and last column lie within 1 mm; rows are 5 mm apart.
    assert flat["border"] == pytest.approx(10 / 81) and flat["brain"] == pytest.approx(15 / 81)


def test_a_brain_that_is_cut_off_by_the_picture_has_no_border_there():
    brain = np.zeros((6, 10), bool)
    brain[:, 5:] = True
    shares = attribution_shares(np.ones((6, 10)), brain, None, shell=1)
    assert shares["border"] == pytest.approx(6 / 60)


def test_a_map_of_zeros_has_no_shares():
    shares = attribution_shares(np.zeros(BRAIN.shape), BRAIN, TUMOUR, shell=1)
    assert set(shares) == set(PARTS) and all(np.isnan(list(shares.values())))


@given(st.integers(0, 1000), st.floats(0.5, 5))
@settings(max_examples=30, deadline=None)
def test_shares_add_up_to_one_whatever_the_masks(seed, shell):
    rng = np.random.default_rng(seed)
    shape = (7, 8, 9)
    shares = attribution_shares(
        rng.normal(size=shape), rng.random(shape) < 0.5, rng.random(shape) < 0.2, shell
    )
    assert sum(shares.values()) == pytest.approx(1)


def test_masks_of_another_shape_are_refused():
    with pytest.raises(ValueError, match="one shape"):
        attribution_shares(np.ones((3, 3)), np.ones((3, 4)), None, 1)


def test_a_map_is_warned_of_where_more_of_it_lies_outside_than_of_an_even_one():
    maps = [("a", 0.6, 0.95), ("b", 0.6, 1.5), ("c", 0.1, 3.0), ("d", float("nan"), float("nan"))]
    (warning,) = outside_warnings(maps)
    assert "b: 60% of its map lies outside the brain, 1.5 times the share" in warning


def test_enrichment_is_the_share_over_that_of_an_even_map():
    even = attribution_shares(np.ones(BRAIN.shape), BRAIN, TUMOUR, shell=2)
    lies = Attribution(attribution_shares(TUMOUR + 0.0, BRAIN, TUMOUR, shell=2), even)
    assert lies.enrichment("tumour") == pytest.approx(BRAIN.size / TUMOUR.sum())
    assert lies.enrichment("outside") == 0
    assert np.isnan(Attribution({"outside": 0.0}, {"outside": 0.0}).enrichment("outside"))
