"""How many records the records of patients are worth, and what that does to a fitted slope."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit

from mri_tf.calibration.independent_records import independent_records
from mri_tf.calibration.temperature import fit_temperature

SHARES = np.array([0.5, 0.5])


def residuals_of(patients, records, alike, rng):
    """Residuals of unit variance with correlation `alike` within a patient, (rows, 2), and the ids."""
    own = rng.standard_normal((patients, 1)) * np.sqrt(alike)
    values = (own + rng.standard_normal((patients, records)) * np.sqrt(1 - alike)).ravel()
    return np.stack([values, -values], axis=1), np.repeat(np.arange(patients), records)


@pytest.mark.parametrize("alike", [0.0, 0.2, 0.6, 1.0])
def test_many_patients_are_worth_what_kish_s_design_effect_says(alike):
    rng = np.random.default_rng(0)
    found = independent_records(*residuals_of(3000, 8, alike, rng))
    assert found / 3000 == pytest.approx(8 / (1 + 7 * alike), rel=0.06)


@given(st.lists(st.integers(1, 9), min_size=1, max_size=15), st.integers(0, 10**6))
@settings(max_examples=60, deadline=None)
def test_records_are_worth_no_less_than_their_patients_and_no_more_than_themselves(sizes, seed):
    rng = np.random.default_rng(seed)
    patients = np.repeat(np.arange(len(sizes)), sizes)
    found = independent_records(rng.normal(size=(len(patients), 3)), patients)
    assert len(sizes) - 1e-9 <= found <= sum(sizes) + 1e-9
    if max(sizes) == 1:
        assert found == len(sizes)


def test_two_patients_outweigh_nothing():
    """Records that look independent in two patients are taken for independent only in part."""
    rng = np.random.default_rng(0)
    found = independent_records(*residuals_of(2, 10, 0.0, rng))
    assert found < 2 * 10 / (1 + 9 * 0.5)


def records_of(patients, records, rng, copies):
    """Outputs too flat by half, labels and ids: records of their own, or one and its copies."""
    odds = rng.normal(0, 2.5, (patients, 1 if copies else records))
    truth = (rng.random(odds.shape) < expit(odds)).astype(int)
    odds, truth = (np.broadcast_to(one, (patients, records)).ravel() for one in (odds, truth))
    p = expit(odds / 2)
    return np.stack([1 - p, p], axis=1), truth, np.repeat(np.arange(patients), records)


def temperature(outputs, truth, patients):
    weights = np.full(len(truth), len(np.unique(patients)) / len(truth))
    return fit_temperature(outputs, truth, SHARES, SHARES, weights, patients).temperature


def test_copies_of_a_record_change_a_fit_little_and_independent_records_bring_it_nearer_to_the_truth():
    """The right temperature is a half."""
    apart = {"alone": [], "copied": [], "several": []}
    for seed in range(30):
        outputs, truth, patients = records_of(15, 8, np.random.default_rng(seed), copies=True)
        one = slice(None, None, 8)
        found = {
            "alone": temperature(outputs[one], truth[one], patients[one]),
            "copied": temperature(outputs, truth, patients),
            "several": temperature(*records_of(15, 8, np.random.default_rng(seed), copies=False)),
        }
        for name, value in found.items():
            apart[name].append(abs(np.log(value / 0.5)))
    distance = {name: np.mean(values) for name, values in apart.items()}
    assert distance["copied"] == pytest.approx(distance["alone"], abs=0.03)
    assert distance["several"] < 0.7 * distance["alone"]
