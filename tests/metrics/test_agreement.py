"""Agreement of readers, against scikit-learn and statsmodels."""

import numpy as np
import pytest
import sklearn.metrics as sk
from statsmodels.stats.inter_rater import aggregate_raters, fleiss_kappa

from mri_tf.metrics.agreement import UNREAD, agreement_among, agreement_of_two


def read(readers: int, cases: int, right: float, seed: int = 0) -> np.ndarray:
    """(readers, cases) grades 0 to 3, each right with a probability."""
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, 4, cases)
    return np.where(rng.random((readers, cases)) < right, truth, rng.integers(0, 4, (readers, cases)))


@pytest.mark.parametrize("ordered, weights", [(False, None), (True, "quadratic")])
def test_of_two_readers_the_kappa_is_cohens(ordered, weights):
    first, second = read(2, 60, 0.7)
    found = agreement_of_two(first, second, np.arange(60), 4, ordered)
    theirs = sk.cohen_kappa_score(first, second, weights=weights)
    assert found["kappa"]["value"] == pytest.approx(theirs)
    assert found["agreement"]["value"] == pytest.approx((first == second).mean())
    assert found["kappa"]["low"] < theirs < found["kappa"]["high"] and found["cases"] == 60
    among = agreement_among(np.array([first, second]), np.arange(60), 4, ordered)
    assert among["kappa"] == found["kappa"] and among["kind"].startswith("Cohen")


def test_of_more_readers_it_is_fleiss():
    readings = read(4, 50, 0.6)
    found = agreement_among(readings, np.arange(50), 4, False)
    table, _ = aggregate_raters(readings.T)
    assert found["kappa"]["value"] == pytest.approx(fleiss_kappa(table))
    pairs = [(readings[a] == readings[b]).mean() for a in range(4) for b in range(a)]
    assert found["agreement"]["value"] == pytest.approx(np.mean(pairs))


def test_cases_that_a_reader_has_not_read_do_not_count():
    readings = read(3, 40, 0.6)
    readings[0, :10], readings[1, 5:10], readings[2, 5:10] = UNREAD, UNREAD, UNREAD
    assert agreement_of_two(*readings[:2], np.arange(40), 4, False)["cases"] == 30
    found = agreement_among(readings, np.arange(40), 4, False)
    assert found["cases"] == 35 and found["kappa"]["n"] == 35
    nobody = np.full(40, UNREAD)
    empty = agreement_of_two(nobody, readings[0], np.arange(40), 4, False)
    assert empty["cases"] == 0 and empty["kappa"]["value"] is None and empty["kappa"]["reason"]


def test_an_interval_is_over_patients():
    first, second = np.repeat(read(2, 15, 0.6), 6, axis=1)
    apart = agreement_of_two(first, second, np.arange(90), 4, True)["kappa"]
    together = agreement_of_two(first, second, np.repeat(np.arange(15), 6), 4, True)["kappa"]
    assert together["value"] == apart["value"] and together["n"] == 15
    assert together["high"] - together["low"] > 1.5 * (apart["high"] - apart["low"])
