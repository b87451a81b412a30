"""Dice and Hausdorff distance of a 3D segmentation on each volume, and their table."""

from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np
import pandas as pd

from mri_tf.core.files import write_table
from mri_tf.metrics import Distance, Lesions, count_lesions, f1_per_class, hausdorff95
from mri_tf.network.inference import label_pairs, predicted_masks
from mri_tf.pipeline.subset import Subset
from mri_tf.store.run import PREDICTIONS


@dataclass(frozen=True)
class VolumeScores:
    """Of each volume, in the order of the records that were asked for."""

    confusions: np.ndarray  # (volumes, true label, predicted label) voxels of the prepared grid
    distances: list[list[Distance]]  # a label but background; none for classes of intensity
    lesions: list[list[Lesions]]  # the same


def score_volumes(model: keras.Model, subset: Subset) -> VolumeScores:
    """Predicts and counts one volume after the other.

    Distances are in mm of the prepared grid, or in its voxels where a record has no spacing.
    Classes of intensity (`intensity_classes`) are scattered over the image: they have no distance.
    """
    labels = len(subset.task.output_names)
    confusions, distances, lesions = [], [], []
    masks = predicted_masks(model, subset)
    for position, (truth, predicted) in zip(subset.records, masks, strict=True):
        confusions.append(label_pairs(truth, predicted, labels))
        if subset.task.intensity_classes:
            distances.append([])
            lesions.append([])
            continue
        spacing_mm = subset.prepared.record(int(position)).spacing_mm
        distances.append(
            [hausdorff95(truth == label, predicted == label, spacing_mm) for label in range(1, labels)]
        )
        lesions.append(
            [count_lesions(truth == label, predicted == label) for label in range(1, labels)]
        )
    return VolumeScores(np.array(confusions), distances, lesions)


def write_volume_scores(scores: VolumeScores, subset: Subset, folder: Path) -> Path:
    """Writes predictions.parquet: one row a volume, Dice and Hausdorff 95 a label but background.

    An undefined number is missing, and `<column>_reason` says why.
    """
    prepared, records, class_names = subset.prepared, subset.records, subset.task.output_names
    table = pd.DataFrame(
        {
            "record_id": prepared.record_ids[records],
            "patient": prepared.patients[records],
            "site": prepared.sites[records],
        }
    )
    # Where the truth has not the label, a Dice would be 0 whatever was predicted: metrics.json leaves
    # such volumes out and counts them as false alarms.
    there = scores.confusions.sum(axis=2) > 0  # (volumes, labels)
    dice = np.where(there, f1_per_class(scores.confusions), np.nan)
    for label, name in enumerate(class_names[1:], 1):
        table[f"dice_{name}"] = dice[:, label]
        table[f"dice_{name}_reason"] = np.where(
            there[:, label], "", "the truth does not hold it"
        )
        of_label = [volume[label - 1] for volume in scores.distances if volume]
        if of_label:
            table[f"hausdorff95_{name}"] = [distance.value for distance in of_label]
            table[f"hausdorff95_{name}_reason"] = [distance.reason for distance in of_label]
    if any(scores.distances):
        table["measured_in"] = [volume[0].unit for volume in scores.distances]
    return write_table(folder / PREDICTIONS, table)
