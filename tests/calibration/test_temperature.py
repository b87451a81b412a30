"""Temperatures and priors that are known, found again; the calibration curve against scikit-learn."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import softmax
from scipy.stats import binomtest
from sklearn.calibration import calibration_curve
from sklearn.linear_model import LogisticRegression

from mri_tf.calibration.class_balance import trained_shares, validation_weights
from mri_tf.calibration.standardise import fit_standard
from mri_tf.calibration.temperature import calibrated, fit_temperature, prior_offsets
from mri_tf.metrics.reliability import reliability_curve

EVEN, EVEN_PAIR = np.ones(3) / 3, np.ones(2) / 2
RARE = np.array([0.8, 0.15, 0.05])


def drawn(count: int, prior, seed: int, apart: float = 2.0):
    """Records of unit Gaussians at the corners of a simplex: (count, classes) x and their classes."""
    rng = np.random.default_rng(seed)
    truth = rng.choice(len(prior), size=count, p=prior)
    return rng.normal(size=(count, len(prior))) + apart * np.eye(len(prior))[truth], truth


def posterior(x: np.ndarray, prior, apart: float = 2.0) -> np.ndarray:
    return softmax(apart * x + np.log(prior), axis=-1)


def calibration_error(probabilities, truth, label=None) -> float:
    """Expected calibration error of the likeliest class, or of one."""
    curve = reliability_curve(probabilities, truth, np.arange(len(truth)), label)
    gap = np.abs(curve.observed - curve.predicted)
    return float(np.nansum(curve.counts * gap) / len(truth))


@pytest.mark.parametrize(
    ("counts", "oversample", "weights", "shares"),
    [
        ([30, 10, 0], False, [1, 1, 1], [0.75, 0.25, 0]),
        ([30, 10, 0], True, [1, 1, 1], [0.5, 0.5, 0]),  # every class that occurs equally often
        ([30, 10], False, [1, 3], [0.5, 0.5]),  # a weight counts as so many draws
        ([30, 10], True, [1, 3], [0.25, 0.75]),
    ],
)
def test_the_loss_saw_natural_shares_unless_classes_are_oversampled_or_weighted(
    counts, oversample, weights, shares
):
    np.testing.assert_allclose(trained_shares(counts, oversample, np.array(weights)), shares)


@pytest.mark.parametrize(
    ("factor", "natural", "seed", "rel", "atol"),
    [(0.4, EVEN, 0, 0.06, 0.02), (1.0, EVEN, 0, 0.06, 0.02), (3.0, EVEN, 0, 0.06, 0.02),
     (2.0, RARE, 1, 0.08, 0.05)],  # the last under another prior than that of training
)  # fmt: skip
def test_the_factor_of_the_logits_is_the_temperature_found(factor, natural, seed, rel, atol):
    x, truth = drawn(6000, natural, seed)
    network = softmax(factor * np.log(posterior(x, EVEN)), axis=-1)
    found = fit_temperature(network, truth, EVEN, natural)
    assert found.reason == ""
    assert found.temperature == pytest.approx(factor, rel=rel)
    corrected = calibrated(network, found.temperature, EVEN, natural)
    np.testing.assert_allclose(corrected, posterior(x, natural), atol=atol)


def test_weights_undo_the_shares_of_a_limited_validation_side():
    x, truth = drawn(6000, EVEN, seed=2)  # as many of each class, though 0.8 are of the first
    network = softmax(2.0 * np.log(posterior(x, RARE)), axis=-1)
    weighed = fit_temperature(network, truth, RARE, RARE, validation_weights(truth, RARE))
    assert weighed.temperature == pytest.approx(2.0, rel=0.1)
    assert np.abs(weighed.intercepts).max() < 0.15
    # Without them the intercepts make the classes as frequent as they are on that side.
    plain = np.array(fit_temperature(network, truth, RARE, RARE).intercepts)
    np.testing.assert_allclose(plain, -np.log(RARE) + np.log(RARE).mean(), atol=0.15)


def test_weights_sum_to_the_records_or_the_patients_and_give_classes_their_shares():
    truth, patients = np.array([0, 0, 0, 1]), np.array(["a", "a", "b", "c"])
    np.testing.assert_allclose(validation_weights(truth, np.array([0.5, 0.5])), [2 / 3] * 3 + [2])
    by_patient = validation_weights(truth, np.array([1, 1]), patients)
    np.testing.assert_allclose(by_patient, [0.5] * 3 + [1.5])
    assert validation_weights(np.array([1, 1]), np.array([1, 0])).tolist() == [0, 0]
    assert validation_weights(np.array([], int), np.array([1, 1])).shape == (0,)


@pytest.mark.parametrize("records", [4, 20, 100])
def test_perfectly_sorted_records_do_not_become_certain(records):
    truth = np.arange(records) % 2
    network = np.where(np.eye(2)[truth] > 0, 0.9, 0.1)
    found = fit_temperature(network, truth, EVEN_PAIR, EVEN_PAIR)
    confidence = calibrated(network, found.temperature, EVEN_PAIR, EVEN_PAIR).max(axis=-1)
    assert 0.2 < found.temperature < 1
    # Surer than the network was, less sure than if half a record more, of either class, were all.
    assert np.all((confidence > 0.9) & (confidence < (records + 0.25) / (records + 0.5)))


def test_noise_does_not_send_the_temperature_of_a_few_records_to_its_bound():
    network = np.array([[0.9, 0.1], [0.1, 0.9], [0.9, 0.1], [0.1, 0.9]])
    wrong = fit_temperature(network, np.array([1, 0, 1, 0]), EVEN_PAIR, EVEN_PAIR)
    assert 1.5 < wrong.temperature < 10


def test_a_small_validation_side_is_better_off_with_its_temperature_than_without():
    x, truth = drawn(20_000, EVEN_PAIR, seed=3)

    def log_loss(probabilities):
        return -np.log(probabilities[np.arange(len(truth)), truth]).mean()

    def network(values, factor):
        return softmax(factor * np.log(posterior(values, EVEN_PAIR)), axis=-1)

    for factor, most in ((1.0, 0.02), (3.0, 0.03)):
        worse = []
        for seed in range(40):
            few_x, few = drawn(20, EVEN_PAIR, seed=100 + seed)
            found = fit_temperature(network(few_x, factor), few, EVEN_PAIR, EVEN_PAIR)
            fitted = calibrated(network(x, factor), found.temperature, EVEN_PAIR, EVEN_PAIR)
            worse.append(log_loss(fitted) - log_loss(posterior(x, EVEN_PAIR)))
        assert np.mean(worse) < most
    assert log_loss(network(x, 3.0)) - log_loss(posterior(x, EVEN_PAIR)) > 4 * most  # left alone


def test_evidence_that_weighs_more_moves_the_temperature_further():
    truth = np.arange(12) % 2
    network = np.where(np.eye(2)[truth] > 0, 0.9, 0.1)
    found = [
        fit_temperature(network, truth, EVEN_PAIR, EVEN_PAIR, np.full(12, weight)).temperature
        for weight in (1.0, 3.0, 10.0)
    ]
    assert 1 > found[0] > found[1] > found[2]


def test_a_temperature_that_cannot_be_fitted_is_one_and_says_why():
    network = np.array([[0.7, 0.3], [0.6, 0.4]])
    one = fit_temperature(network, np.array([0, 0]), EVEN_PAIR, EVEN_PAIR)
    none = fit_temperature(network[:0], np.array([], int), EVEN_PAIR, EVEN_PAIR)
    untrained = fit_temperature(network, np.array([1, 1]), np.array([1, 0]), EVEN_PAIR)
    assert one.temperature == none.temperature == untrained.temperature == 1
    assert "one class" in one.reason
    assert "no validation record" in none.reason and "trained" in untrained.reason


def test_a_record_of_a_class_that_was_not_trained_on_says_nothing_about_the_temperature():
    x, truth = drawn(300, np.array([0.5, 0.5]), seed=4)
    network = np.append(posterior(x, [0.5, 0.5]), np.full((300, 1), 1e-4), axis=-1)
    shares = np.array([0.5, 0.5, 0])
    alone = fit_temperature(network, truth, shares, shares)
    more = fit_temperature(
        np.append(network, [[0.5, 0.4, 0.1]], axis=0), np.append(truth, 2), shares, EVEN
    )
    assert more.temperature == pytest.approx(alone.temperature, rel=1e-3)


# ---- outputs that are off scale


@pytest.mark.parametrize(
    ("factor", "shift"), [(1.0, (2.0, 0.0, -2.0)), (0.02, (0.0, 0.0, 0.0)), (0.02, (2.2, 0.0, 0.0))]
)
def test_shifted_and_compressed_outputs_are_brought_on_scale(factor, shift):
    x, truth = drawn(6000, EVEN, seed=8)
    network = softmax(factor * np.log(posterior(x, EVEN)) + np.array(shift), axis=-1)
    found = fit_temperature(network, truth, EVEN, EVEN)
    corrected = calibrated(network, found.temperature, EVEN, EVEN, found.intercepts)
    np.testing.assert_allclose(corrected, posterior(x, EVEN), atol=0.06)
    assert sum(found.intercepts) == pytest.approx(0, abs=1e-9)


def test_how_compressed_outputs_are_changes_nearly_nothing():
    x, truth = drawn(24, EVEN_PAIR, seed=9)
    logits = np.log(posterior(x, EVEN_PAIR))
    reported = []
    for factor in (0.05, 0.1):
        network = softmax(factor * logits + [0.0, 2.2], axis=-1)
        found = fit_temperature(network, truth, EVEN_PAIR, EVEN_PAIR)
        reported.append(calibrated(network, found.temperature, EVEN_PAIR, EVEN_PAIR, found.intercepts))
    np.testing.assert_allclose(*reported, atol=0.01)
    assert np.mean(reported[0].argmax(axis=1) == truth) > 0.8  # the network itself always says 1


def test_few_patients_do_not_move_outputs_that_are_on_scale_and_many_patients_can():
    def intercept(count: int, shift: float, seed: int) -> float:
        x, truth = drawn(count, EVEN_PAIR, seed, apart=1.0)
        network = softmax(np.log(posterior(x, EVEN_PAIR, apart=1.0)) + [0.0, shift], axis=-1)
        return np.ptp(fit_temperature(network, truth, EVEN_PAIR, EVEN_PAIR).intercepts)

    assert np.mean([intercept(10, 0.0, seed) for seed in range(30)]) < 0.25
    assert np.mean([intercept(10, 0.5, seed) for seed in range(30)]) < 0.4
    assert intercept(3000, 0.5, 0) == pytest.approx(0.5, abs=0.1)


def test_many_records_of_one_patient_are_no_evidence_that_outputs_are_off_scale():
    rng = np.random.default_rng(10)
    truth, patients = np.repeat([0, 1], 200), np.repeat(np.arange(8), 50)
    own = rng.normal(0, 1.5, 8)[patients]
    logits = np.stack([np.zeros(400), 2 * truth - 1 + own + 1.0 + rng.normal(0, 0.1, 400)], axis=-1)
    logits -= logits.mean(axis=1, keepdims=True)
    of_patients = fit_standard(logits, truth, patients, np.zeros(2))
    of_records = fit_standard(logits, truth, np.arange(400), np.zeros(2))
    np.testing.assert_allclose(of_patients.centre, of_records.centre)  # each has as many records
    assert of_patients.moved < of_records.moved
    assert of_records.moved > 0.9


def test_a_network_that_says_the_same_to_every_record_gets_the_prior():
    truth, same = np.arange(20) % 2, np.tile([0.9, 0.1], (20, 1))
    found = fit_temperature(same, truth, EVEN_PAIR, np.array([0.7, 0.3]))
    reported = calibrated(same, found.temperature, EVEN_PAIR, np.array([0.7, 0.3]), found.intercepts)
    np.testing.assert_allclose(reported[0], [0.7, 0.3], atol=0.1)


def test_with_many_records_the_fit_is_a_logistic_regression():
    x, truth = drawn(8000, EVEN_PAIR, seed=11)
    odds = 0.4 * x[:, 1:] + 0.3  # a poor network: one score, off scale
    network = softmax(np.append(np.zeros_like(odds), odds, axis=1), axis=-1)
    found = fit_temperature(network, truth, EVEN_PAIR, EVEN_PAIR)
    reported = calibrated(network, found.temperature, EVEN_PAIR, EVEN_PAIR, found.intercepts)
    wanted = LogisticRegression(C=1e9).fit(odds, truth).predict_proba(odds)
    np.testing.assert_allclose(reported, wanted, atol=0.01)


# ---- probabilities as they are reported

SHARES = st.lists(st.floats(0.01, 1), min_size=3, max_size=3).map(np.array)
ROWS = st.lists(SHARES, min_size=1, max_size=5).map(
    lambda rows: np.array(rows) / np.sum(rows, axis=-1, keepdims=True)
)
TEMPERATURE = st.floats(0.05, 20)


@given(ROWS, TEMPERATURE, SHARES, SHARES)
@settings(max_examples=100, deadline=None)
def test_calibrated_rows_sum_to_one_and_keep_the_order_of_records(rows, temperature, trained, wanted):
    found = calibrated(rows, temperature, trained, wanted)
    np.testing.assert_allclose(found.sum(axis=-1), 1)
    # The odds of two classes grow with the network's odds, whatever the constants are.
    odds, given_odds = found[:, 0] / found[:, 1].clip(1e-300), rows[:, 0] / rows[:, 1]
    order = np.argsort(given_odds, kind="stable")
    assert np.all(np.diff(odds[order]) >= -1e-9 * odds[order][1:])


@given(ROWS, SHARES, SHARES)
@settings(max_examples=60, deadline=None)
def test_a_correction_there_and_back_changes_nothing(rows, trained, wanted):
    there = calibrated(rows, 1.0, trained, wanted)
    np.testing.assert_allclose(there.sum(axis=-1), 1)
    np.testing.assert_allclose(calibrated(there, 1.0, wanted, trained), rows)
    np.testing.assert_allclose(calibrated(rows, 1.0, trained, trained), rows)


def test_a_new_prior_is_bayes_rule():
    # Trained on equal shares, wanted 0.9 and 0.1: 0.6 x 0.9 against 0.4 x 0.1.
    corrected = calibrated(np.array([[0.6, 0.4]]), 1.0, np.array([0.5, 0.5]), np.array([0.9, 0.1]))
    np.testing.assert_allclose(corrected, [[0.54 / 0.58, 0.04 / 0.58]])


def test_the_correction_finds_the_posterior_of_a_gaussian_pair():
    x = np.linspace(-3, 3, 13)
    densities = np.stack([np.exp(-((x - mean) ** 2) / 2) for mean in (-1, 0, 1)], axis=-1)

    trained, wanted = np.array([0.2, 0.3, 0.5]), np.array([0.7, 0.2, 0.1])
    before, after = densities * trained, densities * wanted
    before, after = (joint / joint.sum(axis=-1, keepdims=True) for joint in (before, after))
    np.testing.assert_allclose(calibrated(before, 1.0, trained, wanted), after)


def test_the_scale_of_the_shares_does_not_matter():
    probabilities = np.array([[0.2, 0.3, 0.5]])
    one = calibrated(probabilities, 1.0, np.array([0.1, 0.3, 0.6]), np.array([0.5, 0.25, 0.25]))
    other = calibrated(probabilities, 1.0, np.array([10, 30, 60]), np.array([2, 1, 1]))
    np.testing.assert_allclose(one, other)


def test_probabilities_that_underflowed_stay_finite():
    rows = np.array([[1, 0, 0], [0, 0, 1]], np.float32)
    for temperature in (0.05, 1.0, 20.0):
        found = calibrated(rows, temperature, EVEN, np.array([0.98, 0.01, 0.01]))
        assert np.all(np.isfinite(found))
        np.testing.assert_allclose(found.sum(axis=-1), 1)
    assert np.isfinite(fit_temperature(rows, np.array([1, 2]), EVEN, EVEN).temperature)


def test_a_class_of_no_share_gets_nothing_and_with_no_class_left_the_prior_speaks():
    rows = np.array([[0.2, 0.3, 0.5]])
    for even in (EVEN, np.ones(3)):
        np.testing.assert_allclose(calibrated(rows, 1.0, even, np.array([1, 1, 0])), [[0.4, 0.6, 0]])
    np.testing.assert_allclose(calibrated(rows, 1.0, np.array([1, 1, 0]), EVEN), [[0.4, 0.6, 0]])
    never = calibrated(rows, 2.0, np.array([1, 0, 0]), np.array([0, 1, 3]))
    np.testing.assert_allclose(never, [[0, 0.25, 0.75]])


def test_calibration_is_a_softmax_of_logits_and_offsets():
    rows, trained, wanted = np.array([[0.2, 0.3, 0.5]]), np.array([5, 3, 2]), np.array([1, 2, 1])
    by_hand = softmax(np.log(rows) / 1.7 + prior_offsets(trained, wanted), axis=-1)
    np.testing.assert_allclose(calibrated(rows, 1.7, trained, wanted), by_hand)


# ---- what the correction is for


def on_a_line(count: int, prior, seed: int):
    """Levels one apart, (count, 1) x of unit noise: the middle ones are not like the outer ones."""
    rng = np.random.default_rng(seed)
    truth = rng.choice(len(prior), size=count, p=prior)
    return rng.normal(size=(count, 1)) + truth[:, None], truth


def trained_network(natural, oversample: bool):
    """Logistic regression on drawn records, those of rarer classes weighing more if oversampled."""
    x, truth = on_a_line(8000, natural, seed=5)
    counts = np.bincount(truth, minlength=len(natural))
    weights = counts.max() / counts if oversample else np.ones(len(natural))
    network = LogisticRegression(C=1e6).fit(x, truth, sample_weight=weights[truth])
    return network, trained_shares(counts, oversample, np.ones(len(natural))), counts


@pytest.mark.parametrize(
    ("natural", "label"), [((0.9, 0.1), 1), ((0.8, 0.15, 0.05), None), ((0.8, 0.15, 0.05), 2)]
)
def test_the_correction_halves_the_calibration_error_of_an_oversampled_network_at_least(natural, label):
    network, seen, counts = trained_network(natural, oversample=True)
    val_x, val = on_a_line(400, natural, seed=6)
    test_x, test = on_a_line(8000, natural, seed=7)
    found = fit_temperature(network.predict_proba(val_x), val, seen, counts)
    raw = network.predict_proba(test_x)
    corrected = calibrated(raw, found.temperature, seen, counts)
    before, after = (calibration_error(each, test, label) for each in (raw, corrected))
    assert before > 0.1
    assert after <= before / 2
    assert found.temperature == pytest.approx(1, rel=0.35)


def test_a_wrong_prior_between_two_alike_classes_shows_in_a_class_only():
    natural = (0.9, 0.1)
    x, truth = drawn(20_000, natural, seed=12, apart=1.0)
    balanced = posterior(x, [0.5, 0.5], apart=1.0)
    assert calibration_error(balanced, truth) < 0.02
    assert calibration_error(balanced, truth, label=1) > 0.15


@pytest.mark.parametrize("natural", [(0.9, 0.1), (0.8, 0.15, 0.05)])
def test_nothing_changes_where_nothing_was_resampled(natural):
    network, seen, counts = trained_network(natural, oversample=False)
    val_x, val = on_a_line(2000, natural, seed=8)
    test_x, _ = on_a_line(2000, natural, seed=9)
    found = fit_temperature(network.predict_proba(val_x), val, seen, counts)
    raw = network.predict_proba(test_x)
    np.testing.assert_allclose(calibrated(raw, found.temperature, seen, counts), raw, atol=0.05)


# ---- the calibration curve


@pytest.mark.parametrize("label", [None, 1])
def test_the_curve_of_two_classes_is_that_of_scikit_learn(label):
    x, truth = drawn(1000, [0.6, 0.4], seed=10)
    rows = posterior(x, [0.6, 0.4])
    said = rows.max(axis=-1) if label is None else rows[:, label]
    happened = rows.argmax(axis=-1) == truth if label is None else truth == label
    curve = reliability_curve(rows, truth, np.arange(len(truth)), label)
    observed, predicted = calibration_curve(happened, said, n_bins=15)
    filled = curve.counts > 0
    np.testing.assert_allclose(curve.observed[filled], observed)
    np.testing.assert_allclose(curve.predicted[filled], predicted)
    assert curve.counts.sum() == 1000
    assert np.array_equal(np.isnan(curve.observed), ~filled)


def test_the_intervals_of_the_curve_are_exact():
    x, truth = drawn(200, EVEN, seed=11)
    rows = posterior(x, EVEN)
    curve = reliability_curve(rows, truth, np.arange(len(truth)))
    for number, count in enumerate(curve.counts):
        if not count:
            assert np.isnan(curve.low[number]) and np.isnan(curve.high[number])
            continue
        hits = round(curve.observed[number] * count)
        interval = binomtest(hits, int(count)).proportion_ci(0.95, method="exact")
        assert (curve.low[number], curve.high[number]) == pytest.approx(tuple(interval))


def test_a_confidence_on_an_edge_is_in_the_bin_below_it():
    curve = reliability_curve(np.array([[0.5, 0.5], [1, 0]]), np.array([0, 0]), np.arange(2), bins=2)
    assert curve.counts.tolist() == [1, 1]
    assert curve.edges.tolist() == [0, 0.5, 1]
