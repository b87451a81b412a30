"""Answers of a model of several members, against normal evidence whose best answers are known."""

import json
from types import SimpleNamespace

import numpy as np
import pytest

from mri_tf.calibration.answers import answers_from_json, answers_to_json, refitted
from mri_tf.calibration.calibrator import Calibrator
from mri_tf.calibration.correlation import Correlation, as_mean_of, fit_correlation
from mri_tf.calibration.cross_conformal import LEVEL, held_out_scores, in_sets
from mri_tf.calibration.cross_fit import cross_fitted
from mri_tf.calibration.mean_distance import fit_mean_limit
from mri_tf.calibration.member_scale import MemberScale, evidence_of, fit_member_scale
from mri_tf.calibration.pooled import Unseen, fit_evidence, fit_pooled
from mri_tf.calibration.prediction_sets import fit_conformal, prediction_sets

EVEN = np.full(2, 0.5)
SCALE = MemberScale((0.0, 0.0), 1.0, (True, True))


def two_classes(log_odds: np.ndarray) -> np.ndarray:
    """(rows, 2) evidence with these log odds of the second class."""
    return np.stack([-log_odds / 2, log_odds / 2], axis=-1)


def softmax_outputs(log_odds: np.ndarray) -> np.ndarray:
    second = 1 / (1 + np.exp(-log_odds))
    return np.stack([1 - second, second], axis=-1)


def members_that_agree(share: float, patients: int, seed: int = 0):
    """Two members' calibrated log odds (patients, 2) with a correlation of `share`, and the truth."""
    rng = np.random.default_rng(seed)
    truth = np.arange(patients) % 2
    own = np.sqrt(share) * rng.standard_normal((patients, 1))
    noise = own + np.sqrt(1 - share) * rng.standard_normal((patients, 2))
    apart = 1.5
    return apart * (noise + apart * (truth[:, None] - 0.5)), truth


def rows_of(log_odds: np.ndarray, truth: np.ndarray) -> Unseen:
    """A row for each patient and member."""
    patients, members = np.indices(log_odds.shape).reshape(2, -1)
    return Unseen(two_classes(log_odds.ravel()), truth[patients], patients.astype(str), members)


@pytest.mark.parametrize("share", [0.0, 0.4, 1.0])
def test_the_correlation_of_members_is_found(share):
    log_odds, truth = members_that_agree(share, 4000)
    rows = rows_of(log_odds, truth)
    found = fit_correlation(rows.evidence, rows.truth, rows.patients, rows.patients)
    assert found.value == pytest.approx(share, abs=0.03) and found.patients == 4000


def test_members_of_few_common_patients_are_taken_as_alike():
    log_odds, truth = members_that_agree(0.2, 9)
    rows = rows_of(log_odds, truth)
    found = fit_correlation(rows.evidence, rows.truth, rows.patients, rows.patients)
    assert found.value == 1 and "fewer than 10" in found.reason
    assert found.variance_of_mean(5) == 1


@pytest.mark.parametrize("members", [1, 5])
def test_the_mean_of_members_is_made_as_much_surer_as_its_variance_says(members):
    share = 0.5
    log_odds, truth = members_that_agree(share, 4000)
    rows = rows_of(log_odds, truth)
    correlation = Correlation(share, 4000)
    found = fit_pooled(rows, (SCALE,) * members, correlation, "balanced_accuracy", EVEN)
    assert found.one.slope == pytest.approx(1, abs=0.06)
    expected = 1 / (share + (1 - share) / members)
    assert found.mean.slope / found.one.slope == pytest.approx(expected, rel=0.02)


def test_evidence_drawn_to_the_means_keeps_them_and_varies_less():
    log_odds, truth = members_that_agree(0.5, 400)
    rows = rows_of(log_odds, truth)
    drawn = as_mean_of(5, rows.evidence, rows.truth, rows.patients, Correlation(0.5, 400))
    for label in (0, 1):
        before, after = (values[rows.truth == label, 1] for values in (rows.evidence, drawn))
        assert after.mean() == pytest.approx(before.mean())
        assert after.var() / before.var() == pytest.approx(0.5 + 0.5 / 5)


def test_a_shift_and_a_factor_of_a_member_are_taken_back():
    log_odds, truth = members_that_agree(1.0, 2000)
    patients = np.arange(2000).astype(str)
    plain, off = log_odds[:, 0], 9 * log_odds[:, 0] + 4
    found = {}
    for name, values in (("plain", plain), ("off", off)):
        outputs = softmax_outputs(values)
        scale = fit_member_scale(outputs, truth, patients, EVEN)
        found[name] = evidence_of(outputs, scale)
    assert found["off"].mean() == pytest.approx(0, abs=1e-6)
    assert abs(np.median(found["off"][:, 1])) < 0.1
    spreads = {name: values[:, 1].std() for name, values in found.items()}
    assert spreads["off"] == pytest.approx(2.5)  # of log odds 5, the most that is left as it is


def test_a_member_says_no_more_against_a_class_that_it_never_saw_than_against_its_least_likely_one():
    outputs = np.array([[0.7, 0.29, 0.01], [0.2, 0.7, 0.1]])
    scale = fit_member_scale(
        outputs, np.array([0, 1]), np.array(["a", "b"]), np.array([0.5, 0.5, 0.0])
    )
    evidence = evidence_of(outputs, scale)
    np.testing.assert_allclose(evidence[:, 2], evidence[:, :2].min(axis=1))
    np.testing.assert_allclose(evidence[:, :2].sum(axis=1), 0, atol=1e-12)


def test_sets_of_one_member_are_those_of_split_conformal_prediction():
    rng = np.random.default_rng(1)
    truth = np.arange(40) % 2
    owners = np.repeat(np.arange(20), 2).astype(str)
    held = softmax_outputs(rng.normal(size=40) + 2 * truth - 1)
    new = softmax_outputs(rng.normal(size=500))
    scores = 1 - held[np.arange(40), truth]
    threshold = fit_conformal(held, truth, owners, LEVEL)
    found = in_sets(new[:, None], held_out_scores(scores, owners, np.zeros(40, int), 1))
    np.testing.assert_array_equal(found, prediction_sets(new, threshold))


def test_sets_of_members_hold_the_class_of_new_patients_often_enough():
    rng, covered = np.random.default_rng(2), []
    for seed in range(20):
        log_odds, truth = members_that_agree(0.5, 40, seed)
        member_of = np.arange(40) % 2  # each patient was left out by one member
        left_out = log_odds[np.arange(40), member_of]
        rows = Unseen(two_classes(left_out), truth, np.arange(40).astype(str), member_of)
        answers = fit_pooled(rows, (SCALE, SCALE), Correlation(0.5, 40), "balanced_accuracy", EVEN)
        new, new_truth = members_that_agree(0.5, 500, int(rng.integers(1e6)))
        sets = answers.sets(softmax_outputs(new))
        covered.append(sets[np.arange(500), new_truth].mean())
    assert np.mean(covered) > 0.89


def test_a_fold_has_no_part_in_its_own_answers():
    log_odds, truth = members_that_agree(0.5, 40)
    patients = np.arange(40).astype(str)
    folds = np.arange(40) % 4
    rows = Unseen(two_classes(log_odds[:, 0]), truth, patients, folds)
    flipped = Unseen(rows.evidence, np.where(folds == 2, 1 - truth, truth), patients, folds)
    before, after = (cross_fitted(one, folds, "balanced_accuracy", 0.9) for one in (rows, flipped))
    own = folds == 2
    np.testing.assert_array_equal(before.probabilities[own], after.probabilities[own])
    np.testing.assert_array_equal(before.decisions[own], after.decisions[own])
    np.testing.assert_array_equal(before.sets[own], after.sets[own])
    assert not np.array_equal(before.probabilities[~own], after.probabilities[~own])


def test_rows_that_are_repeated_are_no_further_evidence():
    log_odds, truth = members_that_agree(0.5, 30)
    rows = rows_of(log_odds[:, :1], truth)
    again = Unseen(*(np.concatenate([values, values[truth == 1], values[truth == 1]])
                     for values in vars(rows).values()))  # fmt: skip
    once, thrice = fit_evidence(rows, "accuracy"), fit_evidence(again, "accuracy")
    # The class shares are of records, and there is no more evidence than of the patients.
    assert thrice.curve.slope == pytest.approx(once.curve.slope, rel=0.1)
    assert thrice.natural[1] == pytest.approx(0.75)


def test_one_class_alone_is_said_and_changes_nothing():
    zeros = np.zeros(12, int)
    rows = Unseen(two_classes(np.zeros(12)), zeros, np.arange(12).astype(str), zeros)
    found = fit_evidence(rows, "balanced_accuracy")
    assert "only one class" in found.reason and found.curve.slope == 1


def test_answers_survive_json_and_are_told_from_those_of_one_network():
    log_odds, truth = members_that_agree(0.5, 40)
    answers = fit_pooled(
        rows_of(log_odds, truth), (SCALE, SCALE), Correlation(0.5, 40), "balanced_accuracy", EVEN
    )
    again = answers_from_json(json.loads(json.dumps(answers_to_json(answers), allow_nan=False)))
    assert again == answers
    outputs = softmax_outputs(log_odds)  # (patients, members, classes)
    np.testing.assert_array_equal(again.probabilities(outputs), answers.probabilities(outputs))
    spread = answers.member_probabilities(outputs)[:, :, 1].std(axis=1)
    np.testing.assert_allclose(answers.disagreement(outputs)[:, 1], spread)
    one = Calibrator(1.0, (0.5, 0.5), (0.5, 0.5), answers.point, 1.0)
    assert isinstance(answers_from_json(answers_to_json(one)), Calibrator)


def test_distances_of_members_of_other_scales_have_one_limit():
    rng = np.random.default_rng(3)
    members = np.arange(100) % 2
    distances = rng.chisquare(5, 100) * np.where(members, 100.0, 1.0)
    scales, limit = fit_mean_limit(distances, np.arange(100).astype(str), members, 2)
    assert 50 < scales[1] / scales[0] < 200
    flagged = distances / np.array(scales)[members] > limit.value
    assert 0.02 <= flagged.mean() <= 0.08 and 0 < flagged[members == 1].sum() < flagged.sum()


def test_a_recalibration_on_one_class_rules_out_no_class_and_keeps_the_slope():
    log_odds, truth = members_that_agree(0.5, 60)
    answers = fit_pooled(
        rows_of(log_odds, truth), (SCALE, SCALE), Correlation(0.5, 60), "balanced_accuracy", EVEN
    )
    outputs, one_class = softmax_outputs(log_odds), truth == 1
    patients = np.arange(60).astype(str)
    task = SimpleNamespace(operating_point="balanced_accuracy")
    again = refitted(answers, outputs[one_class], truth[one_class], patients[one_class], task)
    assert again.mean.slope == answers.mean.slope
    assert again.natural[0] == pytest.approx(answers.natural[0] / 31)
    assert again.probabilities(outputs)[:, 0].min() > 0
    both = refitted(answers, outputs, truth, patients, task)
    assert both.mean.slope != answers.mean.slope and not both.has_sets


def test_fewer_members_are_fitted_to_all_patients_and_compared_with_their_own():
    log_odds, truth = members_that_agree(0.5, 60)
    members = np.arange(60) % 3
    rows = Unseen(two_classes(log_odds[:, 0]), truth, np.arange(60).astype(str), members)
    scales, alike = (SCALE,) * 3, Correlation(0.5, 60)
    whole = fit_pooled(rows, scales, alike, "balanced_accuracy", EVEN)
    one = fit_pooled(rows, scales, alike, "balanced_accuracy", EVEN, used=1)
    assert one.one == whole.one
    assert one.mean.slope == pytest.approx(one.one.slope)  # a single member needs no correction
    assert len(one.scales) == len(one.held_out) == 1
    assert one.set_patients == 20 and whole.set_patients == 60
