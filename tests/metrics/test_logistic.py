"""The logistic regression of frozen probes: scikit-learn's, its strength, and attention over slices."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.optimize import approx_fprime, minimize
from scipy.special import log_softmax
from sklearn.linear_model import LogisticRegression

from mri_tf.metrics import logistic
from mri_tf.metrics.logistic import Rows, choose_strength, fit_attention, fit_logistic

STRENGTHS = (0.01, 0.1, 1.0, 10.0)


def rows_of(features, labels, patients=None, weights=None, classes=2):
    count = len(labels)
    return Rows(
        np.asarray(features, float), np.asarray(labels),
        np.ones(count) if weights is None else weights,
        np.arange(count) if patients is None else patients, np.ones(count, bool), classes,
    )  # fmt: skip


def drawn(classes, count=120, seed=0):
    rng = np.random.default_rng(seed)
    labels = rng.integers(classes, size=count)
    features = rng.normal(size=(count, 5))
    features[:, 0] += labels
    return rows_of(features, labels, weights=rng.uniform(0.5, 2, count), classes=classes)


def test_of_three_classes_the_least_loss_is_found_that_any_minimiser_finds():
    rows = drawn(3)
    strength, truth = 0.1, np.eye(3)[rows.labels]

    def loss(values):
        kernel, bias = values[:15].reshape(5, 3), values[15:]
        logs = log_softmax(rows.features @ kernel + bias, axis=1)
        mean = -(rows.weights[:, None] * truth * logs).sum() / rows.weights.sum()
        return mean + strength * (kernel**2).sum() / 2

    wanted = minimize(loss, np.zeros(18), method="BFGS").x[:15].reshape(5, 3)
    np.testing.assert_allclose(fit_logistic(rows, strength).kernel, wanted, atol=2e-3)


def test_of_two_classes_the_odds_are_those_of_scikit_learn():
    rows = drawn(2)
    found = fit_logistic(rows, 0.3)
    model = LogisticRegression(C=1 / (0.3 * rows.weights.sum()), tol=1e-8, max_iter=5000)
    model.fit(rows.features, rows.labels, sample_weight=rows.weights)
    odds = rows.features @ found.kernel + found.bias
    np.testing.assert_allclose(
        odds[:, 1] - odds[:, 0], model.decision_function(rows.features), atol=1e-3
    )


def test_a_class_without_a_row_is_never_answered():
    rows = replace(drawn(2), classes=3)
    found = fit_logistic(rows, 0.1)
    logs = log_softmax(rows.features @ found.kernel + found.bias, axis=1)
    assert np.exp(logs[:, 2]).max() < 1e-6


def test_a_row_of_weight_two_counts_as_two_rows():
    rows = drawn(2)
    rows = replace(rows, weights=np.ones(len(rows.labels)))
    heavy = rows.weights.copy()
    heavy[:10] = 2.0
    twice = rows.of(np.r_[np.arange(len(heavy)), np.arange(10)])
    np.testing.assert_allclose(
        fit_logistic(replace(rows, weights=heavy), 0.1).kernel, fit_logistic(twice, 0.1).kernel,
        atol=1e-3,
    )  # fmt: skip


def test_noise_gets_a_strong_penalty_and_a_clear_signal_a_weak_one():
    rng = np.random.default_rng(0)
    labels = np.arange(80) % 2
    noise = rng.normal(size=(80, 40))
    signal = noise.copy()
    signal[:, 0] = 3 * (2 * labels - 1) + rng.normal(size=80)
    weak, losses = choose_strength(rows_of(signal, labels), STRENGTHS, 0)
    strong, _ = choose_strength(rows_of(noise, labels), STRENGTHS, 0)
    assert strong == 10.0 and weak <= 0.1
    assert losses[weak] == min(losses.values())


def test_rows_of_a_patient_are_never_on_both_sides_of_an_inner_fold(monkeypatch):
    patients = np.repeat(np.arange(20), 6)
    rng = np.random.default_rng(0)
    rows, sides = rows_of(rng.normal(size=(120, 3)), patients % 2, patients), []
    fit, loss = logistic.fit_logistic, logistic.Fit.loss

    def fitted(one, strength):
        sides.append((set(one.patients), set()))
        return fit(one, strength)

    def lost(found, other):
        sides[-1][1].update(other.patients)
        return loss(found, other)

    monkeypatch.setattr(logistic, "fit_logistic", fitted)
    monkeypatch.setattr(logistic.Fit, "loss", lost)
    choose_strength(rows, STRENGTHS, 0)
    assert len(sides) == 5 * len(STRENGTHS)
    assert all(held_out and not inside & held_out for inside, held_out in sides)
    assert set().union(*(held_out for _, held_out in sides)) == set(patients)


def test_augmented_copies_are_learned_from_but_not_counted_in_the_held_out_loss():
    rows = drawn(2)
    wrong = replace(rows, labels=1 - rows.labels, plain=np.zeros(len(rows.labels), bool),
                    weights=rows.weights * 1e-9)  # fmt: skip
    names = ("features", "labels", "weights", "patients", "plain")
    both = replace(
        rows, **{name: np.concatenate([getattr(rows, name), getattr(wrong, name)]) for name in names}
    )
    alone, with_copies = (choose_strength(one, STRENGTHS, 0)[1] for one in (rows, both))
    assert with_copies == pytest.approx(alone, abs=0.02)


def test_images_whose_copies_alone_are_learned_from_are_held_out_all_the_same():
    rows = drawn(2)
    parts = ("features", "labels", "patients", "plain")
    twice = replace(rows, **{name: np.concatenate([getattr(rows, name)] * 2) for name in parts})
    count = len(rows.labels)
    copies = replace(  # every image is augmented with certainty: only its copy has a weight in the loss
        twice, weights=np.append(np.zeros(count), rows.weights), plain=np.arange(2 * count) < count,
        held_out_weights=np.append(rows.weights, rows.weights),
    )  # fmt: skip
    assert choose_strength(copies, STRENGTHS, 0)[1] == pytest.approx(
        choose_strength(rows, STRENGTHS, 0)[1]
    )


def test_a_class_with_a_single_patient_leaves_the_middle_strength():
    rows = rows_of(np.random.default_rng(0).normal(size=(9, 2)), [0] * 8 + [1])
    assert choose_strength(rows, (0.1, 1.0, 10.0), 0) == (1.0, {})


def in_one_slice(count=160, slices=6, seed=0):
    """Volumes of which one slice, marked by feature 0, holds the sign of the class in feature 1."""
    rng = np.random.default_rng(seed)
    labels = np.arange(count) % 2
    features = rng.normal(size=(count, slices, 4))
    at = (np.arange(count), rng.integers(slices, size=count))
    features[..., 0] = rng.normal(size=(count, slices)) * 0.1
    features[(*at, 0)] = 4.0
    features[(*at, 1)] = 2.0 * (2 * labels - 1)
    return rows_of(features, labels)


def test_folds_that_leave_one_class_to_learn_leave_the_middle_strength(monkeypatch):
    class ByClass:
        def __init__(self, *_, **__):
            pass

        def split(self, features, labels, patients):
            return [(np.flatnonzero(labels == k), np.flatnonzero(labels != k)) for k in (0, 1)]

    monkeypatch.setattr(logistic, "StratifiedGroupKFold", ByClass)
    assert choose_strength(drawn(2), STRENGTHS, 0) == (0.1, {})


def test_attention_finds_the_slice_that_tells_the_classes_apart():
    rows, new = in_one_slice(), in_one_slice(seed=1)
    attentive, mean = fit_attention(rows, 0.003), fit_logistic(rows.averaged(), 0.003)
    assert attentive.loss(new) < 0.5 * mean.loss(new.averaged())
    assert attentive.direction.argmax() == 0


def test_the_gradient_of_attention_is_that_of_finite_differences(monkeypatch):
    rows, seen = in_one_slice(count=12, slices=3), {}

    def looking(loss, start, **_):
        rng = np.random.default_rng(0)
        at = start + rng.normal(size=len(start)) * 0.3
        seen["gradient"] = loss(at)[1]
        seen["wanted"] = approx_fprime(at, lambda values: loss(values)[0], 1e-6)
        return minimize(loss, start, jac=True, method="L-BFGS-B", options=dict(maxiter=1))

    monkeypatch.setattr(logistic, "minimize", looking)
    fit_attention(rows, 0.1)
    np.testing.assert_allclose(seen["gradient"], seen["wanted"], atol=1e-5)
