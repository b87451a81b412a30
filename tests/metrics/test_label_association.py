"""How much features tell labels: against scikit-learn and SciPy, refitted without each patient."""

import numpy as np
import pytest
from scipy.stats.contingency import association
from sklearn.linear_model import Ridge

from mri_tf.metrics.label_association import (
    Exchanges,
    column_correlations,
    cramers_v,
    held_out_correlation,
    standardised,
    unit_means,
)
from mri_tf.metrics.label_exchanges import exchange_units


def of(truth, patients, draws=20):
    return Exchanges.of(exchange_units(truth, patients), draws=draws, seed=1)


def of_patients(truth):
    """One record a patient, so that units are in the order of the records."""
    return of(truth, np.array([f"p{number:03d}" for number in range(len(truth))]))


def by_refitting(features, exchanges, labels):
    """The correlation of `labels` with scores of ridge regressions that are fitted anew without each
    patient."""
    rows, _ = standardised(unit_means(features, exchanges.units), exchanges)
    weights, owners = exchanges.weights, exchanges.units.owners
    plain = rows / np.sqrt(weights)[:, None]
    strength = (rows**2).sum() / weights.sum()
    truths, scores = [], []
    for one in exchanges.classes:
        target = (labels == one).astype(float)
        for block in np.unique(exchanges.units.blocks):
            inside = exchanges.units.blocks == block
            target[inside] -= target[inside].mean()
        score = np.empty(len(target))
        for owner in np.unique(owners):
            out = owners == owner
            model = Ridge(alpha=strength, fit_intercept=False)
            model.fit(plain[~out], target[~out], sample_weight=weights[~out])
            score[out] = model.predict(plain[out])
        for block in np.unique(exchanges.units.blocks):
            inside = exchanges.units.blocks == block
            score[inside] -= score[inside].mean()
        truths.append(target)
        scores.append(score)
    truth, score, weight = np.concatenate(truths), np.concatenate(scores), np.tile(weights, len(truths))
    return (weight * truth * score).sum() / np.sqrt(
        (weight * truth**2).sum() * (weight * score**2).sum()
    )


@pytest.mark.parametrize("columns", [3, 40])
@pytest.mark.parametrize("classes", [2, 3])
def test_held_out_scores_are_those_of_fits_without_the_patient(columns, classes):
    rng = np.random.default_rng(columns)
    # Patients of one label, and two patients with records of several.
    patients = np.concatenate([np.arange(14), np.repeat([20, 21], 5)])
    truth = np.concatenate([np.arange(14) % classes, rng.permutation(5) % 2, rng.permutation(5) % 2])
    exchanges = of(truth, patients)
    features = rng.normal(size=(len(truth), columns)) + truth[:, None]
    rows, _ = standardised(unit_means(features, exchanges.units), exchanges)
    found = held_out_correlation(rows, exchanges)
    for number in (0, 7):
        expected = by_refitting(features, exchanges, exchanges.labels[number])
        assert found[number] == pytest.approx(expected, abs=1e-9)


def test_a_features_correlation_is_pearsons_and_of_several_classes_the_multiple_one():
    rng = np.random.default_rng(0)
    features = rng.normal(size=(20, 4))
    two, three = np.arange(20) % 2, np.arange(20) % 3
    exchanges = of_patients(two)
    rows, _ = standardised(features, exchanges)
    found = column_correlations(rows, exchanges)
    for number in (0, 5):
        expected = [abs(np.corrcoef(exchanges.labels[number], column)[0, 1]) for column in features.T]
        assert found[number] == pytest.approx(expected)
    exchanges = of_patients(three)
    rows, _ = standardised(features, exchanges)
    classes = np.eye(3)[three]
    fitted = classes @ np.linalg.lstsq(classes, features, rcond=None)[0]
    expected = fitted.std(axis=0) / features.std(axis=0)
    assert column_correlations(rows, exchanges)[0] == pytest.approx(expected)


def test_cramers_v_is_scipys():
    rng = np.random.default_rng(0)
    sites, truth = rng.integers(0, 4, 40), rng.integers(0, 3, 40)
    exchanges = of_patients(truth)
    found = cramers_v(np.eye(5)[sites], exchanges)  # the fifth site has nobody
    for number in (0, 3):
        table = np.zeros((3, 4), int)
        np.add.at(table, (exchanges.labels[number], sites), 1)
        assert found[number] == pytest.approx(association(table, method="cramer"))


def test_a_feature_that_is_constant_within_all_who_exchange_is_left_out():
    patients, truth = np.repeat(np.arange(6), 4), np.tile([0, 1, 0, 1], 6)
    features = [np.repeat(np.arange(6.0), 4), np.tile(np.arange(4.0), 6), np.full(24, 7.0)]
    exchanges = of(truth, patients)
    rows, kept = standardised(unit_means(np.stack(features, axis=1), exchanges.units), exchanges)
    assert kept.tolist() == [1] and rows.shape == (24, 1)


def test_scores_of_useless_features_are_not_low_where_the_label_is_high():
    found = []
    for seed in range(60):
        rng = np.random.default_rng(seed)
        exchanges = of_patients(rng.permutation(np.arange(30) % 2))
        rows, _ = standardised(rng.normal(size=(30, 10)), exchanges)
        found.append(held_out_correlation(rows, exchanges)[1])
    assert abs(np.mean(found)) < 0.1
