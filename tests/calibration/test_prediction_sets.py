"""Prediction sets hold the class as often as they promise, counted on simulated patients."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import softmax

from mri_tf.calibration.prediction_sets import ALL_CLASSES, fit_conformal, prediction_sets
from mri_tf.core.errors import InputError

CLASSES = 3


def simulated(rng, records: np.ndarray, alike: float = 0.8, harder: float = 0.0):
    """Probabilities, classes and patients; `records` of each, `harder` for those with few.

    Every patient shifts all of their records by the same draw, `alike` in size.
    """
    patients = np.repeat(np.arange(len(records)), records)
    truth = rng.integers(0, CLASSES, len(patients))
    own = rng.normal(size=(len(records), CLASSES)) * (alike + harder * (records < 5))[:, None]
    x = rng.normal(size=(len(patients), CLASSES)) + own[patients] + 1.2 * np.eye(CLASSES)[truth]
    return softmax(1.2 * x, axis=-1), truth, patients


def coverage_of_new_patients(threshold: float, rng, records, **how) -> float:
    """Over a random record of each of many new patients."""
    probabilities, truth, patients = simulated(rng, records, **how)
    covered = prediction_sets(probabilities, threshold)[np.arange(len(truth)), truth]
    return float(np.average(covered, weights=1 / records[patients]))


def mean_coverage(fit_records, level=0.9, fit=fit_conformal, times=200, **how) -> float:
    rng = np.random.default_rng(0)
    new = np.resize(fit_records, 400)
    found = [
        coverage_of_new_patients(fit(*simulated(rng, fit_records, **how), level), rng, new, **how)
        for _ in range(times)
    ]
    return float(np.mean(found))


@pytest.mark.parametrize("records", [1, 17])
@pytest.mark.parametrize("level", [0.8, 0.9])
def test_coverage_is_within_two_points_of_what_was_promised(records, level):
    assert mean_coverage(np.full(120, records), level) == pytest.approx(level, abs=0.02)


@pytest.mark.parametrize("patients", [9, 12, 20])
@pytest.mark.parametrize("records", [1, 5, 17])
def test_with_few_patients_coverage_errs_on_the_safe_side_and_not_far(patients, records):
    found = mean_coverage(np.full(patients, records))
    assert 0.885 < found <= 0.9 + 1 / (patients + 1) + 0.03


def test_who_has_many_records_counts_no_more_than_who_has_one():
    # Patients with thirty records are the easy ones: counted by record they drown the others.
    records, how = np.tile([1, 30], 60), dict(harder=2.5)

    def by_record(probabilities, truth, _, level):
        return fit_conformal(probabilities, truth, np.arange(len(truth)), level)

    assert mean_coverage(records, **how) == pytest.approx(0.9, abs=0.02)
    assert mean_coverage(records, fit=by_record, **how) < 0.86


# ---- closed forms


@pytest.mark.parametrize("level", [0.5, 0.8, 0.9])
@pytest.mark.parametrize("count", [9, 10, 19, 37])
def test_with_one_record_a_patient_the_threshold_is_an_order_statistic(level, count):
    p_true = np.random.default_rng(count).permutation(np.linspace(0.05, 0.95, count))
    probabilities = np.stack([p_true, 1 - p_true], axis=-1)
    found = fit_conformal(probabilities, np.zeros(count, int), np.arange(count), level)
    rank = int(np.ceil(round(level * (count + 1), 9)))
    assert found == np.sort(1 - p_true)[rank - 1]


def test_too_few_patients_for_the_level_give_every_class():
    probabilities, truth, patients = simulated(np.random.default_rng(2), np.full(8, 50))
    assert fit_conformal(probabilities, truth, patients, 0.9) == ALL_CLASSES
    assert prediction_sets(probabilities, ALL_CLASSES).all()
    assert fit_conformal(probabilities[:0], truth[:0], patients[:0]) == ALL_CLASSES


def test_the_same_records_twice_change_nothing():
    probabilities, truth, patients = simulated(np.random.default_rng(3), np.full(20, 3))
    twice = [np.concatenate([each, each]) for each in (probabilities, truth, patients)]
    assert fit_conformal(*twice) == fit_conformal(probabilities, truth, patients)


def test_a_set_holds_what_is_likely_enough_and_may_be_empty():
    rows = np.array([[0.9, 0.1], [0.5, 0.5], [0.75, 0.25]])
    assert prediction_sets(rows, 0.5).tolist() == [[True, False], [True, True], [True, False]]
    assert prediction_sets(rows, 0.2).tolist() == [[True, False], [False, False], [False, False]]


@given(st.integers(0, 1000), st.integers(1, 40), st.floats(0.05, 0.95), st.floats(0.05, 0.95))
@settings(max_examples=60, deadline=None)
def test_a_higher_level_never_takes_a_class_out_of_a_set(seed, patients, one, other):
    probabilities, truth, patients = simulated(np.random.default_rng(seed), np.full(patients, 2))
    low, high = (
        fit_conformal(probabilities, truth, patients, level) for level in sorted((one, other))
    )
    assert np.all(prediction_sets(probabilities, low) <= prediction_sets(probabilities, high))


@pytest.mark.parametrize("level", [0, 1, 90])
def test_a_level_is_a_share(level):
    with pytest.raises(InputError, match="between 0 and 1"):
        fit_conformal(np.array([[0.5, 0.5]]), np.array([0]), np.array(["a"]), level)
