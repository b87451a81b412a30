"""Numbers against scikit-learn and by hand; intervals that count patients, not records."""

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sk

from mri_tf import metrics

CLASSES = 4
PAIRS = st.lists(
    st.tuples(st.integers(0, CLASSES - 1), st.integers(0, CLASSES - 1)), min_size=1, max_size=40
)


def total(pairs, class_count=CLASSES) -> np.ndarray:
    truth, predicted = np.array(pairs).T
    patients = np.arange(len(truth)) % 3
    return metrics.confusion_by_patient(truth, predicted, patients, class_count).sum(axis=0)


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
    assert float(metrics.accuracy(confusion)) == pytest.approx(sk.accuracy_score(truth, predicted))
    assert float(metrics.kappa(confusion)) == pytest.approx(agreement, nan_ok=True, abs=1e-12)
    np.testing.assert_allclose(metrics.f1_per_class(confusion), f1, atol=1e-12)
    assert float(metrics.f1_macro(confusion)) == pytest.approx(mean)
    np.testing.assert_allclose(metrics.precision_per_class(confusion), precision, atol=1e-12)
    np.testing.assert_allclose(metrics.recall_per_class(confusion), recall, atol=1e-12)
    assert float(metrics.balanced_accuracy(confusion)) == pytest.approx(balanced)
    assert float(metrics.quadratic_kappa(confusion)) == pytest.approx(quadratic, nan_ok=True, abs=1e-12)


def test_measures_of_many_confusions_are_those_of_each():
    confusions = np.random.default_rng(0).integers(0, 9, (5, 3, 3))
    for name in ("accuracy", "balanced_accuracy", "kappa", "quadratic_kappa", "precision_per_class",
                 "recall_per_class", "f1_per_class", "f1_macro", "foreground_dice"):  # fmt: skip
        measure = getattr(metrics, name)
        together = measure(confusions)
        np.testing.assert_allclose(together, [measure(one) for one in confusions])


def test_dice_is_twice_the_overlap_over_both_sizes():
    truth, predicted = np.zeros((4, 4), int), np.zeros((4, 4), int)
    truth[:2, :2], predicted[:2, 1:3] = 1, 1  # 4 and 4 pixels, 2 in common
    truth[3, :3], predicted[3, :1] = 2, 2  # 3 and 1 pixels, 1 in common
    patients = np.zeros(16, int)
    confusion = metrics.confusion_by_patient(truth.ravel(), predicted.ravel(), patients, 3).sum(axis=0)
    np.testing.assert_allclose(metrics.f1_per_class(confusion)[1:], [2 * 2 / 8, 2 * 1 / 4])
    assert float(metrics.foreground_dice(confusion)) == pytest.approx(0.5)


def test_background_is_not_in_the_mean_dice():
    confusion = np.array([[1_000_000, 0], [5, 5]])
    assert float(metrics.foreground_dice(confusion)) == pytest.approx(2 * 5 / 15)


def test_a_class_that_neither_occurs_nor_is_predicted_is_undefined_and_in_no_mean():
    confusion = np.array([[3, 1, 0], [0, 4, 0], [0, 0, 0]])
    assert np.isnan(metrics.f1_per_class(confusion)[2])
    assert float(metrics.f1_macro(confusion)) == pytest.approx((6 / 7 + 8 / 9) / 2)
    assert float(metrics.foreground_dice(confusion)) == pytest.approx(8 / 9)


def test_a_class_that_is_only_predicted_counts_as_nought():
    confusion = np.array([[3, 0, 1], [0, 4, 0], [0, 0, 0]])
    assert metrics.f1_per_class(confusion)[2] == 0
    assert float(metrics.f1_macro(confusion)) == pytest.approx((6 / 7 + 1 + 0) / 3)


def test_confusions_given_together_are_means_of_the_same_classes():
    whole = np.array([[3, 1, 0], [0, 4, 0], [1, 0, 2]])
    without_the_last = np.array([[3, 1, 0], [0, 4, 0], [0, 0, 0]])
    together = np.stack([whole, without_the_last])
    for measure in (metrics.f1_macro, metrics.balanced_accuracy, metrics.foreground_dice):
        assert np.isfinite(measure(without_the_last))
        first, second = measure(together)
        assert first == pytest.approx(float(measure(whole))) and np.isnan(second)


def test_a_false_alarm_that_is_not_drawn_leaves_its_class_at_nought():
    whole = np.array([[3, 0, 1], [0, 4, 0], [0, 0, 0]])
    without_the_alarm = np.array([[3, 0, 0], [0, 4, 0], [0, 0, 0]])
    np.testing.assert_allclose(metrics.f1_macro(np.stack([whole, without_the_alarm])),
                               [(6 / 7 + 1) / 3, 2 / 3])  # fmt: skip


def test_a_miss_by_two_grades_costs_four_times_one():
    near = np.array([[9, 1, 0], [0, 10, 0], [0, 0, 10]])
    far = np.array([[9, 0, 1], [0, 10, 0], [0, 0, 10]])
    assert metrics.quadratic_kappa(far) < metrics.quadratic_kappa(near)
    # By hand: chance has sum over (i, j) of row x column x (i - j)^2 / 30.
    chance = (10 * 11 + 10 * 10 * 4 + 10 * 9 + 10 * 10 + 10 * 9 * 4 + 10 * 11) / 30
    assert float(metrics.quadratic_kappa(near)) == pytest.approx(1 - 1 / chance)


def test_kappa_is_undefined_where_only_one_class_occurs():
    assert np.isnan(metrics.kappa(np.array([[5, 0], [0, 0]])))


def test_records_are_counted_for_the_patient_they_are_of():
    truth, predicted, patients = np.array([0, 1, 1]), np.array([0, 0, 1]), np.array(list("bab"))
    counts = metrics.confusion_by_patient(truth, predicted, patients, 2)
    assert counts.tolist() == [[[0, 0], [1, 0]], [[1, 0], [0, 1]]]
