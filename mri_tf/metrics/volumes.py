"""metrics.json of a 3D segmentation: Dice and Hausdorff 95 a volume, then averaged (recipe A in 3D)."""

import numpy as np

from mri_tf.metrics.notes import note
from mri_tf.metrics.overlap import (
    Distance,
    dice_over_volumes,
    hausdorff95_over_volumes,
    mean_hausdorff95,
)


def volume_metrics(
    by_volume: np.ndarray,
    distances: list[list[Distance]],
    patients: np.ndarray,
    class_names: tuple[str, ...],
) -> dict:
    """`dice_mean`, `hausdorff95_mean`, and both a label; volumes weigh alike, patients are resampled.

    by_volume: (volumes, true label, predicted label) voxel counts; distances: of each volume one a
    label but background, or none at all where a distance between its labels means nothing;
    patients: (volumes,). What is undefined in a volume is left out of a mean, counted and named.
    """
    found = dice_over_volumes(by_volume, patients, class_names)
    total = by_volume.sum(axis=0)
    for label, name in enumerate(class_names):
        found["per_class"][name]["voxels"] = int(total[label].sum())
    if any(distances):
        found["hausdorff95_mean"] = hausdorff95_over_volumes(distances, patients, class_names)
        for label, name in enumerate(class_names[1:]):
            of_label = [volume[label] for volume in distances]
            found["per_class"][name]["hausdorff95"] = mean_hausdorff95(of_label, patients)
    headline = {"dice_mean": found["dice_mean"]}
    return found | {
        "volumes": len(by_volume),
        "note": note(_by_patient(by_volume, patients), class_names, headline),
    }


def _by_patient(by_volume: np.ndarray, patients: np.ndarray) -> np.ndarray:
    """(patients, labels, labels): a patient's volumes together."""
    names, patient_of = np.unique(np.asarray(patients).astype(str), return_inverse=True)
    counts = np.zeros((len(names), *by_volume.shape[1:]))
    np.add.at(counts, patient_of, by_volume)
    return counts
