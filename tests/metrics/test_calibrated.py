"""Calibration: intercept and slope against statsmodels, tests that hold, and what perfect ones show."""

import numpy as np
import pytest
import statsmodels.api as sm
from scipy.special import expit, logit
from scipy.stats import norm

from mri_tf.metrics.calibrated import error_if_perfect, recalibration
from mri_tf.metrics.classifier import checked


def drawn(seed, patients=60, records=3, slope=1.0, intercept=0.0):
    """(probability, happened, patients): a patient's records have one class."""
    rng = np.random.default_rng(seed)
    owners = np.repeat(np.arange(patients), records)
    probability = expit(1.2 * rng.normal(size=patients)[owners] + 0.4 * rng.normal(size=len(owners)))
    chance = expit(intercept + slope * logit(probability))
    return probability, rng.random(patients)[owners] < chance, owners


def test_intercept_and_slope_are_those_of_statsmodels_clustered_by_patient():
    probability, happened, owners = drawn(0, slope=0.6, intercept=0.5)
    found = recalibration(probability, happened, owners)
    steep = logit(probability)
    both = sm.GLM(happened.astype(float), sm.add_constant(steep), family=sm.families.Binomial())
    fitted = both.fit(cov_type="cluster", cov_kwds={"groups": owners, "use_correction": False})
    assert found["slope"]["value"] == pytest.approx(fitted.params[1], abs=1e-5)
    error = (found["slope"]["high"] - found["slope"]["low"]) / 2 / 2.0017  # t with 58 degrees
    assert error == pytest.approx(fitted.bse[1] * np.sqrt(60 / 58), rel=1e-3)
    binomial = sm.families.Binomial()
    large = sm.GLM(happened.astype(float), np.ones(len(owners)), family=binomial, offset=steep)
    assert found["intercept"]["value"] == pytest.approx(large.fit().params[0], abs=1e-5)


@pytest.mark.parametrize("patients", [20, 80])
def test_calibrated_probabilities_are_called_wrong_as_rarely_as_promised(patients):
    rejected = np.zeros(2)
    for seed in range(300):
        found = recalibration(*drawn(seed, patients))
        rejected += [found[name]["p"] <= 0.05 for name in ("intercept", "slope")]
    assert (rejected <= 300 * 0.05 + 3 * np.sqrt(300 * 0.05 * 0.95)).all(), rejected


# Of the second, 12 % of the sets show one error, and the interval of that intercept is too short.
@pytest.mark.parametrize(
    "logits, most", [([np.log(49)] * 16 + [-np.log(49)] * 4, 12), ([5.0, -5.0] * 10, 20)]
)
def test_confident_probabilities_that_are_right_are_not_called_wrong(logits, most):
    probability, rng = expit(np.array(logits)), np.random.default_rng(0)
    rejected, missed = np.zeros(2), 0
    for _ in range(100):
        found = recalibration(probability, rng.random(20) < probability, np.arange(20))
        rejected += [found[name].get("p", 1) <= 0.05 for name in ("intercept", "slope")]
        missed += not found["intercept"]["low"] <= 0 <= found["intercept"]["high"]
    assert (rejected <= 10).all() and missed <= most, (rejected, missed)


def test_confident_probabilities_that_show_no_error_have_a_wide_intercept_and_no_test_of_the_slope():
    probability = np.array([0.98] * 16 + [0.02] * 4)
    found = recalibration(probability, probability > 0.5, np.arange(20))
    assert found["intercept"]["p"] > 0.5
    assert found["intercept"]["low"] < -1 and found["intercept"]["high"] > 2
    assert found["slope"]["value"] is None and "p" not in found["slope"]


def test_too_extreme_probabilities_of_30_patients_are_found_by_the_slope_and_not_by_the_intercept():
    rng, rejected = np.random.default_rng(0), np.zeros(2)
    for _ in range(100):
        logits = 2 * rng.normal(size=30)
        found = recalibration(expit(logits), rng.random(30) < expit(0.4 * logits), np.arange(30))
        rejected += [found[name].get("p", 1) <= 0.05 for name in ("intercept", "slope")]
    assert rejected[0] <= 12 and rejected[1] >= 45, rejected


def test_records_of_several_classes_that_resemble_each_other_are_not_counted_as_independent():
    rng, rejected, owners = np.random.default_rng(0), np.zeros(2), np.repeat(np.arange(20), 10)
    for _ in range(100):
        logits = 0.5 * rng.normal(size=20)[owners] + 0.4 * rng.normal(size=200)
        alike = norm.cdf(0.7 * rng.normal(size=20)[owners] + 0.714 * rng.normal(size=200))
        found = recalibration(expit(logits), alike < expit(logits), owners)
        rejected += [found[name].get("p", 1) <= 0.05 for name in ("intercept", "slope")]
    assert (rejected <= 12).all(), rejected


def test_wrong_probabilities_are_found():
    shifted = recalibration(*drawn(1, 150, intercept=1.2))
    assert shifted["intercept"]["p"] < 0.001 and shifted["intercept"]["low"] > 0
    extreme = recalibration(*drawn(2, 150, slope=0.2))
    assert extreme["slope"]["p"] < 0.01 and extreme["slope"]["high"] < 1


def test_separated_classes_have_no_slope_and_a_reason():
    probability = np.array([0.1, 0.2, 0.3, 0.7, 0.8, 0.9])
    found = recalibration(probability, probability > 0.5, np.arange(6))
    assert found["slope"]["value"] is None and "separate" in found["slope"]["reason"]
    assert "p" not in found["slope"]
    assert found["intercept"]["value"] == pytest.approx(0, abs=1e-6)
    reversed_ = recalibration(probability, probability < 0.5, np.arange(6))
    assert reversed_["slope"]["value"] is None and "wrong way round" in reversed_["slope"]["reason"]
    equal = recalibration(np.full(6, 0.3), probability > 0.5, np.arange(6))
    assert equal["slope"]["reason"] == "all probabilities are equal" and "p" not in equal["slope"]
    alone = recalibration(probability, np.ones(6, bool), np.arange(6))
    assert alone["slope"]["reason"] == "only one class occurs"


@pytest.mark.parametrize("records", [1, 6])
def test_a_perfect_forecaster_shows_the_error_that_is_expected_of_one(records):
    outside = 0
    for seed in range(60):
        probability, happened, owners = drawn(seed, 20, records)
        made = checked(
            happened.astype(int), np.stack([1 - probability, probability], axis=1),
            (probability > 0.5).astype(int), owners,
        )  # fmt: skip
        found = error_if_perfect(made)
        assert 0.02 < found["low"] < found["mean"] < found["high"]
        outside += found["p"] <= 0.05
    assert outside <= 8  # of 3 expected


def test_an_overconfident_network_shows_more_than_a_perfect_one():
    probability, happened, owners = drawn(0, 300, 2, slope=0.2)
    made = checked(happened.astype(int), np.stack([1 - probability, probability], axis=1),
                   (probability > 0.5).astype(int), owners)  # fmt: skip
    assert error_if_perfect(made)["p"] < 0.01
