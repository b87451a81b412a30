"""Ranking and probabilities under weights of patients, against scikit-learn on repeated records."""

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from simulated import simulated
from sklearn import metrics as sk

from mri_tf.metrics.classifier import checked, classifier_numbers
from mri_tf.metrics.probabilities import brier, calibration_error, log_loss
from mri_tf.metrics.ranking import ranking
from mri_tf.metrics.resamples import multiplicities


def repeated(made, times):
    """The records, each repeated as often as its patient counts."""
    _, patient_of = np.unique(made.patients, return_inverse=True)
    return [np.repeat(part, times[patient_of], axis=0) for part in made]


def expected_calibration_error(truth, probabilities) -> float:
    two = probabilities.shape[1] == 2
    promised = probabilities[:, 1] if two else probabilities.max(axis=1)
    kept = truth == (1 if two else probabilities.argmax(axis=1))
    error = 0.0
    for low in range(15):
        here = (promised > low / 15 - (low == 0)) & (promised <= (low + 1) / 15)
        if here.any():
            error += here.mean() * abs(kept[here].mean() - promised[here].mean())
    return error


def sensitivity_at(truth, scores, specificity) -> float:
    """Every threshold tried, one after the other."""
    best = 0.0
    for threshold in np.append(np.unique(scores), np.inf):
        called = scores >= threshold
        if (~called[truth == 0]).mean() >= specificity - 1e-12:
            best = max(best, called[truth == 1].mean())
    return best


def by_scikit_learn(truth, probabilities, predicted) -> dict:
    classes = probabilities.shape[1]
    labels = list(range(classes))
    happened = np.eye(classes)[truth]
    auc = np.array([sk.roc_auc_score(happened[:, k], probabilities[:, k]) for k in labels])
    average_precision = [sk.average_precision_score(happened[:, k], probabilities[:, k]) for k in labels]
    options = {"labels": labels, "zero_division": np.nan}
    numbers = {
        "accuracy": sk.accuracy_score(truth, predicted),
        "balanced_accuracy": sk.balanced_accuracy_score(truth, predicted),
        "kappa": sk.cohen_kappa_score(truth, predicted),
        "quadratic_kappa": sk.cohen_kappa_score(truth, predicted, weights="quadratic"),
        "f1_macro": sk.f1_score(truth, predicted, average="macro", **options),
        "per_class_precision": sk.precision_score(truth, predicted, average=None, **options),
        "per_class_recall": sk.recall_score(truth, predicted, average=None, **options),
        "per_class_f1": sk.f1_score(truth, predicted, average=None, **options),
        "per_class_auc": auc,
        "auc": auc[-1],
        "average_precision": average_precision[-1],
        "brier": sk.brier_score_loss(truth, probabilities, scale_by_half=False, labels=labels),
        "log_loss": sk.log_loss(truth, probabilities, labels=labels),
        "ece": expected_calibration_error(truth, probabilities),
    }
    if classes > 2:
        numbers["mean_absolute_grade_error"] = sk.mean_absolute_error(truth, predicted)
    if classes == 2:
        at = sensitivity_at(truth, probabilities[:, 1], 0.9)
        return numbers | {"sensitivity_at_specificity": at}
    macro = sk.roc_auc_score(truth, probabilities, multi_class="ovr", average="macro")
    return numbers | {
        "auc": macro, "average_precision": np.mean(average_precision),
        "per_class_average_precision": np.array(average_precision),
    }  # fmt: skip


@pytest.mark.parametrize("classes", [2, 3, 5])
@pytest.mark.parametrize("decimals", [6, 1, 0])
def test_every_number_of_every_resample_is_that_of_a_plain_loop(classes, decimals):
    compared = 0
    for seed in range(2):
        made = checked(*simulated(seed, patients=15, records=6, classes=classes, decimals=decimals))
        times = multiplicities(15, seed)[:12]
        ours = classifier_numbers(made, times, ordered=True)
        for row, weights in enumerate(times):
            truth, probabilities, predicted, _ = repeated(made, weights)
            if len(np.unique(truth)) < classes:
                assert np.isnan(ours["auc"][row]) and np.isnan(ours["balanced_accuracy"][row])
                continue
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                theirs = by_scikit_learn(truth, probabilities, predicted)
            assert theirs.keys() == ours.keys()
            for name, value in theirs.items():
                np.testing.assert_allclose(ours[name][row], value, atol=1e-10, err_msg=name)
            compared += 1
    assert compared > 12


SCORED = st.lists(
    st.tuples(st.sampled_from([0.0, 0.1, 0.25, 0.5, 1.0]), st.booleans(), st.integers(0, 4)),
    min_size=1, max_size=30,
)  # fmt: skip


@given(SCORED, st.lists(st.integers(0, 9), min_size=5, max_size=5))
@settings(max_examples=150, deadline=None)
def test_tied_scores_count_as_scikit_learn_counts_them_with_sample_weights(rows, weights):
    scores, positive, patient_of = map(np.array, zip(*rows, strict=True))
    times = np.array([[1, 1, 1, 1, 1], weights])
    found = ranking(scores, positive, patient_of, times)
    for row, sample_weight in enumerate(times[:, patient_of]):
        sides = [sample_weight[positive].sum(), sample_weight[~positive].sum()]
        if min(sides) == 0:
            assert np.isnan([part[row] for part in found]).all()
            continue
        auc = sk.roc_auc_score(positive, scores, sample_weight=sample_weight)
        precision = sk.average_precision_score(positive, scores, sample_weight=sample_weight)
        assert found.auc[row] == pytest.approx(auc, abs=1e-12)
        assert found.average_precision[row] == pytest.approx(precision, abs=1e-12)
        truth = np.repeat(positive, sample_weight).astype(int)
        expected = sensitivity_at(truth, np.repeat(scores, sample_weight), 0.9)
        assert found.sensitivity[row] == pytest.approx(expected)


def test_weightings_in_parts_are_those_at_once(monkeypatch):
    made = checked(*simulated(1, patients=20, classes=2))
    _, patient_of = np.unique(made.patients, return_inverse=True)
    arguments = (made.probabilities[:, 1], made.truth == 1, patient_of, multiplicities(20, 0))
    at_once = ranking(*arguments)
    monkeypatch.setattr("mri_tf.metrics.ranking.CELLS_AT_ONCE", 3 * len(made.truth))
    for whole, parts in zip(at_once, ranking(*arguments), strict=True):
        assert np.array_equal(whole, parts, equal_nan=True)


def test_weights_beyond_32_bits_do_not_overflow():
    scores, positive = np.array([0.1, 0.4, 0.4, 0.8]), np.array([False, True, False, True])
    times = np.array([[1, 1], [2**33, 2**33]])
    found = ranking(scores, positive, np.array([0, 0, 1, 1]), times)
    for values in found:
        assert values[1] == pytest.approx(values[0])
    assert found.auc[0] == pytest.approx(3.5 / 4)


def test_ten_per_cent_of_thirty_healthy_allow_three_false_alarms():
    # 30 negatives at 1..30; the positive at 27.5 is called with three of them.
    scores = np.append(np.arange(1.0, 31), [27.5, 26.5])
    positive = np.append(np.zeros(30, bool), [True, True])
    found = ranking(scores, positive, np.arange(32), np.ones((1, 32), int))
    assert found.sensitivity[0] == 0.5


def test_brier_is_the_sum_over_classes_and_the_log_loss_is_natural():
    probabilities = np.array([[0.7, 0.2, 0.1], [0.1, 0.8, 0.1]])
    arguments = (np.array([0, 2]), probabilities, np.array([0, 1]), np.ones((1, 2)))
    errors = [0.3**2 + 0.2**2 + 0.1**2, 0.1**2 + 0.8**2 + 0.9**2]
    assert brier(*arguments)[0] == pytest.approx(np.mean(errors))
    assert log_loss(*arguments)[0] == pytest.approx(-np.log([0.7, 0.1]).mean())


def test_a_calibration_error_by_hand():
    # Ten records promise 0.9, six are right; ten promise 0.6, all are right.
    probabilities = np.repeat([[0.9, 0.1], [0.6, 0.4]], 10, axis=0)
    truth = np.array([0] * 6 + [1] * 4 + [0] * 10)
    found = calibration_error(truth, probabilities, np.arange(20), np.ones((1, 20)))
    assert found[0] == pytest.approx(0.5 * 0.3 + 0.5 * 0.4)
    certain = np.repeat([[1.0, 0.0]], 6, axis=0)
    assert calibration_error(np.zeros(6, int), certain, np.arange(6), np.ones((1, 6)))[0] == 0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"truth": [0, 1]}, "one row per record"),
        ({"truth": [0, 1, 3]}, "class number in truth is not between 0 and 1"),
        ({"predicted": [0, 1, -1]}, "class number in predicted is not between 0 and 1"),
        ({"probabilities": [[0.5, 0.5], [0.2, 0.2], [0, 1]]}, "add up to 1"),
        ({"probabilities": [[0.5, 0.5], [np.nan, 1], [0, 1]]}, "finite"),
        ({"probabilities": [[1.0], [1.0], [1.0]]}, "at least two classes"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(change, message):
    sound = {"truth": [0, 1, 1], "probabilities": [[0.5, 0.5], [0.2, 0.8], [0, 1]],
             "predicted": [0, 1, 1], "patients": ["a", "b", "c"]}  # fmt: skip
    checked(**sound)
    with pytest.raises(ValueError, match=message):
        checked(**(sound | change))
