"""Lesions of a segmentation: connected parts of a mask that are detected, missed or false."""

from typing import NamedTuple

import numpy as np
from scipy.ndimage import generate_binary_structure, label

from mri_tf.metrics.intervals import share_interval
from mri_tf.metrics.number import number, number_over_patients


class Lesions(NamedTuple):
    """How many connected parts of a label are found in a volume.

    Parts that touch at a corner are one. A true part is detected if any of its voxels is predicted; a
    predicted part is false if none of its voxels is true.
    """

    detected: int
    missed: int
    false: int


def count_lesions(truth: np.ndarray, predicted: np.ndarray) -> Lesions:
    """The lesions of a true and a predicted mask of one shape.

    >>> count_lesions(np.array([1, 1, 0, 1, 0, 0]), np.array([0, 1, 0, 0, 0, 1]))
    Lesions(detected=1, missed=1, false=1)
    """
    corners = generate_binary_structure(truth.ndim, truth.ndim)
    true_parts, true_count = label(truth, corners)
    predicted_parts, predicted_count = label(predicted, corners)
    hit = len(np.unique(true_parts[(predicted_parts > 0) & (true_parts > 0)]))
    right = len(np.unique(predicted_parts[(predicted_parts > 0) & (true_parts > 0)]))
    return Lesions(hit, true_count - hit, predicted_count - right)


def lesion_numbers(lesions: list[Lesions], patients: np.ndarray) -> dict:
    """The lesions of all volumes: counts, the share that is detected, and false ones per volume.

    `patients` are (volumes,) ids.
    """
    owners, owner_of = np.unique(np.asarray(patients).astype(str), return_inverse=True)
    counts = np.array(lesions, float).reshape(-1, 3)  # (volumes, 3)
    of_patient = np.stack([np.bincount(owner_of, weights=column) for column in counts.T], axis=1)
    detected, all_true = of_patient[:, 0], of_patient[:, :2].sum(axis=1)
    having = all_true > 0
    found = number(np.nan, len(owners), reason="no volume holds a lesion")
    if having.any():
        found = number_over_patients(
            detected.sum() / all_true.sum(), int(having.sum()),
            lambda: share_interval(detected[having], all_true[having]), "",
        )  # fmt: skip
    total = counts.sum(axis=0).astype(int)
    return {
        "detected": int(total[0]), "missed": int(total[1]), "false": int(total[2]),
        "share_detected": found, "false_per_volume": float(total[2] / len(counts)),
    }  # fmt: skip
