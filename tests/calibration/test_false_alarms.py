"""The limit of a score and the share of familiar records above it."""

import numpy as np
import pytest

from mri_tf.calibration.false_alarms import FEWEST, RATE, fit_limit


def test_with_one_record_a_patient_as_many_are_above_the_limit_as_the_rate_allows():
    scores = np.random.default_rng(0).normal(size=100)
    limit = fit_limit(scores, np.arange(100))
    assert limit.value == pytest.approx(np.sort(scores)[-5]) and limit.rate == pytest.approx(5 / 101)
    few = fit_limit(scores[:20], np.arange(20))  # one odd patient does not decide
    assert few.value == pytest.approx(np.sort(scores[:20])[-2]) and few.rate == pytest.approx(2 / 21)


def test_too_few_patients_give_no_limit_however_many_records_they_have():
    scores = np.arange(1000.0)
    few = fit_limit(scores, np.arange(1000) % (FEWEST - 1))
    assert few.value is None and few.rate is None
    assert few.reason == f"{FEWEST - 1} patients, and at least {FEWEST} are needed"
    assert fit_limit(scores, np.arange(1000) % FEWEST).value is not None


@pytest.mark.parametrize("alike", [0.0, 0.7, 0.95])
def test_new_patients_are_flagged_as_often_as_stated_however_alike_their_records_are(alike):
    rng, flagged, stated = np.random.default_rng(1), [], []

    def drawn(patients: int, records: int) -> np.ndarray:
        own, each = rng.normal(size=(patients, 1)), rng.normal(size=(patients, records))
        return np.sqrt(alike) * own + np.sqrt(1 - alike) * each

    for _ in range(400):
        limit = fit_limit(drawn(40, 10).ravel(), np.repeat(np.arange(40), 10))
        flagged.append((drawn(200, 1) > limit.value).mean())
        stated.append(limit.rate)
    assert np.mean(stated) == pytest.approx(2 / 41) and RATE == 0.05
    assert np.mean(flagged) == pytest.approx(np.mean(stated), abs=0.015)


def test_a_score_without_number_among_the_highest_gives_no_limit():
    scores = np.where(np.arange(30) < 3, np.inf, 1.0)
    limit = fit_limit(scores, np.arange(30))
    assert limit.value is None and "not finite numbers" in limit.reason
