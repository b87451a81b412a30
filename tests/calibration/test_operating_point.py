"""Operating points by hand, against scikit-learn, and what a decision is worth."""

import json
from dataclasses import asdict

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit, logit, softmax
from sklearn.metrics import balanced_accuracy_score, roc_curve

from mri_tf.calibration.operating_point import (
    OperatingPoint,
    check_criterion,
    choose_operating_point,
    decide,
)
from mri_tf.calibration.thresholds import midpoint_of_medians
from mri_tf.core.errors import InputError
from mri_tf.metrics.net_benefit import decision_curve, net_benefit


def at_specificity(target) -> dict:
    return {"criterion": "sensitivity_at_specificity", "specificity": target}


def at_sensitivity(target) -> dict:
    return {"criterion": "specificity_at_sensitivity", "sensitivity": target}


AT_SPECIFICITY, AT_SENSITIVITY = at_specificity(0.9), at_sensitivity(0.9)


def two(scores) -> np.ndarray:
    scores = np.asarray(scores, float)
    return np.stack([1 - scores, scores], axis=-1)


def gaussians(count: int, prior, seed: int, apart: float = 1.5, shift=0.0):
    """Posterior probabilities of unit Gaussians, logits moved by `shift`, and the classes."""
    rng = np.random.default_rng(seed)
    truth = rng.choice(len(prior), size=count, p=prior)
    x = rng.normal(size=(count, len(prior))) + apart * np.eye(len(prior))[truth]
    return softmax(apart * x + np.log(prior) + shift, axis=-1), truth


def balanced(probabilities, truth, point) -> float:
    return balanced_accuracy_score(truth, decide(probabilities, point))


# ---- two classes


def test_the_best_threshold_is_found_where_the_probabilities_are_off():
    # The prior is even, and yet everything is scored below 0.5.
    probabilities = two([0.05, 0.1, 0.15, 0.2, 0.3, 0.35, 0.4, 0.45] * 5)
    truth = np.array([0, 0, 0, 0, 1, 1, 1, 1] * 5)
    point = choose_operating_point(probabilities, truth, "balanced_accuracy", [0.5, 0.5])
    assert 0.2 < point.threshold < 0.3
    assert point.value == balanced(probabilities, truth, point) == 1
    assert (point.n, point.reason) == (40, "")


def test_no_threshold_is_better_by_more_than_a_record_of_the_rarer_class():
    probabilities, truth = gaussians(300, [0.7, 0.3], seed=0, shift=[1.0, 0])
    point = choose_operating_point(probabilities, truth, "balanced_accuracy", [0.7, 0.3])
    best = max(
        balanced_accuracy_score(truth, probabilities[:, 1] > threshold)
        for threshold in np.unique(probabilities[:, 1])
    )
    assert point.value == pytest.approx(balanced(probabilities, truth, point))
    assert best - point.value <= 1 / (2 * np.bincount(truth).min()) + 1e-9
    assert point.value > balanced_accuracy_score(truth, probabilities[:, 1] > 0.3) + 0.02


def test_where_the_maximum_is_flat_the_bayes_threshold_is_taken():
    probabilities, truth = two([0.02, 0.04, 0.9, 0.95]), np.array([0, 0, 1, 1])
    for share in (0.2, 0.6):
        point = choose_operating_point(probabilities, truth, "balanced_accuracy", [1 - share, share])
        assert point.threshold == pytest.approx(share)


def test_a_few_calibrated_records_do_not_draw_the_threshold_far_from_bayes():
    # Against the maximum itself, midway in its gap: the same draws, worse decisions.
    prior, gained = np.array([0.7, 0.3]), []
    new, labels = gaussians(20_000, prior, seed=1)
    for seed in range(40):
        few, truth = gaussians(40, prior, seed=10 + seed)
        point = choose_operating_point(few, truth, "balanced_accuracy", prior)
        wrong, right, scores = roc_curve(truth, few[:, 1], drop_intermediate=False)
        chosen = int(np.argmax(right - wrong))
        naive = new[:, 1] > (scores[chosen] + scores[chosen + 1]) / 2
        gained.append(balanced(new, labels, point) - balanced_accuracy_score(labels, naive))
    assert np.mean(gained) > 0.003


def test_few_patients_have_their_threshold_between_that_of_bayes_and_the_middle_of_the_medians():
    scores = np.array([0.1, 0.2, 0.3, 0.4, 0.6, 0.7, 0.8, 0.9, 0.95])
    truth = np.array([0, 0, 0, 0, 1, 1, 1, 1, 1])
    point = choose_operating_point(two(scores), truth, "balanced_accuracy", [0.9, 0.1])
    lower, upper = (logit(0.2) + logit(0.3)) / 2, logit(0.8)
    middle, bayes = (lower + upper) / 2, logit(0.1)
    assert midpoint_of_medians(scores, truth, np.arange(9)) == pytest.approx(expit(middle))
    variances = [np.var(logit(scores[truth == label]), ddof=1) for label in (0, 1)]
    chance = np.pi / 2 * (variances[0] / 4 + variances[1] / 5) / 4
    kept = 1 - chance / (middle - bayes) ** 2
    assert point.threshold == pytest.approx(expit(bayes + kept * (middle - bayes)))
    assert (point.patients, point.n, point.reason) == (9, 9, "")


def test_a_patient_weighs_the_same_however_many_records_it_has():
    scores = np.array([0.1, 0.2, 0.3, 0.4, 0.6, 0.7, 0.8, 0.9])
    truth, patients = np.repeat([0, 1], 4), np.arange(8)
    once = choose_operating_point(two(scores), truth, "balanced_accuracy", [3, 1], patients=patients)
    often = np.repeat(np.arange(8), [1, 9, 1, 1, 5, 1, 1, 30])
    many = choose_operating_point(
        two(scores[often]), truth[often], "balanced_accuracy", [3, 1], patients=patients[often]
    )
    assert many.threshold == pytest.approx(once.threshold) and many.patients == 8


def test_on_scale_scores_of_few_patients_keep_the_threshold_of_bayes():
    scores, truth = np.array([0.1, 0.2, 0.3, 0.4, 0.55, 0.7, 0.8, 0.9]), np.repeat([0, 1], 4)
    point = choose_operating_point(two(scores), truth, "balanced_accuracy", [0.5, 0.5])
    assert point.threshold == pytest.approx(0.5)


def test_fewer_than_four_patients_of_a_class_get_bayes_rule_and_say_so():
    scores, truth = np.repeat([0.1, 0.2, 0.3, 0.9, 0.9, 0.8], 10), np.repeat([0, 0, 0, 0, 1, 1], 10)
    point = choose_operating_point(
        two(scores), truth, "balanced_accuracy", [0.8, 0.2], patients=np.repeat(np.arange(6), 10)
    )
    assert point.threshold == pytest.approx(0.2) and "fewer than 4 patients" in point.reason


def test_many_patients_get_the_maximum():
    probabilities, truth = gaussians(400, [0.6, 0.4], seed=30, shift=[0.7, 0])
    point = choose_operating_point(probabilities, truth, "balanced_accuracy", [0.6, 0.4])
    best = max(
        balanced_accuracy_score(truth, probabilities[:, 1] > threshold)
        for threshold in np.unique(probabilities[:, 1])
    )
    assert point.value == pytest.approx(best)


def test_the_threshold_of_accuracy_is_drawn_towards_half_by_few_patients():
    scores = np.array([0.05, 0.1, 0.15, 0.2, 0.28, 0.32, 0.4, 0.45])
    truth = np.array([0, 0, 0, 0, 1, 1, 1, 1])
    few = choose_operating_point(two(scores), truth, "accuracy", [0.5, 0.5])
    assert few.threshold == pytest.approx(0.5 + (0.24 - 0.5) * 8 / 58)
    many = choose_operating_point(
        two(np.tile(scores, 100)), np.tile(truth, 100), "accuracy", [0.5, 0.5]
    )
    assert many.threshold == pytest.approx(0.5 + (0.24 - 0.5) * 800 / 850)


def test_separated_scores_that_are_off_scale_are_decided_rightly():
    # AUC 1.0, every score above 0.5, few patients: no accuracy of 0.75.
    scores = np.array([0.6, 0.62, 0.65, 0.66, 0.9, 0.92, 0.95, 0.97])
    truth = np.repeat([0, 1], 4)
    point = choose_operating_point(two(scores), truth, "balanced_accuracy", [0.5, 0.5])
    assert np.array_equal(decide(two(scores), point), truth)


def test_every_threshold_has_its_factors():
    probabilities, truth = gaussians(200, [0.6, 0.4], seed=2)
    for criterion in ("balanced_accuracy", "accuracy", AT_SPECIFICITY, AT_SENSITIVITY):
        point = choose_operating_point(probabilities, truth, criterion, [0.6, 0.4])
        above = probabilities[:, 1] > point.threshold
        assert np.array_equal(decide(probabilities, point), above.astype(int))


@pytest.mark.parametrize("target", [0.5, 0.8, 0.9, 1.0])
def test_sensitivity_at_a_specificity_is_that_of_the_curve_of_scikit_learn(target):
    probabilities, truth = gaussians(150, [0.6, 0.4], seed=3)
    point = choose_operating_point(probabilities, truth, at_specificity(target), [0.6, 0.4])
    wrong, right, _ = roc_curve(truth, probabilities[:, 1], drop_intermediate=False)
    best = right[1 - wrong >= target - 1e-12].max()
    predicted = decide(probabilities, point)
    assert point.value == pytest.approx(best) == pytest.approx(np.mean(predicted[truth == 1]))
    assert np.mean(predicted[truth == 0] == 0) >= target
    # Of the thresholds that are as sensitive the most specific one.
    most = (1 - wrong)[right >= best - 1e-12].max()
    assert np.mean(predicted[truth == 0] == 0) == pytest.approx(most)


def test_of_thresholds_as_sensitive_the_most_specific_is_taken_not_the_nearest_to_bayes():
    probabilities, truth = two([0.1, 0.2, 0.3, 0.4, 0.8, 0.9]), np.array([0, 0, 0, 0, 1, 1])
    point = choose_operating_point(probabilities, truth, at_specificity(0.5), [0.85, 0.15])
    assert 0.4 < point.threshold < 0.8


def test_specificity_at_a_sensitivity_is_the_mirror_image():
    probabilities, truth = gaussians(150, [0.6, 0.4], seed=4)
    one = choose_operating_point(probabilities, truth, AT_SENSITIVITY, [0.6, 0.4])
    other = choose_operating_point(probabilities[:, ::-1], 1 - truth, AT_SPECIFICITY, [0.4, 0.6])
    assert one.value == pytest.approx(other.value)
    assert np.mean(decide(probabilities, one)[truth == 1]) >= 0.9


def test_a_target_that_allows_no_error_says_on_how_many_patients_it_stands():
    probabilities, truth = gaussians(12, [0.5, 0.5], seed=5)
    point = choose_operating_point(probabilities, truth, at_specificity(0.95), [0.5, 0.5])
    assert f"only {np.sum(truth == 0)} patients without the last class" in point.reason


def test_many_records_of_two_patients_carry_no_specificity_of_nine_tenths():
    scores = np.concatenate([np.linspace(0, 0.5, 20), np.linspace(0.4, 1, 20)])
    truth = np.repeat([0, 1], 20)
    patients = np.concatenate([np.repeat([0, 1], 10), np.repeat(np.arange(2, 12), 2)])
    point = choose_operating_point(
        two(scores), truth, at_specificity(0.9), [0.5, 0.5], patients=patients
    )
    said = "only 2 patients without the last class: a specificity of 0.9 allows no error"
    assert point.reason == said
    each_alone = choose_operating_point(two(scores), truth, at_specificity(0.9), [0.5, 0.5])
    assert each_alone.reason == ""


def test_a_target_that_no_threshold_reaches_is_said():
    probabilities, truth = two([0.0, 0.2, 0.8, 0.3]), np.array([1, 0, 1, 0])
    point = choose_operating_point(probabilities, truth, at_sensitivity(1), [1, 1])
    assert "no threshold reaches a sensitivity of 1" in point.reason
    assert np.mean(decide(probabilities, point)[truth == 1]) == 0.5


def test_weights_count_as_so_many_records():
    probabilities, truth = gaussians(60, [0.5, 0.5], seed=6)
    weights = np.random.default_rng(7).integers(1, 4, 60)
    for criterion in (AT_SENSITIVITY, AT_SPECIFICITY):
        weighed = choose_operating_point(probabilities, truth, criterion, [0.5, 0.5], weights)
        many = np.repeat(probabilities, weights, axis=0), np.repeat(truth, weights)
        repeated = choose_operating_point(*many, criterion, [0.5, 0.5])
        assert weighed.threshold == repeated.threshold
        assert weighed.value == pytest.approx(repeated.value)


# ---- more classes


def test_the_argmax_itself_is_the_operating_point_of_accuracy():
    probabilities, truth = gaussians(80, [0.6, 0.3, 0.1], seed=8)
    point = choose_operating_point(probabilities, truth, "accuracy", [0.6, 0.3, 0.1])
    assert np.array_equal(decide(probabilities, point), probabilities.argmax(axis=-1))
    assert point.value == pytest.approx(np.mean(probabilities.argmax(axis=-1) == truth))
    assert point.threshold is None


def test_calibrated_probabilities_are_divided_by_the_prior_for_balanced_accuracy():
    prior = np.array([0.6, 0.3, 0.1])
    probabilities, truth = gaussians(4000, prior, seed=9)
    point = choose_operating_point(probabilities, truth, "balanced_accuracy", prior)
    np.testing.assert_allclose(point.class_factors, (1 / prior) / np.sum(1 / prior))
    argmax = choose_operating_point(probabilities, truth, "accuracy", prior)
    assert balanced(probabilities, truth, point) > balanced(probabilities, truth, argmax) + 0.05
    assert point.value == pytest.approx(balanced(probabilities, truth, point))


def test_more_classes_that_every_rule_sorts_alike_get_bayes_rule():
    truth, prior = np.array([0, 1, 2] * 4), np.array([0.5, 0.3, 0.2])
    probabilities = np.where(np.eye(3)[truth] > 0, 0.98, 0.01)
    point = choose_operating_point(probabilities, truth, "balanced_accuracy", prior)
    np.testing.assert_allclose(point.class_factors, (1 / prior) / np.sum(1 / prior))


def test_probabilities_that_were_balanced_already_are_left_alone():
    # Trained on equal shares and never corrected: the argmax is the better rule, and is found.
    prior = np.array([0.9, 0.05, 0.05])
    probabilities, truth = gaussians(4000, prior, seed=10, shift=-np.log(prior))
    point = choose_operating_point(probabilities, truth, "balanced_accuracy", prior)
    exponent = np.log(point.class_factors[1] / point.class_factors[0]) / np.log(prior[0] / prior[1])
    assert 0 <= exponent <= 0.25
    wide = np.append(probabilities, np.zeros((4000, 1)), axis=-1)  # and a class expected nowhere
    with_more = choose_operating_point(wide, truth, "balanced_accuracy", [*prior, 0])
    np.testing.assert_allclose(with_more.class_factors, [*point.class_factors, 0])


# ---- what is missing


@pytest.mark.parametrize("criterion", ["balanced_accuracy", AT_SPECIFICITY, AT_SENSITIVITY])
def test_without_a_class_on_the_inner_side_bayes_rule_is_taken_and_the_reason_said(criterion):
    probabilities, prior = two([0.2, 0.4, 0.6]), [0.75, 0.25]
    point = choose_operating_point(probabilities, np.zeros(3, int), criterion, prior)
    assert point.threshold == pytest.approx(0.25)
    assert "lacks a class" in point.reason and point.value is None
    empty = choose_operating_point(probabilities[:0], np.array([], int), "balanced_accuracy", prior)
    assert (empty.threshold, empty.value, empty.n) == (pytest.approx(0.25), None, 0)
    json.dumps([asdict(point), asdict(empty)], allow_nan=False)


def test_a_class_that_is_expected_nowhere_is_not_missed():
    probabilities, truth = gaussians(200, [0.6, 0.4], seed=11)
    wide = np.append(probabilities, np.zeros((200, 1)), axis=-1)
    point = choose_operating_point(wide, truth, "balanced_accuracy", [0.6, 0.4, 0])
    assert point.reason == ""
    assert point.class_factors[2] == 0
    assert point.value == pytest.approx(balanced(wide, truth, point))


@pytest.mark.parametrize(
    "criterion",
    ["youden", "sensitivity_at_specificity", {"criterion": "balanced_accuracy", "specificity": 0.9},
     {"criterion": "sensitivity_at_specificity", "sensitivity": 0.9}, {"specificity": 0.9},
     at_specificity(90), at_sensitivity(True)],
)  # fmt: skip
def test_a_criterion_that_is_not_one_is_refused(criterion):
    with pytest.raises(InputError):
        check_criterion(criterion, 2)


def test_a_criterion_is_read_from_a_name_or_a_dictionary():
    assert check_criterion("accuracy", 3) == ("accuracy", None)
    assert check_criterion({"criterion": "balanced_accuracy"}, 3) == ("balanced_accuracy", None)
    assert check_criterion(AT_SPECIFICITY, 2) == ("sensitivity_at_specificity", 0.9)


def test_a_fixed_specificity_of_three_classes_is_refused():
    probabilities, truth = gaussians(30, [0.4, 0.3, 0.3], seed=12)
    with pytest.raises(InputError, match="two classes"):
        choose_operating_point(probabilities, truth, AT_SPECIFICITY, [0.4, 0.3, 0.3])


# ---- a point goes to JSON, into a graph and back

POSITIVE = st.floats(0.01, 1)


@given(
    st.lists(st.lists(POSITIVE, min_size=3, max_size=3), min_size=1, max_size=6),
    st.lists(POSITIVE, min_size=3, max_size=3),
    st.sampled_from([0.25, 2.0, 1024.0]),
)
@settings(max_examples=100, deadline=None)
def test_the_scale_of_the_factors_does_not_change_a_decision(rows, factors, scale):
    one = OperatingPoint("balanced_accuracy", None, tuple(factors), None, None, 0)
    other = OperatingPoint("balanced_accuracy", None, tuple(scale * np.array(factors)), None, None, 0)
    assert np.array_equal(decide(np.array(rows), one), decide(np.array(rows), other))


@given(st.integers(0, 1000), st.integers(2, 30))
@settings(max_examples=60, deadline=None)
def test_a_point_is_the_same_after_json(seed, count):
    probabilities, truth = gaussians(count, [0.6, 0.4], seed)
    for criterion in ("balanced_accuracy", AT_SPECIFICITY):
        point = choose_operating_point(probabilities, truth, criterion, [0.6, 0.4])
        again = OperatingPoint(**json.loads(json.dumps(asdict(point), allow_nan=False)))
        assert again == point
        assert np.array_equal(decide(probabilities, again), decide(probabilities, point))


def test_of_equal_products_the_lowest_label_is_decided():
    point = OperatingPoint("accuracy", None, (1, 1, 1), None, None, 0)
    rows = np.array([[0.4, 0.4, 0.2], [0.2, 0.4, 0.4]])
    assert decide(rows, point).tolist() == [0, 1]
    assert decide(two([0.5]), OperatingPoint("accuracy", None, (0.5, 0.5), 0.5, None, 0)) == [0]


# ---- what treating by the model is worth


def test_net_benefit_is_hits_less_false_alarms_at_the_odds():
    treated = np.array([True, True, True, False, False])
    sick = np.array([True, True, False, True, False])
    assert net_benefit(treated, sick, 0.2) == pytest.approx((2 - 1 * 0.2 / 0.8) / 5)


def test_a_decision_curve_starts_at_the_prevalence_and_treating_all_crosses_nought_there():
    probabilities, truth = gaussians(4000, [0.7, 0.3], seed=13)
    share = truth.mean()
    curve = decision_curve(probabilities, truth, np.array([0.0, share, 0.5]))
    assert curve.model[0] == pytest.approx(curve.treat_all[0]) == pytest.approx(share)
    assert curve.treat_all[1] == pytest.approx(0, abs=1e-12)
    assert np.all(curve.treat_none == 0)


def test_a_decision_curve_at_another_prevalence_is_that_of_records_drawn_with_it():
    probabilities, truth = gaussians(4000, [0.7, 0.3], seed=15)
    sick, well = np.flatnonzero(truth == 1), np.flatnonzero(truth == 0)
    drawn = np.concatenate([np.repeat(sick, len(well)), np.tile(well, 4 * len(sick))])  # 1 of 5 is sick
    thresholds = np.array([0.05, 0.2, 0.6])
    one = decision_curve(probabilities, truth, thresholds, prevalence=0.2)
    other = decision_curve(probabilities[drawn], truth[drawn], thresholds)
    np.testing.assert_allclose(one.model, other.model, atol=1e-9)
    np.testing.assert_allclose(one.treat_all, other.treat_all, atol=1e-9)


def test_calibrated_probabilities_are_worth_more_than_treating_all_or_none():
    probabilities, truth = gaussians(20_000, [0.7, 0.3], seed=14)
    curve = decision_curve(probabilities, truth)
    assert len(curve.thresholds) == 99
    assert np.all(curve.model >= np.maximum(curve.treat_all, 0) - 0.002)
    middle = np.abs(curve.thresholds - 0.3) < 0.2
    assert np.all(curve.model[middle] > np.maximum(curve.treat_all, 0)[middle] + 0.01)


def test_a_decision_curve_of_three_classes_is_refused():
    with pytest.raises(InputError, match="two classes"):
        decision_curve(np.full((2, 3), 1 / 3), np.array([0, 1]))
