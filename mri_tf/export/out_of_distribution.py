"""The graph's answer to whether an input is unlike the training side, with the same scores as a run's.

Of each score an export gives the score itself and a flag: 1 where it is above its limit, else 0, and -1
where too few patients were there to fit a limit.
"""

from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from mri_tf.calibration.false_alarms import Limit
from mri_tf.calibration.familiar_images import Familiar, as_array
from mri_tf.calibration.feature_distance import FeatureDistance
from mri_tf.calibration.mean_distance import MeanDistance
from mri_tf.pipeline.image_statistics import served_statistics

OUTSIDE = "out_of_distribution"  # the flag of intensities and sizes
OUTSIDE_SCORE = f"{OUTSIDE}_score"  # the largest deviation, in SD of the training side
FAR, DISTANCE = f"feature_{OUTSIDE}", "feature_distance"  # of what the last layer reads
SPACING = "spacing_mm"  # name of an input: between rows and between columns
CANNOT_TELL = -1


def score_in_graph(images: tf.Tensor, spacing_mm: tf.Tensor | None, familiar: Familiar) -> tf.Tensor:
    """Returns `familiar_scores` (batch,) float32 of images (batch, *grid, channels), of the statistics
    that a graph can compute."""
    count = familiar.in_graph
    values = served_statistics(images, spacing_mm)  # (batch, statistics)
    centre, spread = (
        as_array(values[:count]).astype(np.float32) for values in (familiar.centre, familiar.spread)
    )
    apart = tf.abs(values - centre) / spread
    apart = tf.where(tf.math.is_nan(apart), np.float32(np.inf), apart)
    lacking = np.array(familiar.lacking[:count])
    return tf.reduce_max(tf.where(tf.math.is_nan(values) & lacking, 0.0, apart), axis=1)


def distance_in_graph(features: Sequence[tf.Tensor], fitted: MeanDistance) -> tf.Tensor:
    """Returns `mean_distances` (batch,) float32 of the features (batch, features) of each member."""
    parts = zip(features, fitted.members, fitted.scales, strict=True)
    return tf.add_n([_of_member(one, member) / np.float32(scale) for one, member, scale in parts]) / len(
        fitted.members
    )


def _of_member(features: tf.Tensor, fitted: FeatureDistance) -> tf.Tensor:
    """Returns `feature_distances` (batch,) float32 of features (batch, features)."""
    moved = features - fitted.centre
    along = tf.matmul(moved, fitted.axes)  # (batch, axes)
    beside = tf.reduce_sum(moved**2, axis=1) - tf.reduce_sum(along**2, axis=1)
    squared = tf.linalg.matvec(along**2, fitted.precisions)
    return tf.sqrt(squared + np.float32(fitted.rest) * tf.maximum(beside, 0.0))


def flag_in_graph(scores: tf.Tensor, limit: Limit) -> tf.Tensor:
    """Returns (batch,) int32: 1 above the limit, else 0; CANNOT_TELL where there is none."""
    if limit.value is None:
        return tf.fill(tf.shape(scores), CANNOT_TELL)
    return tf.cast(scores > limit.value, tf.int32)
