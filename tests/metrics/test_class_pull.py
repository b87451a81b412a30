"""The pull of a donor's part towards the donor's class: closed form, an oracle, and false alarms."""

import numpy as np
import pytest
from scipy.stats import permutation_test

from mri_tf.metrics.class_pull import class_pull


def difference_of_margins(labels, margins):
    return margins[labels == 1].mean() - margins[labels == 0].mean()


@pytest.fixture
def drawn():
    rng = np.random.default_rng(2)
    return rng.normal(size=(10, 2)), np.array([0, 1] * 5)


def one_block(labels):
    return np.zeros(len(labels), int)


def test_of_two_classes_the_pull_is_the_difference_of_their_margins(drawn):
    logits, labels = drawn
    expected = difference_of_margins(labels, logits[:, 1] - logits[:, 0])
    assert class_pull(logits, labels, one_block(labels)).pull == pytest.approx(expected)


def test_the_p_value_of_all_exchanges_is_that_of_scipy(drawn):
    logits, labels = drawn
    margins = logits[:, 1] - logits[:, 0]
    library = permutation_test(
        (margins[labels == 1], margins[labels == 0]), lambda one, other: one.mean() - other.mean(),
        permutation_type="independent", n_resamples=np.inf, alternative="greater",
    )  # fmt: skip
    found = class_pull(logits, labels, one_block(labels))
    assert found.exchanges == 252
    assert found.p == pytest.approx(library.pvalue)


def test_a_constant_of_a_donor_and_an_offset_of_a_network_change_nothing(drawn):
    logits, labels = drawn
    shifted = logits + np.arange(10)[:, None]
    one = class_pull(logits, labels, one_block(labels))
    assert class_pull(shifted, labels, one_block(labels)).pull == pytest.approx(one.pull)
    blocks = np.repeat([0, 1], [4, 6])
    apart = class_pull(logits, labels, blocks)
    moved = class_pull(logits + np.where(blocks[:, None], [0.0, 9.0], 0), labels, blocks)
    assert moved.pull == pytest.approx(apart.pull) and moved.p == pytest.approx(apart.p)


def test_three_classes_that_pull_alike_pull_as_far_as_two():
    labels = np.arange(30) % 3
    logits = 1.5 * np.eye(3)[labels]
    assert class_pull(logits, labels, one_block(labels)).pull == pytest.approx(3.0)
    assert class_pull(logits[:, :2], labels % 2, one_block(labels)) is not None


def test_one_class_or_equal_answers_tell_nothing():
    assert class_pull(np.ones((9, 2)), np.arange(9) % 2, np.zeros(9, int)) is None
    logits = np.random.default_rng(0).normal(size=(9, 2))
    assert class_pull(logits, np.zeros(9, int), np.zeros(9, int)) is None


def test_false_alarms_are_at_the_level_and_the_smallest_pull_is_found_in_most_draws():
    rng = np.random.default_rng(0)
    labels, alarms, caught = np.arange(24) % 2, 0, 0
    for number in range(200):
        logits = np.stack([np.zeros(24), rng.normal(size=24)], axis=1)
        found = class_pull(logits, labels, one_block(labels), seed=number)
        alarms += found.p <= 0.05
        planted = logits + np.outer(labels, [0, found.smallest_found(0.05)])
        caught += class_pull(planted, labels, one_block(labels), seed=number).p <= 0.05
    assert 3 <= alarms <= 20  # 95 % of binomial draws of 5 %
    assert 0.7 <= caught / 200 <= 0.9
