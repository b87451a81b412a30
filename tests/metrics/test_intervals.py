"""Intervals: closed forms, whole patients, and how often they hold a known truth."""

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy.stats import norm
from simulated import simulated
from sklearn.metrics import average_precision_score, roc_auc_score
from statsmodels.stats.proportion import proportion_confint

from mri_tf import metrics
from mri_tf.metrics.classification import numbers_with_intervals
from mri_tf.metrics.classifier_intervals import count_intervals
from mri_tf.metrics.intervals import (
    Interval,
    bounded_interval,
    correlation_of,
    f1_interval,
    loss_interval,
    mean_interval_of_parts,
    share_interval,
)
from mri_tf.metrics.ranking import placements
from mri_tf.metrics.ranking_intervals import auc_interval, average_precision_interval


def width(interval: Interval) -> float:
    return interval.high - interval.low


def test_a_share_of_one_record_each_is_exact_and_of_several_is_wilsons():
    hits = np.array([1, 1, 1, 0, 1, 1, 0])
    assert share_interval(hits, np.ones(7))[:2] == pytest.approx(proportion_confint(5, 7, method="beta"))
    # Independent records: the effective number is capped at all of them, and the quantile is normal.
    many = np.random.default_rng(0).permuted(np.repeat([1, 1, 0], 40)).reshape(12, 10).sum(axis=1)
    even = np.full(12, 10)
    even[:] = many.sum() / 12
    low, high, method = share_interval(even, np.full(12, 10))
    expected = proportion_confint(even.sum(), 120, method="wilson")
    assert method == "Wilson, effective n" and (low, high) == pytest.approx(expected, abs=0.02)


def test_a_share_is_wider_where_the_records_of_a_patient_agree():
    agreeing, mixed = np.array([10, 0, 10, 10, 0, 10, 10, 10]), np.full(8, 7.5)
    counts = np.full(8, 10)
    assert width(share_interval(agreeing, counts)) > 2 * width(share_interval(mixed, counts))
    # Patients who are right or wrong as a whole count as one record each, about.
    single = proportion_confint(6, 8, method="wilson")
    assert width(share_interval(agreeing, counts)) == pytest.approx(single[1] - single[0], rel=0.25)


def test_a_share_does_not_narrow_when_every_record_is_there_twice():
    rng = np.random.default_rng(1)
    counts = rng.integers(2, 9, 20)
    hits = rng.binomial(counts, np.clip(rng.beta(2, 1, 20), 0, 1))
    once, twice = share_interval(hits, counts), share_interval(2 * hits, 2 * counts)
    assert width(twice) == pytest.approx(width(once), rel=0.15)


@pytest.mark.parametrize("right", [0, 1])
def test_all_right_or_all_wrong_counts_patients(right):
    found = share_interval(np.full(9, 5 * right), np.full(9, 5))
    assert found[:2] == pytest.approx(proportion_confint(9 * right, 9, method="beta"))


def test_a_patient_with_most_of_the_records_is_not_ten_patients():
    counts = np.r_[200, np.full(9, 2)]
    low, _, method = share_interval(counts, counts)
    assert low < 0.1 and method == "Clopper-Pearson, n = patients"
    mostly = np.r_[40, np.full(9, 2)]
    assert share_interval(mostly, counts).high > 0.9  # of ten patients it ends at 0.81
    equal, value = np.full(10, 20), mostly.sum() / counts.sum()
    without = (mostly.sum() - mostly) / (counts.sum() - counts)
    as_ten = bounded_interval(value, without, 1, equal)
    assert width(bounded_interval(value, without, 1, counts)) > width(as_ten)


@pytest.mark.parametrize("patients", [10, 20])
def test_a_share_of_unequal_numbers_of_records_covers_the_truth(patients):
    rng = np.random.default_rng(7)
    covered = 0
    for _ in range(300):
        counts = np.where(rng.random(patients) < 0.2, 30, 1)
        low, high, _ = share_interval(counts * (rng.random(patients) < 0.8), counts)
        covered += low <= 0.8 <= high
    assert covered >= 273  # of 95 %: 3 standard errors


def test_an_f1_is_that_of_its_share_of_hits():
    hits, either = np.array([1, 0, 1, 1, 0]), np.array([1, 1, 1, 1, 0])
    low, high = proportion_confint(3, 4, method="beta")
    assert f1_interval(hits, either)[:2] == pytest.approx((2 * low / (1 + low), 2 * high / (1 + high)))


def test_distances_to_the_limits_of_parts_add_up_like_standard_deviations():
    parts = [Interval(0.6, 0.9, "x"), Interval(0.4, 0.8, "x")]
    values = np.array([0.8, 0.7])
    apart = mean_interval_of_parts(values, parts, np.eye(2))  # errors of two patients, unrelated
    assert apart.low == pytest.approx(0.75 - np.hypot(0.2, 0.3) / 2)
    assert apart.high == pytest.approx(0.75 + np.hypot(0.1, 0.1) / 2)
    alike = mean_interval_of_parts(values, parts, np.ones((2, 2)))
    assert (alike.low, alike.high) == pytest.approx((0.5, 0.85))
    longer = mean_interval_of_parts(values, parts, np.eye(2), least=0.09)
    assert (longer.low, longer.high) == pytest.approx((apart.low, 0.84))


def test_a_mean_average_precision_of_chance_is_not_taken_for_more():
    # Of seven records the average precision is above its expectation; the mean of classes shows it.
    covered = 0
    for seed in range(40):
        rng = np.random.default_rng(seed)
        truth, scores = np.arange(63) % 9, rng.normal(size=(63, 9))
        odds = np.exp(scores)
        made = metrics.classifier.checked(
            truth, odds / odds.sum(axis=1, keepdims=True), scores.argmax(axis=1), np.arange(63)
        )
        found = numbers_with_intervals(made, tuple("abcdefghi"))["average_precision"]
        covered += found["low"] <= 1 / 9 <= found["high"]
    assert covered >= 36


def test_correlations_are_those_of_errors_around_nought():
    errors = np.array([[1.0, 1, 0], [-1, -1, 0], [2, 2, 0]])
    np.testing.assert_allclose(correlation_of(errors), [[1, 1, 0], [1, 1, 0], [0, 0, 1]], atol=1e-12)


def newcombe(area, positive, negative):
    """Limits by trying every area: those that are 1.96 of their own standard errors away."""
    supposed = np.linspace(1e-6, 1 - 1e-6, 400_001)
    half = (positive + negative) / 2
    spread = 2 * half - 1 - (3 * half - 3) / ((2 - supposed) * (1 + supposed))
    error = np.sqrt(supposed * (1 - supposed) * spread / (positive * negative))
    inside = supposed[np.abs(supposed - area) <= 1.959964 * error]
    return inside[0], inside[-1]


@pytest.mark.parametrize(("positive", "negative"), [(5, 5), (4, 30), (40, 25)])
def test_an_auc_of_one_record_each_is_newcombes(positive, negative):
    rng = np.random.default_rng(positive)
    truth = np.repeat([0, 1], [negative, positive])
    scores = rng.normal(size=len(truth)) + truth
    found = placements(scores, truth == 1)
    assert found.area == pytest.approx(roc_auc_score(truth, scores))
    expected = newcombe(found.area, positive, negative)
    assert auc_interval(found, np.arange(len(truth)))[:2] == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize("records", [1, 8])
def test_an_auc_of_one_has_an_interval_over_patients(records):
    truth = np.repeat([0, 1], 6 * records)
    scores = truth + np.linspace(0, 0.5, len(truth))
    low, high, _ = auc_interval(placements(scores, truth == 1), np.repeat(np.arange(12), records))
    assert high == pytest.approx(1) and 0.5 < low < 0.8
    if records == 1:
        assert low == pytest.approx(newcombe(1 - 1e-9, 6, 6)[0], abs=1e-4)


def test_records_that_repeat_a_patient_add_nothing_to_an_auc():
    rng = np.random.default_rng(3)
    truth = np.repeat([0, 1], 12)
    scores = rng.normal(size=24) + truth
    once = auc_interval(placements(scores, truth == 1), np.arange(24))
    five = auc_interval(
        placements(np.repeat(scores, 5), np.repeat(truth, 5) == 1), np.repeat(np.arange(24), 5)
    )
    assert width(once) <= width(five) < 1.25 * width(once)


def normal_scores(rng, counts: np.ndarray, positive: int, auc: float) -> tuple:
    """(placements, owners, truth) of normal scores that correlate by 0.9 within patients.

    The first `positive` of the patients are of the positive class; `counts` are (patients,) records.
    """
    owners = np.repeat(np.arange(len(counts)), counts)
    truth = owners < positive
    noise = np.sqrt(0.1) * rng.normal(size=len(owners))
    scores = np.sqrt(0.9) * rng.normal(size=len(counts))[owners] + noise
    scores += np.sqrt(2) * norm.ppf(auc) * truth
    return placements(scores, truth), owners, average_precision_score(truth, scores)


def test_areas_of_unequal_numbers_of_records_cover_the_truth():
    rng = np.random.default_rng(8)
    areas = precisions = 0
    for _ in range(200):
        counts = np.where(rng.random(20) < 0.2, 30, 1)
        found, owners, value = normal_scores(rng, counts, 10, 0.75)
        low, high, _ = auc_interval(found, owners)
        areas += low <= 0.75 <= high
        low, high, _ = average_precision_interval(value, found, owners)
        precisions += low <= 0.741 <= high  # of 400,000 independent records
    assert areas >= 180 and precisions >= 176  # of 95 %: 3 standard errors of 200 are 9


def test_a_single_positive_patient_is_not_as_many_as_its_records():
    rng = np.random.default_rng(9)
    covered = 0
    for _ in range(100):
        found, owners, value = normal_scores(rng, np.full(41, 10), 1, 0.75)
        low, high, _ = auc_interval(found, owners)
        covered += low <= 0.75 <= high
        assert width(average_precision_interval(value, found, owners)) > 0.7  # of one record
    assert covered >= 88


def test_the_only_patient_with_positive_records_may_have_negative_ones_too():
    rng = np.random.default_rng(10)
    counts = np.full(21, 10)
    found, owners, _ = normal_scores(rng, counts, 1, 0.75)
    both = found.positive & (np.arange(210) < 5)
    mixed = placements(rng.normal(size=210) + both, both)
    assert width(auc_interval(mixed, owners)) > 0.6  # of 5 positive records it is below 0.5


def test_an_average_precision_is_wilsons_of_its_positive_patients():
    truth = np.repeat([0, 1], [20, 8])
    scores = np.random.default_rng(0).normal(size=28) + truth
    found = average_precision_interval(0.75, placements(scores, truth == 1), np.arange(28))
    assert found[:2] == pytest.approx(proportion_confint(6, 8, method="wilson"))


def test_a_loss_without_a_large_error_by_luck_is_not_taken_for_certain():
    sums, counts = np.full(10, 0.02), np.ones(10)
    assert width(loss_interval(sums, counts)) < 1e-9
    low, high, _ = loss_interval(sums, counts, expected=0.1, predicted_variance=0.09 / 10)
    assert low < 0.02 and high > 0.1


def test_leaving_out_each_patient_gives_wilsons_interval_of_a_share():
    right = np.array([1] * 14 + [0] * 6)
    without = (right.sum() - right) / 19
    low, high, _ = bounded_interval(0.7, without, wrong=6, counts=np.ones(20))
    assert (low, high) == pytest.approx((0.469, 0.860), abs=0.01)  # of t with 19 degrees


@example(818, 10, 5)  # a kappa whose limits would lie below -1
@given(st.integers(0, 1000), st.integers(10, 40), st.sampled_from([2, 3, 5]))
@settings(max_examples=40, deadline=None)
def test_an_interval_contains_its_value(seed, patients, classes):
    made = simulated(seed, patients=patients, classes=classes)
    counts = metrics.confusion_by_patient(made.truth, made.predicted, made.patients, classes)
    total = counts.sum(axis=0)
    for name, interval in count_intervals(counts, ordered=True).items():
        if isinstance(interval, Interval):
            value = float(getattr(metrics, name)(total))
            assert interval.low <= value + 1e-9 and value <= interval.high + 1e-9, name
            assert interval.low >= -1 and interval.high <= (classes - 1 if "grade" in name else 1), name


@pytest.mark.parametrize("records", [1, 6])
def test_an_interval_covers_the_truth_about_as_often_as_it_says(records):
    rng = np.random.default_rng(3)
    patients, covered = 20, 0
    for _ in range(200):
        # Of each patient a share of their own, 0.7 on average: records of a patient are alike.
        own = rng.beta(7, 3, patients)
        hits = rng.binomial(records, own)
        low, high, _ = share_interval(hits, np.full(patients, records))
        covered += low <= 0.7 <= high
    assert covered >= 184  # of 95 %: 3 standard errors
