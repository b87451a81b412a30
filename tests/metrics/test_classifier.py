"""Numbers against scikit-learn and by hand; intervals that count patients, not records."""

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sk

from mri_tf.calibration.temperature import correct_prior
from mri_tf.metrics import (
    accuracy,
    balanced_accuracy,
    confusion_by_patient,
    f1_macro,
    f1_per_class,
    foreground_dice,
    kappa,
    precision_per_class,
    quadratic_kappa,
    recall_per_class,
    with_interval,
)

CLASSES = 4
PAIRS = st.lists(
    st.tuples(st.integers(0, CLASSES - 1), st.integers(0, CLASSES - 1)), min_size=1, max_size=40
)


def total(pairs, class_count=CLASSES) -> np.ndarray:
    truth, predicted = np.array(pairs).T
    patients = np.arange(len(truth)) % 3
    return confusion_by_patient(truth, predicted, patients, class_count).sum(axis=0)


def right_or_wrong(right, patients) -> np.ndarray:
    """(patients, 2, 2) counts of records of class 0, each right or wrong."""
    right = np.asarray(right, int)
    return confusion_by_patient(np.zeros_like(right), 1 - right, np.asarray(patients), 2)


def width(result: dict) -> float:
    return result["high"] - result["low"]


# ---- values


@given(PAIRS)
@settings(max_examples=120, deadline=None)
def test_what_comes_from_counts_is_that_of_scikit_learn(pairs):
    truth, predicted = np.array(pairs).T
    confusion, names = total(pairs), list(range(CLASSES))
    assert np.array_equal(confusion, sk.confusion_matrix(truth, predicted, labels=names))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        agreement = sk.cohen_kappa_score(truth, predicted, labels=names)
        f1 = sk.f1_score(truth, predicted, labels=names, average=None, zero_division=np.nan)
        mean = sk.f1_score(truth, predicted, labels=names, average="macro", zero_division=np.nan)
        options = {"labels": names, "average": None, "zero_division": np.nan}
        precision = sk.precision_score(truth, predicted, **options)
        recall = sk.recall_score(truth, predicted, **options)
        balanced = sk.balanced_accuracy_score(truth, predicted)
        quadratic = sk.cohen_kappa_score(truth, predicted, labels=names, weights="quadratic")
    assert float(accuracy(confusion)) == pytest.approx(sk.accuracy_score(truth, predicted))
    assert float(kappa(confusion)) == pytest.approx(agreement, nan_ok=True, abs=1e-12)
    np.testing.assert_allclose(f1_per_class(confusion), f1, atol=1e-12)
    assert float(f1_macro(confusion)) == pytest.approx(mean)
    np.testing.assert_allclose(precision_per_class(confusion), precision, atol=1e-12)
    np.testing.assert_allclose(recall_per_class(confusion), recall, atol=1e-12)
    assert float(balanced_accuracy(confusion)) == pytest.approx(balanced)
    assert float(quadratic_kappa(confusion)) == pytest.approx(quadratic, nan_ok=True, abs=1e-12)


def test_measures_of_many_confusions_are_those_of_each():
    confusions = np.random.default_rng(0).integers(0, 9, (5, 3, 3))
    for measure in (accuracy, balanced_accuracy, kappa, quadratic_kappa, precision_per_class,
                    recall_per_class, f1_per_class, f1_macro, foreground_dice):  # fmt: skip
        together = measure(confusions)
        for number, one in enumerate(confusions):
            np.testing.assert_allclose(together[number], measure(one))


def test_dice_is_twice_the_overlap_over_both_sizes():
    truth, predicted = np.zeros((4, 4), int), np.zeros((4, 4), int)
    truth[:2, :2], predicted[:2, 1:3] = 1, 1  # 4 and 4 pixels, 2 in common
    truth[3, :3], predicted[3, :1] = 2, 2  # 3 and 1 pixels, 1 in common
    patients = np.zeros(16, int)
    confusion = confusion_by_patient(truth.ravel(), predicted.ravel(), patients, 3).sum(axis=0)
    np.testing.assert_allclose(f1_per_class(confusion)[1:], [2 * 2 / 8, 2 * 1 / 4])
    assert float(foreground_dice(confusion)) == pytest.approx(0.5)


def test_background_is_not_in_the_mean_dice():
    confusion = np.array([[1_000_000, 0], [5, 5]])
    assert float(foreground_dice(confusion)) == pytest.approx(2 * 5 / 15)


def test_a_class_that_neither_occurs_nor_is_predicted_is_undefined_and_in_no_mean():
    confusion = np.array([[3, 1, 0], [0, 4, 0], [0, 0, 0]])
    assert np.isnan(f1_per_class(confusion)[2])
    assert float(f1_macro(confusion)) == pytest.approx((6 / 7 + 8 / 9) / 2)
    assert float(foreground_dice(confusion)) == pytest.approx(8 / 9)


def test_a_class_that_is_only_predicted_counts_as_0():
    confusion = np.array([[3, 0, 1], [0, 4, 0], [0, 0, 0]])
    assert f1_per_class(confusion)[2] == 0
    assert float(f1_macro(confusion)) == pytest.approx((6 / 7 + 1 + 0) / 3)


def test_confusions_given_together_are_means_of_the_same_classes():
    whole = np.array([[3, 1, 0], [0, 4, 0], [1, 0, 2]])
    without_the_last = np.array([[3, 1, 0], [0, 4, 0], [0, 0, 0]])
    together = np.stack([whole, without_the_last])
    for measure in (f1_macro, balanced_accuracy, foreground_dice):
        assert np.isfinite(measure(without_the_last))
        first, second = measure(together)
        assert first == pytest.approx(float(measure(whole))) and np.isnan(second)


def test_a_false_alarm_that_is_not_drawn_leaves_its_class_at_0():
    whole = np.array([[3, 0, 1], [0, 4, 0], [0, 0, 0]])
    without_the_alarm = np.array([[3, 0, 0], [0, 4, 0], [0, 0, 0]])
    np.testing.assert_allclose(f1_macro(np.stack([whole, without_the_alarm])),
                               [(6 / 7 + 1) / 3, 2 / 3])  # fmt: skip


def test_a_miss_by_two_grades_costs_four_times_one():
    near = np.array([[9, 1, 0], [0, 10, 0], [0, 0, 10]])
    far = np.array([[9, 0, 1], [0, 10, 0], [0, 0, 10]])
    assert quadratic_kappa(far) < quadratic_kappa(near)
    # By hand: chance has sum over (i, j) of row x column x (i - j)^2 / 30.
    chance = (10 * 11 + 10 * 10 * 4 + 10 * 9 + 10 * 10 + 10 * 9 * 4 + 10 * 11) / 30
    assert float(quadratic_kappa(near)) == pytest.approx(1 - 1 / chance)


def test_kappa_is_undefined_where_only_one_class_occurs():
    assert np.isnan(kappa(np.array([[5, 0], [0, 0]])))


def test_records_are_counted_for_their_patient():
    counts = confusion_by_patient(np.array([0, 1, 1]), np.array([0, 0, 1]), np.array(list("bab")), 2)
    assert counts.tolist() == [[[0, 0], [1, 0]], [[1, 0], [0, 1]]]


# ---- intervals


def test_an_interval_is_wider_where_the_records_of_a_patient_agree():
    patients = np.repeat(np.arange(12), 20)
    right = np.repeat(np.arange(12) % 3 > 0, 20)
    clustered = with_interval(accuracy, right_or_wrong(right, patients))
    by_record = with_interval(accuracy, right_or_wrong(right, np.arange(len(right))))
    assert clustered["value"] == by_record["value"] == pytest.approx(2 / 3)
    assert width(clustered) > 3 * width(by_record)
    assert (clustered["n"], by_record["n"]) == (12, 240)


def test_an_interval_does_not_narrow_when_every_record_is_doubled():
    rng = np.random.default_rng(1)
    right = rng.random(30) < 0.7
    once = with_interval(accuracy, right_or_wrong(right, np.arange(30)))
    twice = with_interval(accuracy, right_or_wrong(np.repeat(right, 2), np.repeat(np.arange(30), 2)))
    assert twice == once


@given(st.integers(0, 1000), st.integers(10, 40))
@settings(max_examples=40, deadline=None)
def test_an_interval_contains_its_value(seed, patients):
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, 3, patients * 5)
    predicted = np.where(rng.random(len(truth)) < 0.7, truth, rng.integers(0, 3, len(truth)))
    counts = confusion_by_patient(truth, predicted, np.repeat(np.arange(patients), 5), 3)
    for measure in (accuracy, kappa, f1_macro):
        result = with_interval(measure, counts)
        assert result["low"] <= result["value"] <= result["high"]
        assert 0 < width(result) < 1


def test_one_patient_gives_a_value_and_no_interval():
    result = with_interval(accuracy, right_or_wrong([1, 1, 0, 1], [0, 0, 0, 0]))
    assert result == {
        "value": 0.75, "low": None, "high": None, "n": 1, "unit": "patients", "method": None,
        "reason": "one patient",
    }  # fmt: skip


def test_an_interval_is_the_same_for_the_same_seed_and_another_for_another():
    rng = np.random.default_rng(2)
    truth = rng.integers(0, 3, 60)
    predicted = np.where(rng.random(60) < 0.6, truth, rng.integers(0, 3, 60))
    counts = confusion_by_patient(truth, predicted, np.repeat(np.arange(20), 3), 3)
    one, again, other = (with_interval(kappa, counts, seed) for seed in (0, 0, 1))
    assert one == again
    assert (one["low"], one["high"]) != (other["low"], other["high"])
    assert one["value"] == other["value"]


@pytest.mark.parametrize("records", [1, 6])
def test_an_interval_covers_the_truth_about_as_often_as_it_says(records):
    rng = np.random.default_rng(3)
    patients, share, covered = 40, 0.7, 0
    for _ in range(100):
        # Of each patient a share of their own, 0.7 on average: records of a patient are alike.
        own = rng.beta(7, 3, patients)
        right = rng.random((patients, records)) < own[:, None]
        counts = right_or_wrong(right.ravel(), np.repeat(np.arange(patients), records))
        result = with_interval(accuracy, counts)
        covered += result["low"] <= share <= result["high"]
    assert covered >= 85


# ---- priors


def test_a_new_prior_is_bayes_rule():
    # Trained on equal shares, wanted 0.9 and 0.1: 0.6 x 0.9 against 0.4 x 0.1.
    corrected = correct_prior(np.array([[0.6, 0.4]]), np.array([0.5, 0.5]), np.array([0.9, 0.1]))
    np.testing.assert_allclose(corrected, [[0.54 / 0.58, 0.04 / 0.58]])


def test_the_correction_finds_the_posterior_of_a_gaussian_pair():
    x = np.linspace(-3, 3, 13)
    densities = np.stack([np.exp(-((x - mean) ** 2) / 2) for mean in (-1, 0, 1)], axis=-1)

    def posterior(prior):
        joint = densities * prior
        return joint / joint.sum(axis=-1, keepdims=True)

    trained, wanted = np.array([0.2, 0.3, 0.5]), np.array([0.7, 0.2, 0.1])
    np.testing.assert_allclose(correct_prior(posterior(trained), trained, wanted), posterior(wanted))


SHARES = st.lists(st.floats(0.01, 1), min_size=3, max_size=3).map(np.array)


@given(st.lists(SHARES, min_size=1, max_size=5), SHARES, SHARES)
@settings(max_examples=60, deadline=None)
def test_a_correction_there_and_back_changes_nothing(rows, trained, wanted):
    probabilities = np.array(rows) / np.sum(rows, axis=-1, keepdims=True)
    there = correct_prior(probabilities, trained, wanted)
    np.testing.assert_allclose(there.sum(axis=-1), 1)
    np.testing.assert_allclose(correct_prior(there, wanted, trained), probabilities)
    np.testing.assert_allclose(correct_prior(probabilities, trained, trained), probabilities)


def test_the_scale_of_the_shares_does_not_matter():
    probabilities = np.array([[0.2, 0.3, 0.5]])
    one = correct_prior(probabilities, np.array([0.1, 0.3, 0.6]), np.array([0.5, 0.25, 0.25]))
    other = correct_prior(probabilities, np.array([10, 30, 60]), np.array([2, 1, 1]))
    np.testing.assert_allclose(one, other)


def test_a_class_with_a_prior_of_0_gets_probability_0():
    corrected = correct_prior(np.array([[0.2, 0.3, 0.5]]), np.ones(3), np.array([1, 1, 0]))
    np.testing.assert_allclose(corrected, [[0.4, 0.6, 0]])
