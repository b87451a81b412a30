"""The Mahalanobis distance of a network's features from the training side."""

import numpy as np
import pytest
from sklearn.covariance import LedoitWolf

from mri_tf.calibration.feature_distance import (
    MAX_AXES,
    feature_distances,
    fit_feature_distance,
)


def _features(patients: int, width: int = 12, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    mixing = np.random.default_rng(99).normal(size=(width, width))
    return rng.normal(size=(patients, width)) @ mixing + 3


def test_the_distance_is_mahalanobis_s_with_the_covariance_of_ledoit_and_wolf():
    features = _features(50)
    fitted = fit_feature_distance(features, np.arange(50))
    reference = LedoitWolf().fit(features)
    np.testing.assert_allclose(
        feature_distances(_features(20, seed=1), fitted) ** 2,
        reference.mahalanobis(_features(20, seed=1)), rtol=1e-3,
    )  # fmt: skip


def test_further_axes_share_one_variance_and_thousands_of_features_stay_small():
    rng = np.random.default_rng(0)
    features = rng.normal(size=(200, 3000)) * np.linspace(3, 0.1, 3000)
    fitted = fit_feature_distance(features, np.arange(200))
    assert fitted.axes.shape == (3000, MAX_AXES)
    np.testing.assert_allclose(fitted.axes.T @ fitted.axes, np.eye(MAX_AXES), atol=1e-4)
    distances = feature_distances(features, fitted)
    assert feature_distances(features + 5, fitted).min() > distances.max()


def test_more_features_than_patients_are_no_problem_and_new_patients_are_flagged_as_stated():
    flagged = []
    for seed in range(12):
        fitted = fit_feature_distance(_features(40, 60, seed), np.arange(40))
        new = feature_distances(_features(200, 60, 1000 + seed), fitted)
        flagged.append((new > fitted.limit.value).mean())
    assert np.mean(flagged) == pytest.approx(fitted.limit.rate, abs=0.03)


def test_a_network_that_knows_its_training_patients_by_heart_cannot_tell():
    features = _features(40)
    new = 3 * (_features(6, seed=1) - 3) + 3  # further from the centre than any training patient
    fitted = fit_feature_distance(features, np.arange(40), (new, np.arange(6)))
    assert fitted.limit.value is None and "6 of 6 validation patients" in fitted.limit.reason
    alike = fit_feature_distance(features, np.arange(40), (_features(6, seed=2), np.arange(6)))
    assert alike.limit == fit_feature_distance(features, np.arange(40)).limit


def test_enough_validation_patients_give_the_limit():
    new = 3 * (_features(25, seed=1) - 3) + 3
    fitted = fit_feature_distance(_features(40), np.arange(40), (new, np.arange(25)))
    assert fitted.limit.patients == 25 and fitted.limit.rate == pytest.approx(2 / 26)
    assert (feature_distances(new, fitted) > fitted.limit.value).sum() == 1


def test_features_far_away_are_flagged_and_dead_ones_do_no_harm():
    features = np.concatenate([_features(40), np.zeros((40, 3))], axis=1)
    fitted = fit_feature_distance(features, np.arange(40))
    assert feature_distances(features + 100, fitted).min() > fitted.limit.value
    constant = fit_feature_distance(np.ones((30, 4)), np.arange(30))
    assert feature_distances(np.ones((1, 4)), constant) == pytest.approx(0, abs=1e-3)
