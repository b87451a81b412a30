"""Confident learning by closed forms, and as cleanlab computes it."""

import numpy as np
import pytest

from mri_tf.metrics.label_quality import (
    class_thresholds,
    confident_classes,
    contradicted,
    expected_wrong,
    normalized_margin,
    order_of_doubt,
    self_confidence,
)

SHAPES = [(60, 2, 0), (200, 3, 1), (150, 5, 2), (40, 2, 3)]


def made_up(units, classes, seed):
    """Labels of which one in ten is wrong, and probabilities that know the right ones fairly well."""
    rng = np.random.default_rng(seed)
    right = rng.integers(classes, size=units)
    scores = rng.normal(size=(units, classes)) + 2 * np.eye(classes)[right]
    probabilities = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    wrong = rng.random(units) < 0.1
    return np.where(wrong, (right + 1) % classes, right), probabilities, wrong


def test_by_hand():
    labels = np.array([0, 0, 1, 1])
    probabilities = np.array([[0.9, 0.1], [0.2, 0.8], [0.3, 0.7], [0.4, 0.6]])
    assert class_thresholds(labels, probabilities).tolist() == pytest.approx([0.55, 0.65])
    assert confident_classes(labels, probabilities).tolist() == [0, 1, 1, -1]
    assert contradicted(labels, probabilities).tolist() == [False, True, False, False]
    assert order_of_doubt(labels, probabilities).tolist() == [1, 3, 2, 0]
    # Of label 0 one is confidently 0 and one 1: half of its two units are expected to be wrong.
    assert expected_wrong(labels, probabilities) == pytest.approx(1.0)


def test_a_class_that_no_unit_has_is_never_confident():
    labels = np.array([0, 1, 0, 1])
    probabilities = np.array([[0.2, 0.1, 0.7], [0.1, 0.8, 0.1], [0.6, 0.2, 0.2], [0.1, 0.7, 0.2]])
    assert 2 not in confident_classes(labels, probabilities)


def test_contradicted_labels_come_first_though_a_rare_class_is_never_sure_of_itself():
    labels = np.array([0] * 8 + [1, 1])
    of_one = np.array([0.05] * 7 + [0.6] + [0.3, 0.25])
    probabilities = np.stack([1 - of_one, of_one], axis=1)
    assert self_confidence(labels, probabilities).argmin() == 9
    assert order_of_doubt(labels, probabilities)[0] == 7


@pytest.mark.parametrize("shape", SHAPES)
def test_as_cleanlab_does(shape):
    cleanlab = pytest.importorskip("cleanlab", reason="cleanlab (extra test) is not installed")
    from cleanlab.filter import find_label_issues
    from cleanlab.rank import get_normalized_margin_for_each_label, get_self_confidence_for_each_label

    labels, probabilities, _ = made_up(*shape)
    np.testing.assert_allclose(
        self_confidence(labels, probabilities), get_self_confidence_for_each_label(labels, probabilities)
    )
    np.testing.assert_allclose(
        normalized_margin(labels, probabilities),
        get_normalized_margin_for_each_label(labels, probabilities),
    )
    np.testing.assert_allclose(
        class_thresholds(labels, probabilities),
        cleanlab.count.get_confident_thresholds(labels, probabilities),
    )
    mine = contradicted(labels, probabilities)
    assert mine.sum() == cleanlab.count.num_label_issues(labels, probabilities)
    issues = find_label_issues(
        labels, probabilities, filter_by="confident_learning",
        return_indices_ranked_by="self_confidence", n_jobs=1,
    )  # fmt: skip
    assert set(issues) == set(np.flatnonzero(mine))
    assert order_of_doubt(labels, probabilities)[: mine.sum()].tolist() == list(issues)
    calibrated = cleanlab.count.num_label_issues(
        labels, probabilities, estimation_method="off_diagonal_calibrated"
    )
    assert abs(expected_wrong(labels, probabilities) - calibrated) <= 1  # cleanlab rounds its rows


def test_wrong_labels_are_found_far_above_chance():
    labels, probabilities, wrong = made_up(400, 3, 7)
    first = order_of_doubt(labels, probabilities)[:40]
    assert wrong[first].mean() > 0.5
