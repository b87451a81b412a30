"""How far an image lies from the training data in what the last layers of all members read of it.

Each member has its own features and centre (`feature_distance`). Its distances are divided by the usual
one of patients that it left out, and the mean over the members is compared with one limit.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mri_tf.calibration.false_alarms import Limit, fit_limit
from mri_tf.calibration.feature_distance import FeatureDistance, feature_distances

SMALLEST_SCALE = 1e-6  # of a member whose features are all alike


@dataclass(frozen=True)
class MeanDistance:
    """The distances of all members; of an ordinary run one member, whose distance is left as it is."""

    members: tuple[FeatureDistance, ...]
    scales: tuple[float, ...]  # (members,) what their distances are divided by
    limit: Limit  # of the mean of the divided distances


def distance_of_one(fitted: FeatureDistance) -> MeanDistance:
    """The distance of an ordinary run."""
    return MeanDistance((fitted,), (1.0,), fitted.limit)


def mean_distances(features: Sequence[np.ndarray], fitted: MeanDistance) -> np.ndarray:
    """(records,) mean over the members; `features` are (records, features) of each."""
    parts = zip(features, fitted.members, fitted.scales, strict=True)
    return np.mean([feature_distances(one, member) / scale for one, member, scale in parts], axis=0)


def fit_mean_limit(
    distances: np.ndarray, patients: np.ndarray, members: np.ndarray, count: int
) -> tuple[tuple[float, ...], Limit]:
    """Scales of the members, and the limit of their mean distance.

    The limit is that of single members' divided distances. A mean over members varies less than they
    do, so that fewer new patients than the stated rate are flagged.

    Args:
        distances: (rows,) of single members, for patients that they were not trained on.
        patients: (rows,) ids.
        members: (rows,) number of the member.
        count: of members.
    """
    scales = np.ones(count)
    for member in range(count):
        if (members == member).any():
            scales[member] = max(float(np.median(distances[members == member])), SMALLEST_SCALE)
    return tuple(scales.tolist()), fit_limit(distances / scales[members], patients)
