"""A baseline on one split: scikit-learn's regression, the largest class, principal components."""

import numpy as np
from sklearn.linear_model import LogisticRegression

from mri_tf.audit.baseline_fit import (
    MOST_FEATURES,
    STRENGTHS,
    Learned,
    fitted_answers,
    majority,
    scaled_alike,
)
from mri_tf.metrics.logistic import Rows, choose_strength


def known(labels, classes=2):
    return Learned(labels, np.arange(len(labels)).astype(str), classes, "balanced_accuracy")


def drawn(count, features, seed=0):
    rng = np.random.default_rng(seed)
    labels = rng.permutation(np.arange(count) % 2)
    values = rng.normal(size=(count, features)) * rng.uniform(0.1, 5, features)
    values[:, 0] += 2 * labels
    return labels, values


def test_the_largest_class_is_answered_with_the_shares_of_the_learned_side():
    answers = majority(known(np.array([2, 2, 2, 0]), classes=3), 2)
    np.testing.assert_array_equal(answers.probabilities, [[0.25, 0, 0.75]] * 2)
    assert answers.decisions.tolist() == [2, 2]


def test_its_probabilities_are_those_of_scikit_learn_at_the_strength_of_the_inner_folds():
    labels, values = drawn(80, 5)
    learned, tested = np.arange(50), np.arange(50, 80)
    answers = fitted_answers(known(labels[learned]), values[learned], values[tested])
    mean, sd = values[learned].mean(axis=0), values[learned].std(axis=0)
    scaled = (values - mean) / sd
    rows = Rows(
        scaled[learned], labels[learned], np.ones(50), np.arange(50), np.ones(50, bool), 2
    )
    strength, _ = choose_strength(rows, STRENGTHS, 0)
    model = LogisticRegression(C=1 / (strength * 50), tol=1e-8, max_iter=5000)
    model.fit(scaled[learned], labels[learned])
    np.testing.assert_allclose(
        answers.probabilities, model.predict_proba(scaled[tested]), atol=1e-3
    )


def test_principal_components_of_few_patients_lose_nothing():
    """A regression with an L2 penalty depends on the products of the rows alone."""
    _, values = drawn(40, 3 * MOST_FEATURES)
    one, other = scaled_alike(values[:30], values[30:])
    mean, sd = values[:30].mean(axis=0), values[:30].std(axis=0)
    first, second = (values[:30] - mean) / sd, (values[30:] - mean) / sd
    assert one.shape == (30, 29)
    np.testing.assert_allclose(one @ one.T, first @ first.T, atol=1e-6)
    np.testing.assert_allclose(other @ one.T, second @ first.T, atol=1e-6)


def test_of_many_patients_the_components_of_most_variance_are_kept():
    _, values = drawn(400, 100)
    one, _ = scaled_alike(values, values[:5])
    scaled = (values - values.mean(axis=0)) / values.std(axis=0)
    wanted = np.linalg.svd(scaled, compute_uv=False)[:MOST_FEATURES]
    np.testing.assert_allclose(np.linalg.norm(one, axis=0), wanted, rtol=1e-6)


def test_what_is_constant_on_the_learned_side_says_nothing():
    labels, _ = drawn(30, 1)
    held_out = np.array([[5.0], [-5.0]])
    answers = fitted_answers(known(labels), np.ones((30, 1)), held_out)
    np.testing.assert_allclose(answers.probabilities[0], answers.probabilities[1])
    np.testing.assert_allclose(answers.probabilities.sum(axis=1), 1)


def test_one_class_to_learn_from_is_answered_for_all():
    answers = fitted_answers(known(np.zeros(9, int)), np.ones((9, 2)), np.ones((3, 2)))
    assert answers.decisions.tolist() == [0, 0, 0]


def test_a_feature_that_tells_the_classes_is_decided_at_the_point_of_the_inner_folds():
    labels = np.repeat([0, 1], [60, 12])
    values = labels[:, None] + np.random.default_rng(0).normal(scale=0.1, size=(72, 1))
    answers = fitted_answers(known(labels), values, np.array([[0.1], [0.9]]))
    assert answers.decisions.tolist() == [0, 1]
