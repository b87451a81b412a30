"""What a check says of counts and values: closed forms and planted faults."""

import numpy as np
import pytest
from scipy.stats import norm

from mri_tf.audit.sides import ids_alike
from mri_tf.check.findings import (
    ATTENTION,
    GOOD,
    UNKNOWN,
    from_audit,
    outliers,
    skipped_cases,
)
from mri_tf.check.patients import (
    classes_by_kind_of_picture,
    classes_by_side,
    classes_by_site,
    classes_of_patients,
    expected_auc_interval,
    hanley_mcneil_error,
)

NAMES = ("low", "high")


def test_reasons_of_skipped_cases_are_counted():
    found = skipped_cases(["empty", "empty", "no mask"], 10)
    assert found.status == ATTENTION and "3 of 10" in found.text and "2 x empty" in found.text
    assert skipped_cases([], 10).status == GOOD


def test_a_class_that_a_side_lacks_is_named():
    labels, patients = np.array([0, 0, 0, 1, 1, 1] * 3), np.arange(18)
    sides = [np.arange(12), np.arange(12, 15), np.arange(15, 18)]
    found = classes_by_side(labels, patients, sides, NAMES)
    assert found.status == ATTENTION
    assert "low 6/3/0" in found.text and "none of low in test, high in validation" in found.text
    sides = [np.arange(6), np.arange(6, 12), np.arange(12, 18)]
    assert classes_by_side(labels, patients, sides, NAMES).status == GOOD


def test_a_rare_class_that_is_spelled_nearly_like_another_is_said_to_be_misspelt():
    labels = np.array([0] * 6 + [1] * 6 + [2])
    sides = [np.arange(0, 4), np.arange(4, 8), np.arange(8, 13)]
    finding = classes_by_side(labels, np.arange(13).astype(str), sides, ("hoch", "niedrig", "nidrig"))
    assert "nidrig may be niedrig misspelt" in finding.advice
    usual = classes_by_side(labels, np.arange(13).astype(str), sides, ("high", "low", "none"))
    assert "misspelt" not in usual.advice


def test_a_site_with_one_class_alone_is_named():
    sites = np.array(["A"] * 10 + ["B"] * 6, dtype=object)
    labels = np.array([0, 1] * 5 + [1] * 6)
    found = classes_by_site(labels, np.arange(16), sites, NAMES)
    assert found.status == ATTENTION and "alone at B" in found.text and "A 5/5" in found.text
    one_site = np.full(16, "A", dtype=object)
    assert classes_by_site(labels, np.arange(16), one_site, NAMES).status == UNKNOWN


def test_a_site_is_judged_by_patients_and_not_by_their_many_records():
    patients = np.repeat(np.arange(8), 10)
    sites = np.repeat(np.array(["A", "B"] * 4, dtype=object), 10)
    labels = np.repeat([0, 1, 0, 1, 0, 1, 1, 0], 10)  # 3 of 4 agree: nothing to go by with 8 patients
    found = classes_by_site(labels, patients, sites, NAMES)
    assert found.status == GOOD and "A 3/1, B 1/3" in found.text
    as_if_independent = classes_by_site(labels, np.arange(80), sites, NAMES)
    assert as_if_independent.status == ATTENTION and "not independent" in as_if_independent.text


def test_classes_whose_pictures_have_another_size_or_format_are_told():
    labels, patients = np.arange(20) % 2, np.arange(20)
    kinds = ["512 x 512 JPEG" if label else "256 x 256 PNG" for label in labels]
    found = classes_by_kind_of_picture(labels, patients, kinds)
    assert found.status == ATTENTION and "10 of 256 x 256 PNG, 10 of 512 x 512 JPEG" in found.text
    assert "not independent" in found.text and "mri_tf.audit" in found.advice
    in_turns = ["512 x 512 JPEG" if number % 4 < 2 else "256 x 256 PNG" for number in range(20)]
    assert classes_by_kind_of_picture(labels, patients, in_turns).status == GOOD
    alike = classes_by_kind_of_picture(labels, patients, ["256 x 256 PNG"] * 20)
    assert (alike.status, alike.text) == (GOOD, "all files are 256 x 256 PNG")


def test_a_few_patients_of_two_classes_are_named():
    patients, labels = np.array([f"P{n}" for n in range(20)]), np.arange(20) % 2
    assert classes_of_patients(labels, patients).text == "every patient has one class"
    patients[3] = patients[0]
    found = classes_of_patients(labels, patients)
    assert found.status == ATTENTION and found.records == (0, 3) and "1 of 19 patients" in found.text


def test_patients_who_all_have_several_classes_are_no_doubtful_labels():
    found = classes_of_patients(np.arange(40) % 4, np.arange(40) // 4)
    assert found.status == GOOD and "10 of 10 patients" in found.text


def test_what_an_audit_finds_is_told_by_a_check():
    found = ids_alike(np.array(["P01", "p1", "P2"]))
    clean = ids_alike(np.array(["P1", "P2"]))
    nothing = ids_alike(np.array(["p-ab", "p-cd"]), pseudonyms=True)
    told = from_audit([found, clean, nothing])
    assert [one.status for one in told] == [ATTENTION, GOOD]
    assert told[0].records == (0, 1) and told[0].text == found.evidence and told[0].advice


def test_standardised_means_near_zero_are_no_outliers():
    means = np.random.default_rng(0).normal(0, 1e-8, (50, 1))
    means[7] = 4e-7
    assert outliers("means", means, "", ["mean"]).status == ATTENTION
    assert outliers("means", means, "", ["mean"], least=0.02).status == GOOD


@pytest.mark.parametrize("seed", range(3))
def test_a_planted_outlier_is_found_and_normal_values_are_none(seed):
    rng = np.random.default_rng(seed)
    values = rng.normal(100, 5, (80, 3))
    assert outliers("means", values, "", "abc").status == GOOD
    values[17, 1] = 300
    found = outliers("means", values, "", "abc")
    assert found.status == ATTENTION and found.records == (17,)


def test_equal_values_are_no_outliers_of_each_other():
    values = np.full((20, 3), 1.0)
    values[3] = 1.001
    assert outliers("spacings", values, "mm", "xyz").status == GOOD
    values[3] = 2.0
    assert outliers("spacings", values, "mm", "xyz").records == (3,)


def test_the_expected_interval_is_as_wide_as_that_of_simulated_answers():
    rng = np.random.default_rng(0)
    shift = norm.ppf(0.8) * np.sqrt(2)  # of two normal distributions with an AUC of 0.8
    drawn = []
    for _ in range(400):
        positive, negative = rng.normal(shift, 1, 20), rng.normal(0, 1, 40)
        drawn.append(np.mean(positive[:, None] > negative[None]))
    assert hanley_mcneil_error(0.8, 20, 40) == pytest.approx(np.std(drawn), rel=0.12)


def test_patients_and_not_records_make_an_interval_narrow():
    labels = np.repeat([0, 1], 300)
    many = expected_auc_interval(labels, np.arange(600).astype(str), NAMES)
    few = expected_auc_interval(labels, (np.arange(600) // 100).astype(str), NAMES)
    assert many.status == GOOD and few.status == ATTENTION and "3 and 3 patients" in few.text
    assert expected_auc_interval(np.zeros(5, int), np.arange(5).astype(str), NAMES).status == ATTENTION
