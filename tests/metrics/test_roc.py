"""ROC curves are scikit-learn's; their band holds the true curve, also of a ranking without error."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm
from sklearn import metrics as sk

from mri_tf import metrics
from mri_tf.metrics.roc import FALSE_RATES, roc_curves, roc_points

NAMES = ("well", "ill")


def curve_of(scores, positive, patients, names=NAMES):
    """The curve of the last of two classes, from scores between 0 and 1."""
    arrays = metrics.Predictions(
        np.asarray(positive, int), np.stack([1 - scores, scores], axis=1),
        (scores > 0.5).astype(int), np.asarray(patients).astype(str),
    )  # fmt: skip
    numbers = metrics.classification_metrics(*arrays, names)
    return roc_curves(arrays, names, numbers["per_class"])["ill"], numbers


def binormal(rng, patients: int, records: int, auc: float):
    """Scores of as many ill as well patients, half of whose variance is their own."""
    owner = np.repeat(np.arange(2 * patients), records)
    positive = owner < patients
    own = rng.normal(size=2 * patients)[owner] if records > 1 else 0
    noise = rng.normal(size=len(owner))
    spread = noise if records == 1 else np.sqrt(0.5) * (own + noise)
    return norm.cdf(spread + norm.ppf(auc) * np.sqrt(2) * positive), positive, owner


@given(st.lists(st.tuples(st.integers(0, 4), st.booleans()), min_size=2, max_size=40))
@settings(max_examples=80, deadline=None)
def test_roc_points_are_those_of_scikit_learn(pairs):
    scores, positive = np.array([score for score, _ in pairs]), np.array([is_one for _, is_one in pairs])
    false_rate, true_rate = roc_points(scores, positive)
    if positive.all() or not positive.any():
        assert np.isnan(false_rate).any() or np.isnan(true_rate).any()
        return
    expected = sk.roc_curve(positive, scores, drop_intermediate=False)[:2]
    np.testing.assert_allclose((false_rate, true_rate), expected)


@given(st.integers(0, 10_000), st.integers(4, 30), st.integers(1, 3))
@settings(max_examples=30, deadline=None)
def test_a_band_holds_its_curve_rises_and_ends_in_the_corner(seed, patients, records):
    scores, positive, owner = binormal(np.random.default_rng(seed), patients, records, 0.8)
    curve, numbers = curve_of(scores.round(1), positive, owner)
    assert curve.auc == numbers["auc"] and curve.why_no_band == ""
    assert np.trapezoid(curve.true_rate, curve.false_rate) == pytest.approx(curve.auc["value"])
    assert (np.diff(curve.low) >= 0).all() and (np.diff(curve.high) >= 0).all()
    drawn = np.interp(curve.at, curve.false_rate, curve.true_rate)
    assert (curve.low <= drawn + 1e-9).all() and (drawn <= curve.high + 1e-9).all()
    assert curve.low[-1] == curve.high[-1] == 1


def test_the_band_at_a_specificity_is_the_interval_of_the_sensitivity_there():
    scores, positive, owner = binormal(np.random.default_rng(3), 40, 1, 0.85)
    curve, numbers = curve_of(scores, positive, owner)
    place = int(np.flatnonzero(np.isclose(FALSE_RATES, 0.1))[0])
    number = numbers["sensitivity_at_specificity"]
    assert number["specificity"] == 0.9
    assert (curve.low[place], curve.high[place]) == pytest.approx((number["low"], number["high"]))


@pytest.mark.parametrize(("patients", "records", "auc"), [(20, 1, 0.9), (20, 10, 0.75), (10, 1, 0.99)])
def test_a_band_holds_the_true_sensitivity_about_as_often_as_it_says(patients, records, auc):
    """A bootstrap of patients holds it in 0 to 60 of 100 at an AUC of 0.99: see docs/statistics.md."""
    rng, places = np.random.default_rng(1), [4, 8, 20]
    true = norm.cdf(norm.ppf(auc) * np.sqrt(2) + norm.ppf(FALSE_RATES))[places]
    held = []
    for _ in range(60):
        curve, _ = curve_of(*binormal(rng, patients, records, auc))
        held.append((curve.low[places] <= true) & (true <= curve.high[places]))
    assert np.mean(held) > 0.92


def test_a_ranking_without_error_has_a_band_too():
    positive = np.arange(24) < 12
    curve, numbers = curve_of(np.where(positive, 0.9, 0.1), positive, np.arange(24))
    assert curve.auc["value"] == 1 and numbers["auc"]["low"] < 0.9
    inside = curve.at < 1
    assert curve.low[inside].max() < 0.9 and curve.high[inside].min() == 1


def test_records_of_the_same_patients_make_no_narrower_band_than_their_patients():
    positive, patients = np.arange(20) < 10, np.arange(20)
    scores = np.random.default_rng(0).random(20)
    once, _ = curve_of(scores, positive, patients)
    ten = [np.repeat(array, 10) for array in (scores, positive, patients)]
    copied, _ = curve_of(*ten)
    width = [(one.high - one.low)[5:30].mean() for one in (once, copied)]
    assert width[1] == pytest.approx(width[0], rel=0.15)


def test_few_patients_have_no_band_and_the_reason_of_the_auc():
    curve, numbers = curve_of(np.array([0.9, 0.6, 0.2, 0.1]), np.array([1, 1, 0, 0], bool), range(4))
    assert len(curve.at) == len(curve.low) == 0
    assert "too few" in curve.why_no_band and curve.why_no_band == numbers["auc"]["reason"]


def test_more_classes_have_a_curve_each_and_one_without_records_is_undefined():
    rng, names = np.random.default_rng(2), ("a", "b", "c")
    truth = rng.integers(0, 2, 40)  # never c
    arrays = metrics.Predictions(truth, rng.dirichlet(np.ones(3), 40), truth, np.arange(40).astype(str))
    numbers = metrics.classification_metrics(*arrays, names)
    curves = roc_curves(arrays, names, numbers["per_class"])
    assert list(curves) == list(names)
    assert curves["c"].auc["value"] is None and np.isnan(curves["c"].true_rate[-1])
    assert len(curves["a"].at) and not len(curves["c"].at)
