"""ComBat against the published algorithm written anew, and in closed form."""

import numpy as np
import pandas as pd
import pytest

from mri_tf.core.errors import InputError
from mri_tf.metrics.combat import fit_combat


def planted(shifts, scales, rows=40, features=60, effect=0.0, seed=0):
    """(features, batches, classes) of batches with planted locations and scales."""
    rng, batches = np.random.default_rng(seed), np.repeat(np.arange(len(shifts)), rows)
    classes = np.tile([0, 1], len(batches) // 2)
    plain = rng.normal(size=(len(batches), features)) + effect * classes[:, None]
    return plain * np.array(scales)[batches, None] + np.array(shifts)[batches, None], batches, classes


def published(features, batches, classes):
    """Location, scale (batches, features) and the corrected rows, as neuroCombat finds them: data of
    (features, rows), a design of batches and classes, parametric priors found by moments, and iterations
    to a relative change of 1e-8. The rows are corrected with their class known."""
    data, count = features.T.astype(float), len(batches)
    numbers = np.unique(batches)
    columns = [batches == one for one in numbers] + [classes == one for one in np.unique(classes)[1:]]
    design = np.column_stack(columns).astype(float)
    beta = np.linalg.inv(design.T @ design) @ design.T @ data.T
    sizes = np.array([(batches == one).sum() for one in numbers])
    grand = (sizes / count) @ beta[: len(numbers)]
    pooled = ((data - (design @ beta).T) ** 2) @ np.full((count, 1), 1 / count)
    others = design.copy()
    others[:, : len(numbers)] = 0
    expected = grand[:, None] + (others @ beta).T
    standard = (data - expected) / np.sqrt(pooled)
    gammas, deltas, corrected = [], [], standard.copy()
    for one in numbers:
        own = standard[:, batches == one]
        size, gamma_hat, delta_hat = own.shape[1], own.mean(1), own.var(1, ddof=1)
        gamma_bar, t2 = gamma_hat.mean(), gamma_hat.var(ddof=1)
        m, s2 = delta_hat.mean(), delta_hat.var(ddof=1)
        a, b = (2 * s2 + m**2) / s2, (m * s2 + m**3) / s2
        g_old, d_old, change = gamma_hat, delta_hat, 1.0
        while change > 1e-8:
            g_new = (size * t2 * gamma_hat + d_old * gamma_bar) / (size * t2 + d_old)
            sum2 = ((own - g_new[:, None]) ** 2).sum(1)
            d_new = (0.5 * sum2 + b) / (size / 2 + a - 1)
            change = max(np.abs((g_new - g_old) / g_old).max(), np.abs((d_new - d_old) / d_old).max())
            g_old, d_old = g_new, d_new
        gammas.append(g_old)
        deltas.append(d_old)
        corrected[:, batches == one] = (own - g_old[:, None]) / np.sqrt(d_old)[:, None]
    return np.array(gammas), np.sqrt(deltas), (corrected * np.sqrt(pooled) + expected).T


def applied(found, features, batches):
    return found.factors[batches] * features + found.offsets[batches]


def test_neurocombat_finds_the_same():
    """Where it is installed: pip install --no-deps neuroCombat. It stops at a change of 1e-4."""
    library = pytest.importorskip("neuroCombat")
    features, batches, classes = planted([0.0, 2.0, -1.0], [1.0, 0.5, 3.0], effect=0.7)
    covariates = pd.DataFrame({"batch": batches, "class": classes})
    wanted = library.neuroCombat(features.T, covariates, "batch", ["class"])["estimates"]
    found = fit_combat(features, batches, classes)
    np.testing.assert_allclose(found.location, wanted["gamma.star"], atol=1e-4)
    np.testing.assert_allclose(found.scale**2, wanted["delta.star"], rtol=1e-4)


@pytest.mark.parametrize("seed", range(3))
def test_location_and_scale_are_those_of_the_published_algorithm(seed):
    rows = planted([0.0, 2.0, -1.0], [1.0, 0.5, 3.0], effect=0.7, seed=seed)
    found, (location, scale, _) = fit_combat(*rows), published(*rows)
    np.testing.assert_allclose(found.location, location, atol=1e-5)
    np.testing.assert_allclose(found.scale, scale, rtol=1e-5)


def test_without_classes_to_protect_the_rows_are_those_of_the_published_algorithm():
    features, batches, _ = planted([0.0, 2.0, -1.0], [1.0, 0.5, 3.0])
    classes = np.zeros(len(batches), int)
    wanted = published(features, batches, classes)[2]
    found = fit_combat(features, batches, classes)
    np.testing.assert_allclose(applied(found, features, batches), wanted, atol=1e-4)


def test_with_classes_the_rows_differ_from_those_whose_class_is_known_by_the_scaled_effect_alone():
    features, batches, classes = planted([0.0, 2.0], [1.0, 2.0], effect=1.0)
    known = published(features, batches, classes)[2]
    found = fit_combat(features, batches, classes)
    apart = applied(found, features, batches) - known
    effect = np.linalg.lstsq(
        np.column_stack([batches == 0, batches == 1, classes]).astype(float), features, rcond=None
    )[0][2]
    wanted = (1 / found.scale[batches] - 1) * effect * (classes - classes.mean())[:, None]
    np.testing.assert_allclose(apart, wanted, atol=1e-3)


def test_without_a_difference_of_batches_next_to_nothing_changes():
    features, batches, classes = planted([0.0, 0.0, 0.0], [1.0, 1.0, 1.0], rows=200, effect=0.5)
    found = fit_combat(features, batches, classes)
    assert np.abs(applied(found, features, batches) - features).mean() < 0.08
    assert np.abs(found.factors - 1).max() < 0.06


def test_planted_shifts_and_scales_are_taken_out_and_the_difference_of_classes_stays():
    features, batches, classes = planted([0.0, 5.0, -3.0], [1.0, 0.5, 2.0], rows=100)
    features = features + 1.0 * classes[:, None]
    rows = applied(fit_combat(features, batches, classes), features, batches)
    means = np.array([rows[batches == one].mean(axis=0) for one in range(3)])
    spreads = np.array([rows[batches == one].std(axis=0) for one in range(3)])
    before = np.array([features[batches == one].mean(axis=0) for one in range(3)])
    assert np.ptp(before, axis=0).mean() > 5 and np.ptp(means, axis=0).mean() < 0.2
    assert (spreads.max(axis=0) / spreads.min(axis=0)).mean() < 1.5
    apart = rows[classes == 1].mean(axis=0) - rows[classes == 0].mean(axis=0)
    assert (apart / rows.std(axis=0)).mean() > 0.8


def test_classes_that_are_more_frequent_in_one_batch_are_not_taken_for_its_shift():
    rng = np.random.default_rng(0)
    batches, classes = np.repeat([0, 1], 200), np.repeat([0, 1, 0, 1], [180, 20, 20, 180])
    features = rng.normal(size=(400, 50)) + 2.0 * classes[:, None]
    protected = applied(fit_combat(features, batches, classes), features, batches)
    blind = applied(fit_combat(features, batches, np.zeros(400, int)), features, batches)
    apart = [rows[classes == 1].mean() - rows[classes == 0].mean() for rows in (protected, blind)]
    assert apart[0] == pytest.approx(2.0, abs=0.1) and apart[1] < 1.2


def test_a_row_of_no_fitted_batch_stays_as_it_is_as_the_corrections_are_none_on_average():
    features, batches, classes = planted([0.0, 3.0, -3.0], [1.0, 1.0, 1.0], rows=100)
    found = fit_combat(features, batches, classes)
    # Equal batches: their corrections average to none.
    assert np.abs(found.location.mean(axis=0)).max() < 0.05


def test_a_feature_that_never_changes_is_left_as_it_is():
    features, batches, classes = planted([0.0, 3.0], [1.0, 2.0])
    features[:, 7] = 4.0
    found = fit_combat(features, batches, classes)
    np.testing.assert_array_equal(applied(found, features, batches)[:, 7], 4.0)
    assert np.isfinite(found.factors).all() and np.isfinite(found.offsets).all()


def test_a_feature_that_is_the_same_within_a_batch_gets_a_finite_correction():
    of_batch = np.array([0, 0, 1, 1])
    alone = fit_combat(np.array([[1.0], [1.0], [0.0], [2.0]]), of_batch, np.zeros(4, int))
    assert np.isfinite(alone.factors).all() and np.isfinite(alone.offsets).all()
    features, batches, classes = planted([0.0, 3.0], [1.0, 2.0])
    features[batches == 0, 7] = 4.0
    with np.errstate(all="raise"):
        beside = fit_combat(features, batches, classes)
    assert np.isfinite(beside.factors).all() and np.isfinite(beside.offsets).all()


def test_batches_of_one_class_each_are_refused_as_nobody_can_tell_them_apart():
    features, batches, _ = planted([0.0, 3.0], [1.0, 1.0])
    with pytest.raises(InputError, match="cannot tell batches from classes.*2 batches and 2 classes"):
        fit_combat(features, batches, batches)
