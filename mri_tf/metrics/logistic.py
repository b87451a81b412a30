"""Logistic regression on stored features: fitted at once, its strength chosen within the patients.

Minimised is the weighted mean cross entropy plus half the squared weights times a strength (of two
classes, the squared difference of their weights). Features have SD 1; biases are not penalised.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.optimize import minimize
from scipy.special import log_softmax, softmax
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedGroupKFold

INNER_FOLDS = 5
NEVER = -20.0  # added to the bias of a class that has no row


@dataclass(frozen=True)
class Rows:
    """Features of images and what is known of them.

    Attributes:
        features: (rows, n), or of the slices of volumes (rows, slices, n); standardised.
        labels: (rows,) class numbers below `classes`.
        weights: (rows,) in the loss.
        patients: (rows,) codes.
        plain: (rows,) whether a row is of an image as it is, and not of an augmented copy.
        classes: how many there are.
        held_out_weights: (rows,) when a row is held out: as in the loss, without what augmented copies
            take from their image; None where there are no copies.
    """

    features: np.ndarray
    labels: np.ndarray
    weights: np.ndarray
    patients: np.ndarray
    plain: np.ndarray
    classes: int
    held_out_weights: np.ndarray | None = None

    def of(self, chosen: np.ndarray) -> "Rows":
        """The rows where `chosen` (rows,) is true."""
        names = ("features", "labels", "weights", "patients", "plain", "held_out_weights")
        parts = {name: getattr(self, name) for name in names}
        return replace(self, **{name: one[chosen] for name, one in parts.items() if one is not None})

    def averaged(self) -> "Rows":
        """With the mean over the slices in the place of the slices."""
        return self if self.features.ndim == 2 else replace(self, features=self.features.mean(axis=1))


@dataclass(frozen=True)
class Fit:
    """What a probe's last layers are given."""

    kernel: np.ndarray  # (n, classes)
    bias: np.ndarray  # (classes,)
    direction: np.ndarray | None = None  # (n,) of the attention over slices

    def probabilities(self, features: np.ndarray) -> np.ndarray:
        """(rows, classes) of features as in `Rows`."""
        return softmax(self._pooled(features) @ self.kernel + self.bias, axis=1)

    def loss(self, rows: Rows) -> float:
        """Weighted mean cross entropy."""
        logs = log_softmax(self._pooled(rows.features) @ self.kernel + self.bias, axis=1)
        own = logs[np.arange(len(rows.labels)), rows.labels]
        return float(-(rows.weights * own).sum() / rows.weights.sum())

    def _pooled(self, features: np.ndarray) -> np.ndarray:
        if self.direction is None:
            return features
        return np.einsum("rs,rsn->rn", softmax(features @ self.direction, axis=1), features)


def fit_logistic(rows: Rows, strength: float) -> Fit:
    """The weights at which the loss is least, of rows (rows, n)."""
    total = rows.weights.sum()
    model = LogisticRegression(C=1 / (strength * total), max_iter=1000, tol=1e-5)
    model.fit(rows.features, rows.labels, sample_weight=rows.weights)
    coefficients, intercepts = model.coef_, model.intercept_
    if len(model.classes_) == 2:
        coefficients = np.concatenate([-coefficients, coefficients]) / 2
        intercepts = np.concatenate([-intercepts, intercepts]) / 2
    kernel = np.zeros((rows.features.shape[1], rows.classes))
    bias = np.full(rows.classes, intercepts.min() + NEVER)
    kernel[:, model.classes_], bias[model.classes_] = coefficients.T, intercepts
    return Fit(kernel, bias)


def fit_attention(rows: Rows, strength: float) -> Fit:
    """Weights and the direction of attention, of rows (rows, slices, n), from equal shares on.

    The direction is penalised like the weights. The loss has several minima; this finds the one next
    to the mean over the slices.
    """
    start = fit_logistic(rows.averaged(), strength)
    n, classes = start.kernel.shape
    features = rows.features.astype(np.float64)
    truth = np.eye(classes)[rows.labels]
    shares = rows.weights / rows.weights.sum()

    def loss(values: np.ndarray) -> tuple[float, np.ndarray]:
        kernel, bias = values[: n * classes].reshape(n, classes), values[n * classes : -n]
        direction = values[-n:]
        weighing = softmax(features @ direction, axis=1)  # (rows, slices)
        pooled = np.einsum("rs,rsn->rn", weighing, features)
        logits = pooled @ kernel + bias
        penalty = strength * ((kernel**2).sum() + (direction**2).sum()) / 2
        value = -(shares[:, None] * truth * log_softmax(logits, axis=1)).sum() + penalty
        of_logits = shares[:, None] * (softmax(logits, axis=1) - truth)  # (rows, classes)
        of_pooled = of_logits @ kernel.T  # (rows, n)
        of_shares = np.einsum("rn,rsn->rs", of_pooled, features)
        of_scores = weighing * (of_shares - (weighing * of_shares).sum(axis=1, keepdims=True))
        gradient = [
            pooled.T @ of_logits + strength * kernel, of_logits.sum(axis=0),
            np.einsum("rs,rsn->n", of_scores, features) + strength * direction,
        ]  # fmt: skip
        return value, np.concatenate([part.ravel() for part in gradient])

    begun = np.concatenate([start.kernel.ravel(), start.bias, np.zeros(n)])
    found = minimize(loss, begun, jac=True, method="L-BFGS-B", options=dict(maxiter=300)).x
    return Fit(found[: n * classes].reshape(n, classes), found[n * classes : -n], found[-n:])


def choose_strength(rows: Rows, strengths: Sequence[float], seed: int) -> tuple[float, dict]:
    """(the strength with the least loss on held-out patients, strength -> that loss).

    Patients are held out in folds with like shares of the classes; the held-out loss is of images as
    they are. Of volumes the mean over the slices is used. Where a class has a single patient, or
    no fold leaves two classes to learn, the middle strength is taken and there are no losses.
    """
    rows, tried = rows.averaged(), sorted(strengths, reverse=True)
    losses = dict.fromkeys(tried, 0.0)
    held_out = 0.0
    for inside, tested in inner_folds(rows, seed):
        one, other = rows.of(inside), rows.of(tested & rows.plain)
        if other.held_out_weights is not None:
            other = replace(other, weights=other.held_out_weights)
        weight = other.weights.sum()
        held_out += weight
        for strength in tried:
            losses[strength] += weight * fit_logistic(one, strength).loss(other)
    if not held_out:
        return tried[len(tried) // 2], {}
    losses = {strength: loss / held_out for strength, loss in losses.items()}
    return min(tried, key=losses.__getitem__), losses


def inner_folds(rows: Rows, seed: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """(rows to learn from, rows that are held out) of each fold of patients, (rows,) bool.

    The classes have like shares in the folds. Nothing where a class has a single patient; without the
    folds that leave one class to learn.
    """
    fewest = min(len(np.unique(rows.patients[rows.labels == label])) for label in np.unique(rows.labels))
    if fewest < 2:
        return
    folds = StratifiedGroupKFold(min(INNER_FOLDS, fewest), shuffle=True, random_state=seed)
    for kept, left in folds.split(rows.features, rows.labels, rows.patients):
        inside = np.zeros(len(rows.labels), bool)
        inside[kept] = True
        tested = np.zeros(len(rows.labels), bool)
        tested[left] = True
        if len(np.unique(rows.labels[inside])) > 1:
            yield inside, tested


def held_out_probabilities(rows: Rows, strength: float, seed: int) -> np.ndarray:
    """(rows, classes) by fits on the other inner folds; NaN where a row is in none."""
    rows = rows.averaged()
    found = np.full((len(rows.labels), rows.classes), np.nan)
    for inside, tested in inner_folds(rows, seed):
        found[tested] = fit_logistic(rows.of(inside), strength).probabilities(rows.features[tested])
    return found
