"""A study's variance in parts, against tables worked by hand and against statsmodels."""

import json
import math

import numpy as np
import pandas as pd
import pytest
from statsmodels.formula.api import ols
from statsmodels.stats.anova import anova_lm

from mri_tf.metrics import spread

PARTS = ("folds", "seeds", "total")


def values_of(rows, same_folds=True) -> dict:
    return {name: entry["value"] for name, entry in spread(rows, same_folds=same_folds).items()}


def table(*folds) -> list[tuple]:
    return [
        (fold, 0, seed, value) for fold, cells in enumerate(folds) for seed, value in enumerate(cells)
    ]


def test_a_table_worked_by_hand():
    # Means 2, 5, 8; squares within 2 + 2 + 2 over 6; between 3 x (9 + 0 + 9) / 2 = 27.
    found = values_of(table((1, 2, 3), (4, 5, 6), (7, 8, 9)))
    assert found["mean"] == 5
    assert found["seeds"] == pytest.approx(1)
    assert found["folds"] == pytest.approx(math.sqrt((27 - 1) / 3))
    assert found["total"] == pytest.approx(math.sqrt(26 / 3 + 1))


def test_folds_of_unlike_size_by_hand():
    # Sizes 3 and 2, means 2 and 7, mean of all 4; between 3 x 4 + 2 x 9 = 30 over 1; within
    # (2 + 2) / 3; cells per fold (5 - 13 / 5) / 1 = 2.4.
    found = values_of(table((1, 2, 3), (6, 8)))
    assert found["seeds"] == pytest.approx(math.sqrt(4 / 3))
    assert found["folds"] == pytest.approx(math.sqrt((30 - 4 / 3) / 2.4))


def test_mean_squares_are_those_of_statsmodels():
    rng = np.random.default_rng(0)
    for _ in range(20):
        sizes = rng.integers(2, 6, 5)
        folds = [rng.normal(rng.normal(0, 2), 1, size) for size in sizes]
        rows = table(*folds)
        frame = pd.DataFrame(rows, columns=["fold", "repeat", "seed", "value"])
        squares = anova_lm(ols("value ~ C(fold)", frame).fit())["mean_sq"]
        within, between = squares["Residual"], squares["C(fold)"]
        usual = (sizes.sum() - (sizes**2).sum() / sizes.sum()) / (len(sizes) - 1)
        found = values_of(rows)
        assert found["seeds"] == pytest.approx(math.sqrt(within))
        assert found["folds"] == pytest.approx(math.sqrt(max(0, (between - within) / usual)))


def test_the_parts_are_found_again_in_many_simulated_studies():
    rng = np.random.default_rng(1)
    found = []
    for _ in range(400):
        folds = rng.normal(0, 2, 8)[:, None] + rng.normal(0, 1, (8, 5))
        found.append([values_of(table(*folds))[name] ** 2 for name in PARTS])
    np.testing.assert_allclose(np.mean(found, axis=0), [4, 1, 5], rtol=0.12)


def test_a_negative_estimate_is_0_with_a_reason():
    found = spread(table((1, 9), (2, 8), (4, 6)), same_folds=True)
    assert found["folds"]["value"] == 0 and "negative" in found["folds"]["reason"]
    assert found["total"]["value"] == found["seeds"]["value"] > 0


def test_one_fold_or_one_seed_is_undefined_with_a_reason():
    one_fold = spread(table((1, 2, 3)), same_folds=True)
    assert one_fold["folds"]["value"] is None and "one fold" in one_fold["folds"]["reason"]
    assert one_fold["seeds"]["value"] == pytest.approx(1)
    assert one_fold["total"]["value"] is None
    one_seed = spread(table((1,), (2,), (3,)), same_folds=True)
    assert one_seed["seeds"]["value"] is None and "one seed" in one_seed["seeds"]["reason"]
    assert one_seed["folds"]["value"] is None
    assert one_seed["total"]["value"] == pytest.approx(1)
    single = spread([(0, 0, 0, 0.5)], same_folds=True)
    assert single["mean"]["value"] == 0.5
    assert all(single[name]["value"] is None and single[name]["reason"] for name in PARTS)
    json.dumps([one_fold, one_seed, single], allow_nan=False)


def test_redrawn_folds_are_folds_of_their_own():
    rows = [(fold, repeat, seed, 10 * repeat + fold + seed)
            for fold in range(2) for repeat in range(2) for seed in range(2)]  # fmt: skip
    assert spread(rows, same_folds=True)["folds"]["n"] == 2
    redrawn = spread(rows, same_folds=False)
    assert redrawn["folds"]["n"] == 4
    assert redrawn["seeds"]["value"] == pytest.approx(math.sqrt(0.5))
    # Means 0.5, 1.5, 10.5, 11.5: between 2 x (5.5^2 + 4.5^2 + 4.5^2 + 5.5^2) / 3.
    between = 2 * 2 * (5.5**2 + 4.5**2) / 3
    assert redrawn["folds"]["value"] == pytest.approx(math.sqrt((between - 0.5) / 2))


@pytest.mark.parametrize("missing", [None, math.nan])
def test_cells_without_a_value_are_left_out_and_counted(missing):
    rows = table((1, 2, 3), (4, 5, 6), (7, 8, 9))
    found = spread([*rows, (1, 0, 9, missing)], same_folds=True)
    assert {name: entry["value"] for name, entry in found.items()} == values_of(rows)
    assert all("undefined in 1 of 10 cells: left out" in entry["reason"] for entry in found.values())
    nothing = spread([(0, 0, 0, missing)], same_folds=True)
    assert nothing["mean"]["value"] is None and nothing["mean"]["n"] == 0
    json.dumps(nothing, allow_nan=False)
