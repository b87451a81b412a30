"""One baseline on one split: a regularised logistic regression that learns from the side that a network
learned from, and answers for those that the network is judged on."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from mri_tf.calibration.operating_point import choose_operating_point, decide
from mri_tf.metrics.logistic import (
    Rows,
    choose_strength,
    fit_logistic,
    held_out_probabilities,
)

STRENGTHS = (0.01, 0.1, 1.0, 10.0, 100.0)  # of the penalty, for features of SD 1
MOST_FEATURES = 64  # more are replaced by as many principal components of the learned side


class Answers(NamedTuple):
    """What a baseline says of units: (units, classes) probabilities, and (units,) decisions."""

    probabilities: np.ndarray
    decisions: np.ndarray


@dataclass(frozen=True)
class Learned:
    """The units that baselines learn from.

    Attributes:
        labels: (units,) class numbers.
        patients: (units,) ids, which stay whole in inner folds.
        classes: how many there are.
        criterion: of the operating point, as the task names it.
        seed: of the inner folds.
    """

    labels: np.ndarray
    patients: np.ndarray
    classes: int
    criterion: str | dict
    seed: int = 0

    @property
    def shares(self) -> np.ndarray:
        """(classes,) of the units."""
        return np.bincount(self.labels, minlength=self.classes) / len(self.labels)


def majority(learned: Learned, count: int) -> Answers:
    """The class shares and the largest class, for `count` units."""
    shares = np.tile(learned.shares, (count, 1))
    return Answers(shares, np.full(count, int(learned.shares.argmax())))


def fitted_answers(learned: Learned, features: np.ndarray, held_out: np.ndarray) -> Answers:
    """What a logistic regression on features answers.

    Features are standardised on the learned side. The strength of the penalty has the least loss on
    inner folds of patients; the operating point is chosen on what these folds said, by the criterion
    that the network's was chosen by.

    Args:
        learned: what is known of the units to learn from.
        features: (units to learn from, n) of them.
        held_out: (units, n) of those to answer for.
    """
    if len(np.unique(learned.labels)) < 2:
        return majority(learned, len(held_out))
    features, held_out = scaled_alike(features, held_out)
    count = len(learned.labels)
    rows = Rows(
        features, learned.labels, np.ones(count), np.unique(learned.patients, return_inverse=True)[1],
        np.ones(count, bool), learned.classes,
    )  # fmt: skip
    strength, _ = choose_strength(rows, STRENGTHS, learned.seed)
    probabilities = fit_logistic(rows, strength).probabilities(held_out)
    inner = held_out_probabilities(rows, strength, learned.seed)
    known = np.isfinite(inner).all(axis=1)
    if not known.any():
        return Answers(probabilities, probabilities.argmax(axis=1))
    point = choose_operating_point(
        inner[known], rows.labels[known], learned.criterion, learned.shares,
        patients=rows.patients[known],
    )  # fmt: skip
    return Answers(probabilities, decide(probabilities, point))


def scaled_alike(features: np.ndarray, others: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Both with the mean and SD of the first brought to 0 and 1, without what is constant in it, and
    turned to at most MOST_FEATURES principal components of the first, which keep their size."""
    features, others = np.asarray(features, float), np.asarray(others, float)
    mean, sd = features.mean(axis=0), features.std(axis=0)
    varying = sd > 1e-9 * np.maximum(1, np.abs(mean))
    if not varying.any():
        return np.zeros((len(features), 1)), np.zeros((len(others), 1))
    features, others = ((one[:, varying] - mean[varying]) / sd[varying] for one in (features, others))
    if features.shape[1] <= MOST_FEATURES:
        return features, others
    axes = _principal_axes(features)
    return features @ axes, others @ axes


def _principal_axes(features: np.ndarray) -> np.ndarray:
    """(n, at most MOST_FEATURES) of rows of mean 0, by the smaller of the two matrices of products."""
    rows, columns = features.shape
    kept = min(MOST_FEATURES, rows - 1, columns)
    if columns <= rows:
        return np.linalg.eigh(features.T @ features)[1][:, ::-1][:, :kept]
    values, vectors = np.linalg.eigh(features @ features.T)
    values, vectors = values[::-1][:kept], vectors[:, ::-1][:, :kept]
    kept = values > 1e-10 * values[0]
    return features.T @ vectors[:, kept] / np.sqrt(values[kept])
