"""How far an image lies from the training side in what the network's last layer reads of it.

The Mahalanobis distance to the mean of the training side, whatever the classes, with a shrunken
covariance: with fewer patients than features the plain one has no inverse. Along the MAX_AXES widest
axes the covariance is that of Ledoit and Wolf; all further axes share one variance, so that a network
with thousands of features stays small on disk.

Source: Lee et al. 2018 (Mahalanobis distance of features); Ledoit and Wolf 2004 (the shrinkage).
"""

from dataclasses import dataclass, replace

import numpy as np
from scipy.stats import binom

from mri_tf.calibration.false_alarms import FEWEST, Limit, fit_limit

MAX_AXES = 128
UNLIKELY = 0.05  # chance of as many flagged validation patients, below which a limit is given up
MAX_FOLDS = 40  # in which patients are left out, so that hundreds of them take seconds


@dataclass(frozen=True)
class FeatureDistance:
    """Centre and covariance of the training side's features, and the limit of the distance.

    The squared distance of x is that of (x - centre) axes, each axis times its precision, plus what is
    left of x - centre beside these axes times `rest`.
    """

    centre: np.ndarray  # (features,) float32
    axes: np.ndarray  # (features, axes) float32, orthonormal
    precisions: np.ndarray  # (axes,) float32
    rest: float
    limit: Limit


def fit_feature_distance(
    features: np.ndarray, patients: np.ndarray, unseen: tuple[np.ndarray, np.ndarray] | None = None
) -> FeatureDistance:
    """Fits centre and covariance to the training side, and the limit to patients that it lacks.

    The limit is that of the validation patients where there are enough. Otherwise training patients are
    left out in turn; but the network has seen them, and one that has learned them by heart is closer to
    them than to new patients. So that limit is given up where it flags more validation patients than
    chance explains.

    Args:
        features: (records, features) what the last layer reads, of the training side.
        patients: (records,) ids; every patient counts alike.
        unseen: features and patients of the validation side.
    """
    _, patient_of, counts = np.unique(
        np.asarray(patients).astype(str), return_inverse=True, return_counts=True
    )
    features, weights = np.asarray(features, float), 1 / counts[patient_of]
    distances = np.zeros(len(features))
    if len(counts) > 1:
        fold_of = np.arange(len(counts)) % MAX_FOLDS
        for fold in range(min(MAX_FOLDS, len(counts))):
            own = fold_of[patient_of] == fold
            distances[own] = _distances(features[own], *_fitted(features[~own], weights[~own]))
    centre, axes, precisions, rest = _fitted(features, weights)
    single = (array.astype(np.float32) for array in (centre, axes, precisions))
    fitted = FeatureDistance(*single, rest, fit_limit(distances, patients))
    if unseen is None or not len(unseen[0]):
        return fitted
    limit = _checked(fitted.limit, feature_distances(unseen[0], fitted), unseen[1])
    return replace(fitted, limit=limit)


def _checked(limit: Limit, distances: np.ndarray, patients: np.ndarray) -> Limit:
    """The limit of unseen patients, or the given one where they are few and do not contradict it."""
    _, patient_of, counts = np.unique(
        np.asarray(patients).astype(str), return_inverse=True, return_counts=True
    )
    if len(counts) >= FEWEST:
        return fit_limit(distances, patients)
    if limit.value is None:
        return limit
    shares = np.bincount(patient_of, weights=distances > limit.value) / counts
    flagged = int(round(shares.sum()))
    if binom.sf(flagged - 1, len(counts), limit.rate) >= UNLIKELY:
        return limit
    return replace(
        limit, value=None, rate=None,
        reason=f"the network knows its training patients so well that {flagged} of "
        f"{len(counts)} validation patients look unlike them",
    )  # fmt: skip


def feature_distances(features: np.ndarray, fitted: FeatureDistance) -> np.ndarray:
    """(records,) Mahalanobis distances of features (records, features)."""
    parts = fitted.centre, fitted.axes, fitted.precisions, fitted.rest
    return _distances(np.asarray(features, float), *parts)


def _fitted(
    features: np.ndarray, weights: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray, float]:
    """Weighted mean, axes, and the inverse of the shrunken covariance along them and beside them."""
    shares = weights / weights.sum()
    centre = shares @ features
    count, width = features.shape
    scaled = (features - centre) * np.sqrt(shares * count)[:, None]  # (records, features)
    products = scaled @ scaled.T  # (records, records): never features x features
    values, vectors = np.linalg.eigh(products)
    widest = np.argsort(values)[::-1][: min(MAX_AXES, width, count)]
    widest = widest[values[widest] > 1e-10 * max(values[-1], 1e-12)]
    axes = scaled.T @ (vectors[:, widest] / np.sqrt(values[widest]))  # (features, axes)
    along, total = values[widest] / count, np.trace(products) / count
    beside = max(total - along.sum(), 0.0) / max(width - len(widest), 1)
    shrinkage, mean = _shrinkage(products, width), total / width
    floor = max(mean * 1e-6, 1e-12)  # a network whose features are all alike has no spread at all
    shrunken = (1 - shrinkage) * along + shrinkage * mean + floor
    return centre, axes, 1 / shrunken, float(1 / ((1 - shrinkage) * beside + shrinkage * mean + floor))


def _shrinkage(products: np.ndarray, width: int) -> float:
    """Ledoit and Wolf's share of the identity, from the products (records, records) of centred records.

    >>> from sklearn.covariance import ledoit_wolf_shrinkage
    >>> x = np.random.default_rng(0).normal(size=(9, 4)) * [1, 2, 3, 4]
    >>> x = x - x.mean(axis=0)
    >>> bool(np.isclose(_shrinkage(x @ x.T, 4), ledoit_wolf_shrinkage(x, assume_centered=True)))
    True
    """
    count, squares = len(products), np.diag(products)
    mean = squares.sum() / count / width
    scatter = (products**2).sum() / count**2  # squared norm of the covariance
    spread = (scatter - 2 * mean * squares.sum() / count + width * mean**2) / width
    error = ((squares**2).sum() / count - scatter) / (count * width)
    return float(min(error, spread) / spread) if spread > 0 else 1.0


def _distances(features: np.ndarray, centre, axes, precisions, rest: float) -> np.ndarray:
    moved = features - centre
    along = moved @ axes  # (records, axes)
    beside = np.maximum((moved**2).sum(axis=1) - (along**2).sum(axis=1), 0)
    return np.sqrt((along**2) @ precisions + rest * beside)
