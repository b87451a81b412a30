"""AUC within sites, and the gap of two studies: closed forms, scikit-learn, and what is left out."""

import numpy as np
import pytest
from sited import of_sites, scored
from sklearn.metrics import roc_auc_score

from mri_tf.metrics.classification import numbers_with_intervals
from mri_tf.metrics.classifier import checked
from mri_tf.metrics.ranking import placements, within_strata
from mri_tf.metrics.ranking_intervals import auc_interval
from mri_tf.metrics.site_gap import site_gap
from mri_tf.metrics.within_sites import auc_within, too_few_sites, within_sites


def test_the_mean_is_that_of_scikit_learns_aucs_weighted_by_pairs():
    made, sites = of_sites([(5, 7), (9, 3), (4, 4)], shift=2.0)
    found = within_sites(made, sites, ("a", "b"))
    aucs = [roc_auc_score(made.truth[sites == s], made.probabilities[sites == s, 1])
            for s in ("S0", "S1", "S2")]  # fmt: skip
    assert found["auc"]["value"] == pytest.approx(np.average(aucs, weights=[35, 27, 16]))
    assert [row["auc"]["value"] for row in found["sites"]] == pytest.approx(aucs)
    assert found["auc"]["low"] < found["auc"]["value"] < found["auc"]["high"]
    assert found["auc"]["n"] == 32 and "summed over strata" in found["auc"]["method"]
    assert [row["patients"] for row in found["sites"]][1] == {"a": 9, "b": 3}


def test_what_differs_between_sites_only_tells_nothing_within_them():
    # Site S1 has the higher scores and most of the positive patients; within sites the scores are noise.
    made, sites = of_sites([(40, 10), (10, 40)], seed=1, shift=5.0, skill=0.0)
    assert roc_auc_score(made.truth, made.probabilities[:, 1]) > 0.75
    auc = within_sites(made, sites, ("a", "b"))["auc"]
    assert auc["low"] < 0.5 < auc["high"]


@pytest.mark.parametrize("records", [1, 4])
def test_of_one_stratum_value_and_interval_are_those_of_the_usual_auc(records):
    made, _ = of_sites([(8, 9)], records=records)
    usual = numbers_with_intervals(made, ("a", "b"))["auc"]
    assert auc_within(made, np.zeros(len(made.truth), int)) == pytest.approx(usual)


def test_of_three_classes_it_is_the_mean_over_classes_against_the_rest():
    rng = np.random.default_rng(3)
    truth, sites = np.tile([0, 1, 2], 12), np.repeat(["A", "B"], 18)
    chances = rng.dirichlet(np.ones(3), 36) + np.eye(3)[truth]
    made = checked(truth, chances / chances.sum(axis=1, keepdims=True), truth, np.arange(36))
    found = within_sites(made, sites, ("a", "b", "c"))
    expected = []
    for label in range(3):
        aucs = [roc_auc_score(truth[sites == s] == label, made.probabilities[sites == s, label])
                for s in ("A", "B")]  # fmt: skip
        expected.append(np.mean(aucs))  # both sites have as many pairs
    assert found["auc"]["value"] == pytest.approx(np.mean(expected))
    assert found["auc"]["low"] < found["auc"]["value"] <= found["auc"]["high"]


def test_a_site_of_one_class_and_records_without_a_site_are_said_and_count_nothing():
    made, sites = of_sites([(5, 5), (6, 0), (5, 6)])
    alone = within_sites(made, sites, ("a", "b"))
    assert alone["sites"][1]["auc"]["value"] is None
    assert alone["sites"][1]["auc"]["reason"] == "only one class occurs"
    assert alone["auc"]["n"] == 21
    sites[:3] = ""
    found = within_sites(made, sites, ("a", "b"))
    assert "3 records without a site are left out" in found["auc"]["reason"]


def test_records_of_different_folds_are_not_compared():
    truth, folds = [0, 1, 0, 1] * 4, np.repeat([0, 1], 8)
    # Within a fold every positive record is above every negative one; the second fold's are all lower.
    scores = np.array(truth) + np.where(folds == 1, -10.0, 0.0)
    sites = np.array(["A", "A", "B", "B"] * 4)
    made = scored(truth, scores)
    assert within_sites(made, sites, ("a", "b"))["auc"]["value"] < 1
    assert within_sites(made, sites, ("a", "b"), folds)["auc"]["value"] == 1


def test_fewer_than_two_sites_say_nothing_and_too_few_say_so():
    made, sites = of_sites([(5, 5), (5, 5)])
    assert within_sites(made, np.full(20, "A"), ("a", "b")) == {}
    assert within_sites(made, np.full(20, ""), ("a", "b")) == {}
    assert "2 of 2 sites" in within_sites(made, sites, ("a", "b"))["reason"]
    assert too_few_sites([{"a": 4, "b": 4}] * 3) == ""
    assert "2 of 3 sites" in too_few_sites([{"a": 4, "b": 4}] * 2 + [{"a": 9, "b": 3}])


def test_no_interval_where_no_order_within_sites_could_be_significant():
    made, sites = of_sites([(1, 1), (1, 1)])
    auc = within_sites(made, sites, ("a", "b"))["auc"]
    assert auc["low"] is None and "compared within 2 groups, are too few" in auc["reason"]


def test_a_site_with_too_few_patients_for_a_number_is_kept_and_counts_in_the_mean():
    made, sites = of_sites([(6, 6), (1, 1)])
    found = within_sites(made, sites, ("a", "b"))
    assert found["sites"][1]["patients"] == {"a": 1, "b": 1}
    assert found["sites"][1]["auc"]["value"] is None
    assert found["sites"][1]["auc"]["reason"] == "2 patients are too few for a number"
    assert found["auc"]["n"] == 14


def test_the_placements_of_a_mean_have_its_errors():
    made, sites = of_sites([(5, 7), (9, 3)], shift=3.0)
    strata = np.unique(sites, return_inverse=True)[1]
    found, kept = within_strata(made.probabilities[:, 1], made.truth == 1, strata)
    assert kept.all() and found.values[found.positive].mean() == pytest.approx(found.area)
    assert found.values[~found.positive].mean() == pytest.approx(found.area)
    one = placements(made.probabilities[:, 1], made.truth == 1)
    alone, _ = within_strata(made.probabilities[:, 1], made.truth == 1, np.zeros(24, int))
    np.testing.assert_allclose(alone.values, one.values)


def test_the_interval_within_sites_holds_the_truth_in_about_95_of_100_sets():
    missed = 0
    for seed in range(200):
        made, sites = of_sites([(2, 3)] * 8, seed=seed, shift=1.0, skill=0.9538726)  # AUC 0.75
        auc = within_sites(made, sites, ("a", "b"))["auc"]
        missed += not auc["low"] <= 0.75 <= auc["high"]
    assert missed <= 20  # 10 expected; more than 20 in 1 of 800 such tests


@pytest.mark.filterwarnings("error")
def test_a_class_compared_within_one_patient_alone_leaves_the_mean_without_an_interval():
    rng = np.random.default_rng(1)
    truth = np.r_[np.repeat([0, 1], 20), 2, 2, 0, 0]  # class 2 is of one patient of the last site
    patients = np.r_[np.arange(40), 40, 40, 40, 40]
    odds = rng.random((44, 3))
    made = checked(truth, odds / odds.sum(axis=1, keepdims=True), truth, patients)
    found = auc_within(made, np.r_[np.zeros(40, int), np.ones(4, int)])
    assert found["value"] is not None and found["low"] is None
    assert found["reason"] == "1 class is compared with others within one patient alone"


def test_an_interval_does_not_narrow_when_every_record_is_there_twice():
    made, sites = of_sites([(6, 6), (7, 5)], seed=2)
    twice = checked(*(np.repeat(column, 2, axis=0) for column in made))
    strata = np.unique(sites, return_inverse=True)[1]
    patient_of = np.unique(twice.patients, return_inverse=True)[1]
    once = auc_within(made, strata)
    found, _ = within_strata(twice.probabilities[:, 1], twice.truth == 1, np.repeat(strata, 2))
    low, high, _ = auc_interval(found, patient_of, np.repeat(strata, 2))
    assert high - low == pytest.approx(once["high"] - once["low"], rel=0.15)


def test_the_gap_of_two_studies_is_the_difference_of_their_mean_aucs():
    made, sites = of_sites([(12, 12)] * 4, seed=5, skill=2.5)
    rng = np.random.default_rng(0)
    folds = rng.permutation(np.arange(96) % 4)
    noise = scored(made.truth, rng.normal(size=96), made.patients)

    def cut(predictions, by):
        parts = [by == one for one in np.unique(by)]
        return [checked(*(column[part] for column in predictions)) for part in parts]

    gap = site_gap(cut(made, folds), cut(noise, sites), (1 / 3, 1 / 3))
    aucs = [roc_auc_score(one.truth, one.probabilities[:, 1]) for one in cut(noise, sites)]
    assert gap["by_site"] == pytest.approx(np.mean(aucs))
    assert gap["value"] == pytest.approx(gap["crossed"] - gap["by_site"])
    assert 0 < gap["low"] < gap["value"] < gap["high"]
    same = site_gap(cut(made, folds), cut(made, sites), (1 / 3, 1 / 3))
    assert same["low"] < 0 < same["high"]
