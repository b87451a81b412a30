"""Better than chance: exchanges of labels against scipy, by hand, and where there is no signal."""

import itertools

import numpy as np
import pytest
from scipy.stats import mannwhitneyu
from sklearn.metrics import balanced_accuracy_score, roc_auc_score

from mri_tf.metrics.classifier import checked
from mri_tf.metrics.exchange import BETTER, exchange_labels


def predictions(truth, scores, patients=None):
    """Of two classes, by a score of the second one."""
    chance = 1 / (1 + np.exp(-np.asarray(scores, float)))
    patients = np.arange(len(truth)) if patients is None else patients
    return checked(truth, np.stack([1 - chance, chance], axis=1), chance > 0.5, patients)


def test_the_p_value_of_an_auc_is_that_of_mann_and_whitney():
    rng = np.random.default_rng(0)
    truth = np.repeat([0, 1], [5, 6])
    scores = rng.normal(size=11) + truth
    found = exchange_labels(predictions(truth, scores))
    groups = scores[truth == 1], scores[truth == 0]
    expected = mannwhitneyu(*groups, alternative="greater", method="exact")
    assert found.as_json()["exact"] and found.draws == 462
    assert found.p["auc"] == pytest.approx(expected.pvalue)


def test_patients_exchange_all_their_records_together():
    rng = np.random.default_rng(1)
    of_patient, counts = np.array([0, 0, 0, 1, 1, 1]), np.array([1, 4, 2, 3, 1, 2])
    patients, truth = np.repeat(np.arange(6), counts), np.repeat(of_patient, counts)
    scores = rng.normal(size=13) + truth
    found = exchange_labels(predictions(truth, scores, patients))
    seen = roc_auc_score(truth, scores), balanced_accuracy_score(truth, scores > 0)
    at_least = np.zeros(2)
    for chosen in itertools.combinations(range(6), 3):
        labels = np.isin(patients, chosen).astype(int)
        again = roc_auc_score(labels, scores), balanced_accuracy_score(labels, scores > 0)
        at_least += np.array(again) >= np.array(seen) - 1e-9
    assert found.draws == 20
    assert list(found.p.values()) == pytest.approx((at_least / 20).tolist())


def test_patients_of_several_labels_exchange_among_their_own_records():
    # Each patient's scores are far from the others': only the order within a patient can be chance.
    patients, truth = np.repeat(np.arange(4), 3), np.tile([0, 0, 1], 4)
    scores = 10 * patients + np.tile([0, 1, 2], 4)
    found = exchange_labels(predictions(truth, scores, patients))
    assert found.every and found.draws == 3**4
    assert found.p["auc"] == pytest.approx(1 / 81)


def test_within_folds_patients_stay_in_their_fold_and_it_is_called_approximate():
    truth = np.tile([0, 1], 8)
    folds = np.repeat([0, 1], 8)
    found = exchange_labels(predictions(truth, truth + 10 * folds), folds)
    assert found.draws == 70**2 and 1 / 70**2 < found.p["auc"] < 0.05
    assert "approximate" in found.as_json()["method"]
    together = exchange_labels(predictions(truth, truth + 10 * folds))
    assert together.draws == 9999 and not together.within_folds  # among all patients


def test_of_several_repeats_patients_exchange_whole_and_the_spread_is_widened_as_for_one():
    rng = np.random.default_rng(3)
    truth = np.tile([0, 1], 6)
    scores = rng.normal(size=(3, 12)) + truth
    folds = np.stack([rng.permutation(12) % 3 + 3 * repeat for repeat in range(3)])
    asked = predictions(np.tile(truth, 3), scores.ravel(), np.tile(np.arange(12), 3))
    found, plain = exchange_labels(asked, folds.ravel(), 3), exchange_labels(asked)
    assert found.draws == plain.draws == 924 and found.approximate and not found.within_folds
    assert found.p["auc"] > plain.p["auc"]
    said = found.as_json()
    assert not said["exact"] and "(approximate" in said["method"] and "within" not in said["method"]


def test_networks_that_are_all_judged_on_the_same_patients_are_compared_exactly():
    truth = np.tile([0, 1], 6)
    asked = predictions(np.tile(truth, 2), np.random.default_rng(4).normal(size=24),
                        np.tile(np.arange(12), 2))  # fmt: skip
    found = exchange_labels(asked, np.repeat([0, 1], 12), 2)
    assert found == exchange_labels(asked) and found.as_json()["exact"]


def test_more_exchanges_than_can_be_counted_are_drawn():
    truth = np.repeat([0, 1, 2], 20)
    scores = np.random.default_rng(0).normal(size=(60, 3)) + 2 * np.eye(3)[truth]
    odds = np.exp(scores)
    found = exchange_labels(
        checked(truth, odds / odds.sum(axis=1, keepdims=True), scores.argmax(axis=1), np.arange(60))
    )
    assert not found.every and found.draws == 9999 and found.p["auc"] == pytest.approx(1 / 10_000)
    assert found.as_json()["better"] == {"auc": True, "balanced_accuracy": True}


def test_one_class_has_no_exchange():
    assert exchange_labels(predictions(np.zeros(5, int), np.arange(5))) is None


@pytest.mark.parametrize("records", [1, 5])
def test_without_a_signal_better_than_chance_is_said_as_rarely_as_promised(records):
    rng = np.random.default_rng(2)
    claimed = 0
    for _ in range(400):
        truth, patients = np.repeat(np.tile([0, 1], 4), records), np.repeat(np.arange(8), records)
        scores = np.repeat(rng.normal(size=8), records) + 0.3 * rng.normal(size=len(truth))
        claimed += exchange_labels(predictions(truth, scores, patients)).p["auc"] <= BETTER
    assert claimed <= 20  # of 10 expected: 3 standard errors
