"""Training on mixed images: the loss and accuracy of their targets, and exact resume."""

import numpy as np
import pytest
import tensorflow as tf

from mri_tf.train.loss import right_answers, weighted_cross_entropy

WEIGHTS = np.array([0.5, 1.0, 3.0])
FIRST, SECOND = [0, 1, 2, 2], [2, 1, 0, 1]
SHARES = np.array([0.9, 0.4, 0.2, 1.0], np.float32)


def probabilities() -> tf.Tensor:
    return tf.constant(np.random.default_rng(0).dirichlet(np.ones(3), 4), tf.float32)


def targets() -> tf.Tensor:
    one_hot = np.eye(3, dtype=np.float32)
    return tf.constant(SHARES[:, None] * one_hot[FIRST] + (1 - SHARES[:, None]) * one_hot[SECOND])


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_the_loss_of_a_mixed_image_is_that_of_its_labels_by_their_shares(smoothing):
    loss = weighted_cross_entropy(WEIGHTS, smoothing)
    first, second = (loss(tf.constant(labels), probabilities()) for labels in (FIRST, SECOND))
    expected = SHARES * first + (1 - SHARES) * second
    np.testing.assert_allclose(loss(targets(), probabilities()), expected, rtol=1e-5)


def test_an_answer_is_right_for_the_label_with_the_largest_share():
    sure = tf.one_hot([0, 1, 0, 2], 3)
    np.testing.assert_array_equal(right_answers(targets(), sure), [1, 1, 1, 1])
    np.testing.assert_array_equal(right_answers(tf.constant(FIRST), sure), [1, 1, 0, 1])
