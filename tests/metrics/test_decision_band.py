"""The band of a decision curve: a t interval of a mean, over patients."""

import numpy as np
import pytest
from scipy import stats

from mri_tf.metrics.net_benefit import decision_band, decision_curve

AT = np.array([0.2, 0.5])


def drawn(rng, patients: int, records: int):
    """(probabilities, truth, patient of each record); a patient's records are alike."""
    sick = rng.random(patients) < 0.4
    score = 1 / (1 + np.exp(-rng.normal(1.5 * (2 * sick - 1), 1.2)))
    p = np.repeat(score, records)
    return np.stack([1 - p, p], axis=1), np.repeat(sick, records).astype(int), np.repeat(
        np.arange(patients), records)  # fmt: skip


def test_with_one_record_a_patient_it_is_the_t_interval_of_the_gains():
    p, truth, patients = drawn(np.random.default_rng(0), 30, 1)
    low, high = decision_band(p, truth, patients, AT)
    for place, threshold in enumerate(AT):
        gains = (p[:, 1] >= threshold) * np.where(truth == 1, 1, -threshold / (1 - threshold))
        expected = stats.t.interval(0.95, 29, gains.mean(), stats.sem(gains))
        assert (low[place], high[place]) == pytest.approx(expected)


def test_records_that_say_the_same_do_not_make_it_narrower():
    rng = np.random.default_rng(1)
    p, truth, patients = drawn(rng, 25, 4)
    once = decision_band(p[::4], truth[::4], patients[::4], AT)
    assert np.allclose(decision_band(p, truth, patients, AT), once)


def test_the_net_benefit_lies_in_its_middle_and_one_patient_has_none():
    p, truth, patients = drawn(np.random.default_rng(2), 20, 2)
    low, high = decision_band(p, truth, patients, AT)
    assert np.allclose((low + high) / 2, decision_curve(p, truth, AT).model)
    assert decision_band(p, truth, np.zeros(len(truth)), AT) is None


def test_it_holds_the_true_net_benefit_about_as_often_as_it_says():
    rng = np.random.default_rng(3)
    p, truth, _ = drawn(rng, 400_000, 1)
    true = decision_curve(p, truth, AT).model
    held = np.zeros(2)
    for _ in range(400):
        low, high = decision_band(*drawn(rng, 40, 2), AT)
        held += (low <= true) & (true <= high)
    assert (held / 400 > 0.91).all() and (held / 400 < 0.985).all(), held / 400
