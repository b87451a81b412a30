"""How well ordered classes are told apart at each cut: higher than a grade against up to it."""

import numpy as np

from mri_tf.metrics.classifier import Predictions
from mri_tf.metrics.number import joined, number
from mri_tf.metrics.ranking import placements
from mri_tf.metrics.ranking_intervals import auc_interval
from mri_tf.metrics.too_few import too_few_of_classes

TIED = 12  # decimals: sums of the same probabilities differ by rounding and would not be tied


def auc_per_cut(predictions: Predictions, class_names: tuple[str, ...]) -> dict[str, dict]:
    """Returns the AUC of each cut between neighbouring classes, by the name of the cut, "II or higher".

    Records of the class or a higher one are positive, and their score is the sum of the probabilities
    of these classes. Intervals are those of any AUC; none where the patients on both sides are too few.

    Args:
        predictions: from `checked`; class numbers are in the order of the grades.
        class_names: lowest first.
    """
    patient_of = np.unique(predictions.patients, return_inverse=True)[1]
    above = predictions.probabilities[:, ::-1].cumsum(axis=1)[:, ::-1]  # (records, classes) P(y >= k)
    above = above.round(TIED)
    return {
        f"{class_names[cut]} or higher": _area(above[:, cut], predictions.truth >= cut, patient_of)
        for cut in range(1, len(class_names))
    }


def _area(scores: np.ndarray, positive: np.ndarray, patient_of: np.ndarray) -> dict:
    """The AUC of (records,) scores as a number of metrics.json."""
    patients = int(patient_of.max()) + 1
    if not 0 < positive.sum() < len(positive):
        side = "up to" if not positive.any() else "above"
        return number(np.nan, patients, reason=f"every record is {side} the cut")
    placed = placements(scores, positive)
    has_side = np.zeros((patients, 2), bool)
    has_side[patient_of, positive.astype(int)] = True
    few = joined("one patient" if patients < 2 else "", too_few_of_classes(has_side))
    if few:
        return number(placed.area, patients, reason=few)
    low, high, method = auc_interval(placed, patient_of)
    return number(placed.area, patients, (min(low, placed.area), max(high, placed.area)), method)
