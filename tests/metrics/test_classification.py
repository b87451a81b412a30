"""metrics.json: the form of each number, exact intervals, notes, and reasons of undefined numbers."""

import json

import numpy as np
import pytest
from scipy.stats import mannwhitneyu
from simulated import simulated
from statsmodels.stats.proportion import proportion_confint

from mri_tf import metrics
from mri_tf.metrics.classification import share_of_records
from mri_tf.metrics.notes import note
from mri_tf.metrics.number import number
from mri_tf.metrics.too_few import too_few, too_few_of_classes, too_few_within


def report_of(truth, predicted, patients, class_names, **options) -> dict:
    """classification_metrics where each decision has probability 0.8."""
    classes = len(class_names)
    rest = 0.2 / (classes - 1)
    probabilities = np.full((len(truth), classes), rest)
    probabilities[np.arange(len(truth)), predicted] = 0.8
    return metrics.classification_metrics(
        np.array(truth), probabilities, np.array(predicted), np.array(patients), class_names, **options
    )


def numbers_in(report, path=()):
    """(path, number) of every dictionary with a value."""
    for key, value in report.items():
        if isinstance(value, dict) and "value" in value:
            yield (*path, key), value
        elif isinstance(value, dict):
            yield from numbers_in(value, (*path, key))


@pytest.mark.parametrize("classes", [2, 4])
def test_the_report_holds_every_number_in_one_form(classes):
    made = simulated(0, patients=40, classes=classes)
    names = ("a", "b", "c", "d")[:classes]
    report = metrics.classification_metrics(*made, names, ordered=True)
    expected = {"accuracy", "balanced_accuracy", "kappa", "quadratic_kappa", "f1_macro", "auc",
                "average_precision", "brier", "ece", "log_loss"}  # fmt: skip
    expected |= {"mean_absolute_grade_error"} if classes > 2 else set()
    assert set(report) == expected | {
        "majority_accuracy", "beats_majority", "better_than_chance", "calibration", "per_class",
        "confusion", "records", "note",
    } | {"sensitivity_at_specificity" if classes == 2 else "auc_per_cut"}  # fmt: skip
    found = dict(numbers_in(report))
    calibrated = 2 * (1 if classes == 2 else classes)
    assert len(found) == len(expected) + 4 * classes + (1 if classes == 2 else classes - 1) + calibrated
    for path, one in found.items():
        assert {"value", "low", "high", "n", "unit", "method"} <= set(one), path
        assert one["unit"] == "patients" and 1 <= one["n"] <= 40
        if path == ("ece",):
            assert one["low"] is None and "perfectly calibrated" in one["reason"]
            continue
        assert one["low"] <= one["value"] <= one["high"] and one["method"], path
    assert list(report["per_class"]) == list(names)
    json.dumps(report, allow_nan=False)
    assert "quadratic_kappa" not in metrics.classification_metrics(*made, names)


def test_the_report_is_the_same_again():
    one, again = (metrics.classification_metrics(*simulated(3), ("a", "b", "c")) for _ in range(2))
    assert one == again


def test_the_order_of_records_and_the_names_of_patients_do_not_matter():
    made = simulated(4)
    order = np.random.default_rng(0).permutation(len(made.truth))
    one = metrics.classification_metrics(*made, ("a", "b", "c"))
    other = metrics.classification_metrics(*(part[order] for part in made), ("a", "b", "c"))
    for (path, mine), (_, theirs) in zip(numbers_in(one), numbers_in(other), strict=True):
        for key in ("value", "low", "high"):
            assert mine[key] == pytest.approx(theirs[key], abs=1e-12), path


def test_decisions_are_those_given_and_not_the_most_probable_class():
    made = simulated(5, classes=2)
    never = metrics.classification_metrics(
        made.truth, made.probabilities, np.zeros_like(made.truth), made.patients, ("no", "yes")
    )
    asked = metrics.classification_metrics(*made, ("no", "yes"))
    assert never["per_class"]["yes"]["recall"]["value"] == 0
    assert never["accuracy"]["value"] == pytest.approx((made.truth == 0).mean())
    for name in ("auc", "brier", "ece", "sensitivity_at_specificity"):
        assert never[name] == asked[name]
    assert asked["sensitivity_at_specificity"]["specificity"] == 0.9


def test_the_report_counts_records_patients_and_the_largest_class():
    report = report_of([0, 0, 0, 1, 2], [0, 1, 0, 1, 1], list("aabbc"), ("a", "b", "c"))
    assert (report["records"], report["accuracy"]["n"], report["accuracy"]["unit"]) == (5, 3, "patients")
    assert report["majority_accuracy"] == pytest.approx(3 / 5)
    assert report["accuracy"]["value"] == pytest.approx(3 / 5)
    assert [entry["support"] for entry in report["per_class"].values()] == [3, 1, 1]
    assert [entry["patients"] for entry in report["per_class"].values()] == [2, 1, 1]
    assert report["confusion"] == [[2, 1, 0], [0, 1, 0], [0, 1, 0]]
    assert "only 3 patients" in report["note"]


def test_an_accuracy_beats_the_majority_when_its_interval_lies_above():
    truth = [0] * 60 + [1] * 40
    good, fair = list(truth), list(truth)
    good[:10], fair[:35] = [1] * 10, [1] * 35
    named = (range(100), ("a", "b"))
    assert report_of(truth, good, *named)["beats_majority"] is True
    assert report_of(truth, fair, *named)["beats_majority"] is False
    assert report_of(truth, fair, *named)["accuracy"]["value"] > 0.6
    assert report_of(truth, [0] * 100, *named)["majority_accuracy"] == 0.6


def test_what_is_undefined_is_none_with_a_reason_and_the_report_is_json():
    report = report_of([0, 0, 1], [0, 1, 1], list("aab"), ("a", "b", "c"))
    absent = report["per_class"]["c"]
    for name, reason in (("precision", "c is never predicted"), ("recall", "no record of c"),
                         ("f1", "no record of c, and c is never predicted"),
                         ("auc", "no record of c")):  # fmt: skip
        assert absent[name]["value"] is absent[name]["low"] is absent[name]["high"] is None
        assert absent[name]["reason"] == reason
    assert report["per_class"]["a"]["f1"]["value"] == pytest.approx(2 / 3)
    assert report["f1_macro"]["value"] == pytest.approx(2 / 3)
    assert "no record of c: left out of balanced accuracy and AUC, and of macro F1" in report["note"]
    for name in ("auc", "average_precision", "balanced_accuracy"):
        assert report[name]["value"] is not None
        assert "without c" in report[name]["reason"]
    json.dumps(report, allow_nan=False)
    empty = metrics.segmentation_metrics(
        np.array([[[9, 0], [0, 0]], [[4, 0], [0, 0]]]), ("none", "some")
    )
    assert empty["dice_mean"]["value"] is None and "but none" in empty["dice_mean"]["reason"]
    json.dumps(empty, allow_nan=False)


def test_one_class_in_the_fold_leaves_no_auc():
    report = report_of([1] * 12, [1] * 10 + [0] * 2, range(12), ("no", "yes"))
    for name in ("auc", "average_precision", "sensitivity_at_specificity"):
        assert report[name]["value"] is None and report[name]["reason"] == "only one class occurs"
    assert report["per_class"]["yes"]["auc"]["reason"] == "every record is of yes"
    assert report["accuracy"]["value"] == pytest.approx(10 / 12)
    assert report_of([1] * 3, [1] * 3, range(3), ("no", "yes"))["kappa"]["value"] is None
    json.dumps(report, allow_nan=False)


def test_a_class_of_two_patients_has_an_interval_that_the_counts_alone_decide():
    truth = [0] * 10 + [1] * 2
    for wrong in ([], [10], [0, 1, 11]):
        predicted = [1 - label if place in wrong else label for place, label in enumerate(truth)]
        report = report_of(truth, predicted, range(12), ("a", "b"))
        assert all(report[name]["low"] is not None for name in ("auc", "kappa", "balanced_accuracy"))


def test_macro_f1_has_no_interval_where_a_class_has_one_patient():
    truth = np.repeat([0, 1, 2], [30, 30, 1])
    chances = np.random.default_rng(0).dirichlet(np.ones(3), 61)
    found = metrics.classification_metrics(
        truth, chances, chances.argmax(axis=1), np.arange(61), ("a", "b", "c")
    )
    assert found["f1_macro"]["low"] is None and found["f1_macro"]["value"] is not None
    assert found["f1_macro"]["reason"].startswith("1 of the classes has one patient")
    assert found["balanced_accuracy"]["low"] is not None


def test_a_number_without_an_interval_needs_a_reason():
    with pytest.raises(ValueError, match="reason"):
        number(0.5, 3)
    with pytest.raises(ValueError, match="reason"):
        number(np.nan, 3, (0, 1))


def test_exact_intervals_are_those_of_statsmodels():
    for n in (1, 2, 7, 30, 400):
        for hits in {0, 1, n // 3, n // 2, n - 1, n}:
            expected = proportion_confint(hits, n, alpha=0.05, method="beta")
            np.testing.assert_allclose(metrics.clopper_pearson(hits, n), expected, atol=1e-12)
    np.testing.assert_allclose(metrics.clopper_pearson(3, 9, 0.9), proportion_confint(3, 9, 0.1, "beta"))
    for hits, n in ((0, 0), (-1, 3), (4, 3)):
        with pytest.raises(ValueError, match="hits"):
            metrics.clopper_pearson(hits, n)


def test_accuracy_and_recall_are_exact_where_each_patient_has_one_record():
    truth = [0] * 12 + [1] * 8
    predicted = [0] * 9 + [1] * 3 + [1] * 6 + [0] * 2
    report = report_of(truth, predicted, range(20), ("a", "b"))
    for found, hits, n in ((report["accuracy"], 15, 20), (report["per_class"]["a"]["recall"], 9, 12),
                           (report["per_class"]["b"]["recall"], 6, 8),
                           (report["per_class"]["b"]["precision"], 6, 9)):  # fmt: skip
        low, high = proportion_confint(hits, n, method="beta")
        assert (found["low"], found["high"]) == (pytest.approx(low), pytest.approx(high))
        assert (found["value"], found["n"], found["method"]) == (hits / n, n, "Clopper-Pearson")
    assert report["kappa"]["method"] == "jackknife, Wilson"
    twice = report_of(truth * 2, predicted * 2, [*range(20)] * 2, ("a", "b"))
    assert twice["accuracy"]["method"] == "Wilson, effective n"


def test_without_errors_every_number_has_an_interval_that_counts_patients():
    patients = np.repeat(np.arange(12), 6)  # of either class as many records in each patient
    truth = np.arange(72) % 2
    report = report_of(truth, truth, patients, ("a", "b"))
    limit = proportion_confint(12, 12, method="beta")[0]
    for found in (report["accuracy"], report["per_class"]["a"]["recall"]):
        assert (found["value"], found["high"]) == (1, 1)
        assert found["low"] == pytest.approx(limit)
        assert found["method"] == "Clopper-Pearson, n = patients" and found["n"] == 12
    for name in ("kappa", "f1_macro", "auc"):
        assert report[name]["value"] == 1 == report[name]["high"] and report[name]["low"] < 0.9
    assert f"{100 * (1 - limit):.2g} %" in report["note"] and "no error was observed" in report["note"]


def test_a_class_that_is_always_missed_has_an_exact_upper_limit():
    truth = np.tile([0, 0, 1], 10)
    predicted = np.tile([0, 1, 0], 10)
    report = report_of(truth, predicted, np.repeat(np.arange(10), 3), ("a", "b"))
    found = report["per_class"]["b"]["recall"]
    assert (found["value"], found["low"]) == (0, 0)
    assert found["high"] == pytest.approx(proportion_confint(0, 10, method="beta")[1])


def test_the_note_says_where_there_are_too_few_patients():
    counts = np.zeros((20, 3, 3))
    counts[:, 0, 0], counts[:3, 1, 0], counts[5:, 2, 2] = 4, 1, 2
    message = note(counts, ("a", "b", "c"), {}, "means")
    assert message == "class b has only 3 patients: its numbers are hardly informative"
    counts[7:, 2] = 0
    message = note(counts, ("a", "b", "c"), {}, "means")
    assert "fewer than 5 patients: b (3), c (2)" in message
    assert note(counts[:1], ("a", "b", "c"), {}, "means").startswith("only 1 patient:")


def test_the_note_says_where_an_interval_is_too_wide():
    counts = np.zeros((20, 2, 2))
    counts[:, 0, 0], counts[:, 1, 0], counts[:, 1, 1] = 1, 1, 1
    wide = number(0.5, 20, (0.2, 0.8), "bootstrap")
    narrow = number(0.5, 20, (0.3, 0.7), "bootstrap")
    assert note(counts, ("a", "b"), {"auc": narrow}, "means") == ""
    assert note(counts, ("a", "b"), {"auc": wide, "f1_macro": narrow}, "means") == (
        "auc: the interval covers more than half the scale"
    )
    assert note(counts, ("a", "b"), {"kappa": wide}, "means") == ""  # of a scale from -1 to 1


def of_scores(score, truth, patients, threshold: float) -> dict:
    """classification_metrics of two classes, decided at a threshold of the score of the second."""
    probabilities, decided = np.stack([1 - score, score], axis=1), (score > threshold).astype(int)
    return metrics.classification_metrics(truth, probabilities, decided, patients, ("low", "high"))


def test_too_few_patients_for_significance_leave_no_interval():
    truth, patients = np.repeat([0, 0, 1, 1], 9), np.repeat(["a", "b", "c", "d"], 9)
    report = of_scores(np.linspace(0.1, 0.4, len(truth)) + 0.2 * truth, truth, patients, 0.4)
    message = (
        "2 and 2 patients are too few for any result to be significant: "
        "even a perfect result has p = 0.33"
    )
    for name in ("auc", "kappa", "balanced_accuracy", "f1_macro", "average_precision"):
        assert report[name]["value"] is not None and report[name]["low"] is None
        assert report[name]["reason"] == message
    assert report["per_class"]["high"]["auc"]["reason"] == message
    for name in ("accuracy", "brier", "log_loss"):  # they compare no groups
        assert report[name]["low"] is not None
    assert report["beats_majority"] is False


@pytest.mark.parametrize(
    "patients_of, enough",
    [((2, 2), False), ((3, 4), False), ((3, 5), True), ((1, 9), False), ((1, 39), True),
     ((2, 2, 2), True), ((1, 1, 1), False), ((0, 4), True), ((30, 200), True)],
)  # fmt: skip
def test_too_few_patients_is_where_no_permutation_test_is_significant(patients_of, enough):
    assert (too_few(np.array(patients_of)) == "") == enough


def test_too_few_patients_agrees_with_the_smallest_p_value_of_scipy():
    for first, second in ((2, 2), (2, 7), (3, 3), (3, 5), (4, 4)):
        ranks = np.arange(first + second)
        p = mannwhitneyu(ranks[:first], ranks[first:], method="exact").pvalue
        assert (too_few(np.array([first, second])) == "") == (p <= 0.05)


def test_patients_of_several_classes_are_not_counted_as_groups():
    truth, patients = np.tile([0, 1], 6), np.repeat(["a", "b", "c"], 4)
    report = of_scores(np.linspace(0.2, 0.8, 12), truth, patients, 0.5)
    assert report["auc"]["low"] is not None
    two = of_scores(np.linspace(0.2, 0.8, 8), truth[:8], patients[:8], 0.5)
    assert two["auc"]["low"] is None and "2 patients with records of several classes" in (
        two["auc"]["reason"]
    )


def has_classes(first: int, second: int, both: int) -> np.ndarray:
    """(patients, 2) bool of so many patients of the first class, of the second, and of both."""
    return np.repeat([[True, False], [False, True], [True, True]], [first, second, both], axis=0)


@pytest.mark.parametrize(
    "patients_of, reason",
    [((2, 2, 1), "3 and 2 patients are too few"), ((20, 0, 1), "20 and 1 patients are too few"),
     ((5, 0, 2), "5 and 2 patients are too few"), ((39, 0, 1), ""), ((4, 3, 1), ""),
     ((0, 0, 1), "1 patient with records of several classes"),
     ((0, 0, 2), "2 patients with records of several classes"), ((0, 0, 3), ""), ((1, 1, 3), "")],
)  # fmt: skip
def test_one_patient_of_both_classes_does_not_switch_the_rule_of_the_numbers_off(patients_of, reason):
    found = too_few_of_classes(has_classes(*patients_of))
    assert found.startswith(reason) and bool(found) == bool(reason)


def test_one_patient_of_both_classes_does_not_switch_the_rule_within_sites_off():
    assert too_few_within([has_classes(1, 1, 1), has_classes(1, 1, 0)])
    assert too_few_within([has_classes(20, 0, 1), has_classes(1, 1, 0)]) == ""  # 42 orders
    assert too_few_within([has_classes(1, 0, 2), has_classes(1, 1, 1)]) == ""


@pytest.mark.parametrize("right", [True, False])
def test_probabilities_of_nought_and_one_give_a_loss_without_an_interval(right):
    truth = np.arange(5) % 2
    sure = np.eye(2)[truth if right else 1 - truth]
    report = metrics.classification_metrics(truth, sure, sure.argmax(axis=1), np.arange(5), ("a", "b"))
    for name in ("brier", "log_loss"):
        assert report[name]["low"] is None
        assert "nothing tells how much it varies" in report[name]["reason"]
    sure[0] = (0.6, 0.4)
    report = metrics.classification_metrics(truth, sure, truth, np.arange(5), ("a", "b"))
    assert report["brier"]["high"] > report["brier"]["value"] and "reason" not in report["brier"]


def test_a_log_loss_has_no_limit_above_the_largest_loss_that_counts():
    truth = np.arange(4) % 2
    wrong = np.eye(2)[1 - truth]
    wrong[0] = wrong[0, ::-1]
    report = metrics.classification_metrics(truth, wrong, truth, np.arange(4), ("a", "b"))
    assert report["log_loss"]["high"] == pytest.approx(-np.log(np.finfo(float).eps))


def test_a_long_list_of_classes_is_cut():
    counts = np.zeros((20, 12, 12))
    counts[:, 0, 0], counts[:, 0, 1] = 1, 1
    names = tuple(f"c{label}" for label in range(12))
    assert "no record of c1, c2, c3, c4, c5 and 6 more" in note(counts, names, {}, "means")


def test_the_segmentation_report_has_the_same_form():
    rng = np.random.default_rng(0)
    counts = rng.integers(1, 50, (12, 3, 3)) + 200 * np.eye(3, dtype=int)
    report = metrics.segmentation_metrics(counts, ("back", "one", "two"))
    for _, found in numbers_in(report):
        assert found["low"] < found["value"] < found["high"]
        assert found["method"] and found["n"] == 12
    total = counts.sum(axis=0)
    assert report["dice_mean"]["value"] == pytest.approx(float(metrics.foreground_dice(total)))
    assert report["per_class"]["one"]["pixels"] == total[1].sum()
    assert report["per_class"]["one"]["dice"]["value"] == pytest.approx(
        2 * total[1, 1] / (total[1].sum() + total[:, 1].sum())
    )


def test_records_of_one_patient_have_a_share_and_no_interval():
    found = share_of_records(np.array([True, True, False]), np.array(["a"] * 3))
    assert found["value"] == pytest.approx(2 / 3) and found["low"] is None
    assert found["reason"] == "one patient"


def test_no_interval_of_the_brier_score_ends_above_2():
    rng = np.random.default_rng(0)
    truth, patients = np.repeat([0, 1], 6), np.arange(12)
    right = np.where(rng.random(12) < 0.5, 0.02, 0.98)[:, None]
    probabilities = np.where(np.eye(2)[truth] == 1, right, 1 - right)
    predicted = probabilities.argmax(axis=1)
    found = metrics.classification_metrics(truth, probabilities, predicted, patients, ("a", "b"))
    assert found["brier"]["value"] < found["brier"]["high"] <= 2
