"""How far an image lies from the training side in what the network's last layer reads of it.

The Mahalanobis distance to the mean of the training side, whatever the classes, with a shrunken
covariance: with fewer patients than features the plain one has no inverse.

Source: Lee et al. 2018 (Mahalanobis distance of features); Ledoit and Wolf 2004 (the shrinkage).
"""

from dataclasses import dataclass

import numpy as np
from sklearn.covariance import ledoit_wolf

from mri_tf.calibration.false_alarms import Limit, fit_limit

MAX_FOLDS = 40  # in which patients are left out, so that hundreds of them take seconds


@dataclass(frozen=True)
class FeatureDistance:
    """Centre and whitening of the training side's features, and the limit of the distance."""

    centre: np.ndarray  # (features,)
    whitening: np.ndarray  # (features, features): the distance is the length of (x - centre) whitening
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
    centre, whitening = _fitted(features, weights)
    distances = np.zeros(len(features))
    if len(counts) > 1:
        fold_of = np.arange(len(counts)) % MAX_FOLDS
        for fold in range(min(MAX_FOLDS, len(counts))):
            own = fold_of[patient_of] == fold
            distances[own] = _distances(features[own], *_fitted(features[~own], weights[~own]))
    limit = fit_limit(distances, patients)
    return FeatureDistance(centre.astype(np.float32), whitening.astype(np.float32), limit)


def feature_distances(features: np.ndarray, fitted: FeatureDistance) -> np.ndarray:
    """(records,) Mahalanobis distances of features (records, features)."""
    return _distances(np.asarray(features, float), fitted.centre, fitted.whitening)


def _fitted(features: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The weighted mean, and the matrix that makes the shrunken covariance the identity."""
    shares = weights / weights.sum()
    centre = shares @ features
    scaled = (features - centre) * np.sqrt(shares * len(shares))[:, None]
    covariance, _ = ledoit_wolf(scaled, assume_centered=True)
    values, vectors = np.linalg.eigh(covariance)
    # A network whose features are all alike has no spread at all.
    floor = max(values[-1] * 1e-7, 1e-12)
    return centre, vectors / np.sqrt(np.maximum(values, floor))


def _distances(features: np.ndarray, centre: np.ndarray, whitening: np.ndarray) -> np.ndarray:
    return np.linalg.norm((features - centre) @ whitening, axis=1)
