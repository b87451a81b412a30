"""Metrics of segmentations: Dice, Hausdorff distance, and the dictionaries of metrics.json.

Dice over the pixels of all images together (2D networks) is `counts.foreground_dice`. Of 3D networks it
is computed in each volume and then averaged, so that a small organ weighs as much as a large one.
"""

from typing import NamedTuple

import numpy as np
from scipy.ndimage import binary_erosion, distance_transform_edt

from mri_tf.metrics.counts import f1_per_class, foreground_dice, mean_over_classes, ratio
from mri_tf.metrics.intervals import (
    interval_number,
    mean_with_interval,
    multiplicities,
    resampled_confusions,
)
from mri_tf.metrics.notes import note
from mri_tf.metrics.number import joined, number


class Distance(NamedTuple):
    """A distance between two masks; NaN with a reason where it is undefined."""

    value: float
    unit: str  # "mm" or "voxels"
    reason: str = ""


def hausdorff95(
    truth: np.ndarray, predicted: np.ndarray, spacing_mm: tuple[float, ...] | None = None
) -> Distance:
    """Returns the 95 % Hausdorff distance of two masks; NaN with a reason if a mask is empty.

    The surface of a mask is its voxels with a face outside of it, also at the border of the array. The
    distances go from each surface voxel to the nearest one of the other mask; the result is the larger
    of the two directions' 95th percentiles, linearly interpolated.

    Args:
        truth: mask of any rank.
        predicted: mask of the same shape.
        spacing_mm: one value above 0 per axis; None: the distance is in voxels.

    Raises:
        ValueError: the shapes differ, or the spacing does not fit them.

    Source: Maier-Hein et al. 2024 (Metrics Reloaded).
    """
    truth, predicted = np.asarray(truth, bool), np.asarray(predicted, bool)
    unit = "voxels" if spacing_mm is None else "mm"
    spacing = np.ones(truth.ndim) if spacing_mm is None else np.asarray(spacing_mm, float)
    if truth.shape != predicted.shape:
        raise ValueError(f"The masks differ in shape. Received: {truth.shape} and {predicted.shape}.")
    if spacing.shape != (truth.ndim,) or not (np.isfinite(spacing) & (spacing > 0)).all():
        raise ValueError(
            f"The spacing needs {truth.ndim} values above 0, in mm. Received: {spacing_mm}."
        )
    empty = [name for name, mask in (("true", truth), ("predicted", predicted)) if not mask.any()]
    if empty:
        text = "the true and the predicted mask are" if len(empty) == 2 else f"the {empty[0]} mask is"
        return Distance(np.nan, unit, f"{text} empty")
    box = _box_of(truth | predicted)
    surfaces = [mask & ~binary_erosion(mask) for mask in (truth[box], predicted[box])]
    directed = [
        np.percentile(distance_transform_edt(~target, sampling=spacing)[source], 95)
        for source, target in (surfaces, surfaces[::-1])
    ]
    return Distance(float(max(directed)), unit)


def mean_hausdorff95(distances: list[Distance], patients: np.ndarray, seed: int = 0) -> dict:
    """Returns the mean distance of one label over volumes, as a number with `measured_in`.

    Undefined distances are left out and counted, with their reasons. The mean is undefined if some
    distances are in mm and others in voxels. `patients` are (volumes,) ids.
    """
    units = sorted({distance.unit for distance in distances})
    if len(units) > 1:
        return _without_common_unit(patients)
    result = mean_with_interval([distance.value for distance in distances], patients, seed)
    reasons = sorted({distance.reason for distance in distances if distance.reason})
    if reasons:
        result["reason"] = f"{result['reason']} ({', '.join(reasons)})"
    return result | {"measured_in": units[0] if units else None}


def hausdorff95_over_volumes(
    distances: list[list[Distance]], patients: np.ndarray, class_names: tuple[str, ...], seed: int = 0
) -> dict:
    """Returns the mean over labels of their means over volumes, as a number with `measured_in`.

    Undefined distances are left out and counted. The mean is undefined if some distances are in mm and
    others in voxels.

    Args:
        distances: of each volume, one for every label except background (`class_names[0]`).
        patients: (volumes,) ids.
    """
    units = sorted({distance.unit for volume in distances for distance in volume})
    if len(units) > 1:
        return _without_common_unit(patients)
    values = np.array([[distance.value for distance in volume] for volume in distances])
    defined = np.isfinite(values)  # (volumes, labels)
    anywhere = defined.any(axis=0)
    means, count = _label_means(values, patients, seed)
    labels = [name for name, known in zip(class_names[1:], anywhere, strict=True) if not known]
    single = int((~defined)[:, anywhere].sum())
    also = joined(
        f"without {', '.join(labels)} (undefined in every volume)" if labels else "",
        f"undefined for {single} masks in single volumes: left out" if single else "",
    )
    undefined = "no label is both present and predicted in a volume"
    result = interval_number(mean_over_classes(means), count, undefined, also)
    return result | {"measured_in": units[0]}


def _without_common_unit(patients: np.ndarray) -> dict:
    reason = "some volumes have no spacing: distances in mm and voxels cannot be averaged"
    return number(np.nan, len(np.unique(patients)), reason=reason) | {"measured_in": None}


def dice_over_volumes(
    by_volume: np.ndarray, patients: np.ndarray, class_names: tuple[str, ...], seed: int = 0
) -> dict:
    """Returns the mean Dice over volumes: `{"dice_mean", "per_class": {label: {"dice"}}}`.

    The Dice of a label is the mean over the volumes where it is present or predicted; `dice_mean` is
    the mean over labels except background (label 0). Patients are resampled with all their volumes.

    Args:
        by_volume: (volumes, true label, predicted label) voxel counts.
        patients: (volumes,) ids.
    """
    dice = f1_per_class(by_volume)  # (volumes, labels)
    defined = np.isfinite(dice)
    means, count = _label_means(dice, patients, seed)
    absent = [name for name, known in zip(class_names, defined.any(axis=0), strict=True) if not known]
    also = f"left out: {', '.join(absent)} (in no volume)" if absent else ""
    foreground = mean_over_classes(means[:, 1:])
    return {
        "dice_mean": interval_number(foreground, count, "no label is in any volume", also),
        "per_class": {
            name: {"dice": interval_number(means[:, label], count, f"no volume with {name}",
                                           _volumes_left_out(defined[:, label]))}
            for label, name in enumerate(class_names)
        },
    }  # fmt: skip


def _label_means(values: np.ndarray, patients: np.ndarray, seed: int) -> tuple[np.ndarray, int]:
    """Means over volumes of (volumes, labels) values, without NaN: (1 + resamples, labels), and the
    number of patients that were resampled."""
    _, patient_of = np.unique(np.asarray(patients).astype(str), return_inverse=True)
    count = patient_of.max() + 1
    times, defined = multiplicities(count, seed), np.isfinite(values)
    sums, volumes = np.zeros((count, values.shape[1])), np.zeros((count, values.shape[1]))
    np.add.at(sums, patient_of, np.where(defined, values, 0))
    np.add.at(volumes, patient_of, defined)
    return ratio(times @ sums, times @ volumes), count


def _volumes_left_out(defined: np.ndarray) -> str:
    count = int((~defined).sum())
    if count in (0, len(defined)):
        return ""
    return f"in {count} of {len(defined)} volumes neither present nor predicted: left out"


def _box_of(mask: np.ndarray) -> tuple[slice, ...]:
    """Slices around the mask: they contain both surfaces, so the distances do not change."""
    spans = []
    for axis in range(mask.ndim):
        others = tuple(other for other in range(mask.ndim) if other != axis)
        occupied = np.flatnonzero(mask.any(axis=others))
        spans.append(slice(int(occupied[0]), int(occupied[-1]) + 1))
    return tuple(spans)


def volume_metrics(
    by_volume: np.ndarray, distances: list[list[Distance]], patients: np.ndarray,
    class_names: tuple[str, ...],
) -> dict:  # fmt: skip
    """Returns the content of metrics.json for a 3D segmentation: mean Dice and Hausdorff distance.

    All volumes weigh the same and patients are resampled. What is undefined in a volume is left out of
    the mean and counted.

    Args:
        by_volume: (volumes, true label, predicted label) voxel counts.
        distances: of each volume, one for every label except background; or empty lists, where
            distances between labels have no meaning.
        patients: (volumes,) ids.
    """
    metrics = dice_over_volumes(by_volume, patients, class_names)
    total = by_volume.sum(axis=0)
    for label, name in enumerate(class_names):
        metrics["per_class"][name]["voxels"] = int(total[label].sum())
    if any(distances):
        metrics["hausdorff95_mean"] = hausdorff95_over_volumes(distances, patients, class_names)
        for label, name in enumerate(class_names[1:]):
            of_label = [volume[label] for volume in distances]
            metrics["per_class"][name]["hausdorff95"] = mean_hausdorff95(of_label, patients)
    names, patient_of = np.unique(np.asarray(patients).astype(str), return_inverse=True)
    by_patient = np.zeros((len(names), *by_volume.shape[1:]))
    np.add.at(by_patient, patient_of, by_volume)
    caution = note(by_patient, class_names, {"dice_mean": metrics["dice_mean"]})
    return metrics | {"volumes": len(by_volume), "note": caution}


def segmentation_metrics(by_patient: np.ndarray, class_names: tuple[str, ...]) -> dict:
    """Returns the content of metrics.json for a 2D segmentation: Dice over all images together.

    `by_patient` are (patients, true label, predicted label) pixel counts.
    """
    total, patients = by_patient.sum(axis=0), len(by_patient)
    confusions = resampled_confusions(by_patient, multiplicities(patients, seed=0))
    dice = f1_per_class(confusions)  # (1 + resamples, labels)
    undefined = "neither present nor predicted"
    dice_mean = interval_number(
        foreground_dice(confusions), patients, f"every label but {class_names[0]} is {undefined}"
    )
    return {
        "dice_mean": dice_mean,
        "per_class": {
            name: {"dice": interval_number(dice[:, label], patients, undefined),
                   "pixels": int(total[label].sum())}
            for label, name in enumerate(class_names)
        },
        "note": note(by_patient, class_names, {"dice_mean": dice_mean}),
    }  # fmt: skip
