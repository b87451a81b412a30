"""Numbers of ordered classes: grade errors and the AUC of each cut, against NumPy and scikit-learn."""

import numpy as np
import pytest
import sklearn.metrics as sk
from simulated import simulated

from mri_tf import metrics
from mri_tf.metrics.classifier import checked
from mri_tf.metrics.cuts import auc_per_cut
from mri_tf.metrics.paired import paired_differences

GRADES = ("I", "II", "III", "IV")


def test_the_grade_error_is_the_mean_distance_between_decision_and_truth():
    made = simulated(0, patients=40, classes=4)
    number = metrics.classification_metrics(*made, GRADES, ordered=True)["mean_absolute_grade_error"]
    assert number["value"] == pytest.approx(np.abs(made.predicted - made.truth).mean())
    assert number["low"] < number["value"] < number["high"] and number["n"] == 40


def test_without_an_error_the_grade_error_still_has_an_upper_limit():
    truth = np.repeat([0, 1, 2], 10)
    certain = np.eye(3)[truth]
    found = metrics.classification_metrics(
        truth, certain, truth, np.arange(30), GRADES[:3], ordered=True
    )  # fmt: skip
    number = found["mean_absolute_grade_error"]
    assert (number["value"], number["low"]) == (0, 0) and 0.1 < number["high"] < 0.6


def test_a_far_error_costs_more_than_a_near_one():
    truth = np.repeat([0, 1, 2, 3], 5)
    near, far = truth.copy(), truth.copy()
    near[0], far[0] = 1, 3
    errors = [
        metrics.mean_absolute_grade_error(metrics.confusion_by_patient(truth, made, truth, 4).sum(0))
        for made in (near, far)
    ]
    assert errors == pytest.approx([1 / 20, 3 / 20])


@pytest.mark.parametrize("decimals", [6, 0])
def test_the_auc_of_a_cut_is_that_of_the_labels_cut_in_two(decimals):
    made = simulated(1, patients=40, classes=4, decimals=decimals)
    found = auc_per_cut(checked(*made), GRADES)
    assert list(found) == ["II or higher", "III or higher", "IV or higher"]
    for cut, number in enumerate(found.values(), 1):
        scores = made.probabilities[:, cut:].sum(axis=1).round(12)
        area = sk.roc_auc_score(made.truth >= cut, scores)
        assert number["value"] == pytest.approx(area, abs=1e-12)
        assert number["low"] < number["value"] < number["high"]


def test_a_cut_with_too_few_patients_has_no_interval_and_an_empty_one_no_value():
    truth = np.array([0, 0, 0, 0, 1, 2])
    chances = np.eye(4)[truth] * 0.7 + 0.075
    found = auc_per_cut(checked(truth, chances, truth, np.arange(6)), GRADES)
    assert found["II or higher"]["low"] is not None or "too few" in found["II or higher"]["reason"]
    assert found["III or higher"]["low"] is None and "5 and 1" in found["III or higher"]["reason"]
    assert found["IV or higher"]["value"] is None
    assert found["IV or higher"]["reason"] == "every record is up to the cut"


def test_two_classes_and_unordered_ones_have_no_numbers_of_grades():
    two = metrics.classification_metrics(*simulated(2, classes=2), ("I", "II"), ordered=True)
    unordered = metrics.classification_metrics(*simulated(2, classes=3), GRADES[:3])
    for found in (two, unordered):
        assert not {"mean_absolute_grade_error", "auc_per_cut"} & set(found)


def test_the_variant_with_the_smaller_grade_error_wins():
    made = checked(*simulated(3, patients=30, classes=4))
    right = made._replace(predicted=made.truth)
    entry = paired_differences([right], [made], ordered=True)["mean_absolute_grade_error"]
    assert entry["better"] == "lower" and entry["difference"] < 0 and entry["wins"] == 1
