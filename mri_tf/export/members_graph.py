"""`PooledAnswers` as TensorFlow ops: one answer from the outputs of several members."""

from collections.abc import Callable

import numpy as np
import tensorflow as tf

from mri_tf.calibration.class_factors import TIE_TOLERANCE
from mri_tf.calibration.cross_conformal import HeldOut, limit_of
from mri_tf.calibration.member_scale import MemberScale
from mri_tf.calibration.pooled import Curve, PooledAnswers
from mri_tf.calibration.temperature import SMALLEST

DISAGREEMENT = "disagreement"  # (batch, classes): SD of the members' calibrated probabilities
IN_SET = "prediction_set"  # (batch, classes) int32: 1 for a class that is not ruled out


def members_in_graph(answers: PooledAnswers) -> Callable[[tf.Tensor], dict[str, tf.Tensor]]:
    """Returns a function from softmax outputs (batch, members, classes) to the answers of one model.

    These are `probabilities` and `logits` (the logarithms of the members' outputs, mean of the members),
    (batch, classes) float32 each; `decision` (batch,); DISAGREEMENT (batch, classes) where there are two
    members or more; and IN_SET where there are prediction sets.
    """
    factors = np.array(answers.point.class_factors)

    def answer(outputs):
        # In float64, as in PooledAnswers: a steep slope magnifies what float32 rounds away.
        logits = tf.math.log(tf.maximum(tf.cast(outputs, tf.float64), SMALLEST))
        evidence = tf.stack(
            [_evidence(logits[:, n], scale) for n, scale in enumerate(answers.scales)], axis=1
        )  # (batch, members, classes)
        probabilities = _curve(tf.reduce_mean(evidence, axis=1), answers.mean, answers)
        of_members = _curve(evidence, answers.one, answers)
        found = {
            "probabilities": tf.cast(probabilities, tf.float32),
            "logits": tf.cast(tf.reduce_mean(logits, axis=1), tf.float32),
            "decision": decision_in_graph(probabilities, factors),
        }
        if len(answers.scales) > 1:
            apart = tf.math.reduce_std(of_members, axis=1)
            found[DISAGREEMENT] = tf.cast(apart, tf.float32)
        if answers.has_sets:
            found[IN_SET] = _in_sets(of_members, answers.held_out)
        return found

    return answer


def decision_in_graph(probabilities: tf.Tensor, factors: np.ndarray) -> tf.Tensor:
    """`operating_point.decide` (batch,) of probabilities (batch, classes) float64."""
    products = probabilities * factors
    largest = tf.reduce_max(products, axis=-1, keepdims=True)
    return tf.argmax(tf.cast(products >= largest * (1 - TIE_TOLERANCE), tf.int32), axis=-1)


def _evidence(logits: tf.Tensor, scale: MemberScale) -> tf.Tensor:
    """`evidence_of` (batch, classes) of one member's logits (batch, classes) float64."""
    possible = np.flatnonzero(scale.trained)
    logits = logits - tf.reduce_mean(tf.gather(logits, possible, axis=1), axis=1, keepdims=True)
    found = scale.factor * (logits - np.array(scale.centre))
    if len(possible) == len(scale.trained):
        return found
    lowest = tf.reduce_min(tf.gather(found, possible, axis=1), axis=1, keepdims=True)
    return tf.where(np.array(scale.trained), found, lowest)


def _curve(evidence: tf.Tensor, curve: Curve, answers: PooledAnswers) -> tf.Tensor:
    """`Curve.probabilities` (..., classes) for the natural class shares."""
    with np.errstate(divide="ignore"):
        constants = np.array(curve.intercepts) + np.log(np.array(answers.natural))
    return tf.nn.softmax(curve.slope * evidence + constants)


def _in_sets(probabilities: tf.Tensor, held_out: tuple[HeldOut, ...]) -> tf.Tensor:
    """`in_sets` (batch, classes) int32 of the members' probabilities (batch, members, classes)."""
    below = []
    for number, member in enumerate(held_out):
        scores, weights = np.array(member.scores), np.array(member.weights)
        lower = scores < (1 - probabilities[:, number])[..., None]  # (batch, classes, patients)
        below.append(tf.reduce_sum(tf.where(lower, weights, np.zeros_like(weights)), axis=-1))
    total = sum(sum(member.weights) for member in held_out)
    return tf.cast(tf.add_n(below) < limit_of(round(total)), tf.int32)
