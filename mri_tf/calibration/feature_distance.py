"""How far an image lies from the training side in what the network's last layer reads of it.

The Mahalanobis distance to the mean of the training side, whatever the classes, with a shrunken
covariance: with fewer patients than features the plain one has no inverse. Along the MAX_AXES widest
axes the covariance is that of Ledoit and Wolf; all further axes share one variance, so that a network
with thousands of features stays small on disk.

Source: Lee et al. 2018 (Mahalanobis distance of features); Ledoit and Wolf 2004 (the shrinkage).
"""

from dataclasses import dataclass

import numpy as np

from mri_tf.calibration.false_alarms import Limit, fit_limit

MAX_AXES = 128
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


def fit_feature_distance(features: np.ndarray, patients: np.ndarray) -> FeatureDistance:
    """Fits centre and covariance to the training side, and the limit by leaving patients out in turn.

    The network has seen the patients that are left out here, so its features of them may be closer to
    the others than those of a new patient. The share of the held-out patients that is flagged stands
    beside the rate in metrics.json, and shows whether that is so.

    Args:
        features: (records, features) what the last layer reads.
        patients: (records,) ids; every patient counts alike.
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
    limit = fit_limit(distances, patients)
    single = (array.astype(np.float32) for array in (centre, axes, precisions))
    return FeatureDistance(*single, rest, limit)


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
