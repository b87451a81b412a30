"""How well a mask lies on another: Dice a volume, Hausdorff distance.

Dice over the pixels of all images together (a 2D network) is `counts.foreground_dice`; here it is
taken of each volume and then averaged (a 3D network), where a small organ weighs as much as a
large one.
"""

from typing import NamedTuple

import numpy as np
from scipy.ndimage import binary_erosion, distance_transform_edt

from mri_tf.metrics.counts import (
    f1_per_class,
    foreground_dice,
    mean_over_classes,
    ratio,
)
from mri_tf.metrics.intervals import (
    interval_number,
    mean_with_interval,
    multiplicities,
    resampled_confusions,
)
from mri_tf.metrics.notes import note
from mri_tf.metrics.number import joined, number


class Distance(NamedTuple):
    """A distance between masks; NaN with a reason where there is none."""

    value: float
    unit: str  # "mm" or "voxels"
    reason: str = ""


def hausdorff95(
    truth: np.ndarray, predicted: np.ndarray, spacing_mm: tuple[float, ...] | None = None
) -> Distance:
    """95 % Hausdorff distance of two masks of any rank, in mm if the spacing is given.

    The surface is the voxels of a mask with a face outside of it (the array's border counts as
    outside). From each surface voxel to the nearest one of the other mask; the 95th percentile
    (linear interpolation) in each direction, and the larger of the two (Maier-Hein 2024, Metrics
    Reloaded). NaN with a reason if a mask is empty. Raises ValueError for unlike shapes or a
    spacing that does not fit.
    """
    truth, predicted = np.asarray(truth, bool), np.asarray(predicted, bool)
    unit = "voxels" if spacing_mm is None else "mm"
    spacing = np.ones(truth.ndim) if spacing_mm is None else np.asarray(spacing_mm, float)
    if truth.shape != predicted.shape:
        raise ValueError(f"masks have one shape. Received: {truth.shape} and {predicted.shape}.")
    if spacing.shape != (truth.ndim,) or not (np.isfinite(spacing) & (spacing > 0)).all():
        raise ValueError(f"one spacing above 0 an axis of {truth.shape}. Received: {spacing_mm}.")
    empty = [name for name, mask in (("true", truth), ("predicted", predicted)) if not mask.any()]
    if empty:
        return Distance(np.nan, unit, f"the {' and the '.join(empty)} mask is empty")
    box = _box_of(truth | predicted)
    surfaces = [_surface(mask[box]) for mask in (truth, predicted)]
    directed = [
        np.percentile(distance_transform_edt(~there, sampling=spacing)[here], 95)
        for here, there in (surfaces, surfaces[::-1])
    ]
    return Distance(float(max(directed)), unit)


def mean_hausdorff95(distances: list[Distance], patients: np.ndarray, seed: int = 0) -> dict:
    """Mean over volumes as a number of metrics.json with `measured_in`; patients (volumes,).

    Undefined distances are left out and counted, the reasons named. There is no mean of mm and
    voxels.
    """
    units = sorted({distance.unit for distance in distances})
    if len(units) > 1:
        several = "some volumes have no spacing: mm and voxels have no mean"
        return number(np.nan, len(np.unique(patients)), reason=several) | {"measured_in": None}
    result = mean_with_interval([distance.value for distance in distances], patients, seed)
    whys = sorted({distance.reason for distance in distances if distance.reason})
    if whys:
        result["reason"] = f"{result['reason']} ({', '.join(whys)})"
    return result | {"measured_in": units[0] if units else None}


def hausdorff95_over_volumes(
    distances: list[list[Distance]], patients: np.ndarray, class_names: tuple[str, ...], seed: int = 0
) -> dict:
    """Mean of the labels' means over volumes, with `measured_in`; of each volume one distance a label
    but background (`class_names[0]`).

    A label without a distance in any volume is left out and named, as are distances undefined in
    single volumes. There is no mean of mm and voxels.
    """
    units = sorted({distance.unit for volume in distances for distance in volume})
    if len(units) > 1:
        several = "some volumes have no spacing: mm and voxels have no mean"
        return number(np.nan, len(np.unique(patients)), reason=several) | {"measured_in": None}
    values = np.array([[distance.value for distance in volume] for volume in distances])
    defined = np.isfinite(values)
    means, count = _label_means(values, patients, seed)
    lost = [name for name, seen in zip(class_names[1:], defined.any(axis=0), strict=True) if not seen]
    reasons = [f"without {', '.join(lost)} (undefined in every volume)"] if lost else []
    single = int((~defined)[:, defined.any(axis=0)].sum())
    if single:
        reasons.append(f"undefined for {single} masks of single volumes: left out")
    result = interval_number(
        mean_over_classes(means), count, "no volume holds and predicts a label", joined(*reasons)
    )
    return result | {"measured_in": units[0]}


def dice_over_volumes(
    by_volume: np.ndarray, patients: np.ndarray, class_names: tuple[str, ...], seed: int = 0
) -> dict:
    """Dice a volume, then averaged: `{"dice_mean", "per_class": {label: {"dice"}}}`.

    by_volume: (volumes, labels, labels) voxel counts; patients: (volumes,). A label's Dice is the
    mean over the volumes that hold or predict it; `dice_mean` is the mean of the labels but
    background (label 0). Patients are resampled with all their volumes.
    """
    dice = f1_per_class(by_volume)  # (volumes, labels)
    defined = np.isfinite(dice)
    means, count = _label_means(dice, patients, seed)
    missing = [name for name, seen in zip(class_names, defined.any(axis=0), strict=True) if not seen]
    left_out = f"left out: {', '.join(missing)} (in no volume)" if missing else ""
    return {
        "dice_mean": interval_number(
            mean_over_classes(means[:, 1:]), count, "no label is in any volume", left_out
        ),
        "per_class": {
            name: {"dice": interval_number(means[:, label], count, f"no volume with {name}",
                                           _volumes_left_out(defined[:, label]))}
            for label, name in enumerate(class_names)
        },
    }  # fmt: skip


def _label_means(values: np.ndarray, patients: np.ndarray, seed: int) -> tuple[np.ndarray, int]:
    """(1 + resamples, labels) means over volumes of (volumes, labels) values, NaN left out; how many
    patients were resampled."""
    _, patient_of = np.unique(np.asarray(patients).astype(str), return_inverse=True)
    count = patient_of.max() + 1
    times, defined = multiplicities(count, seed), np.isfinite(values)
    sums, volumes = np.zeros((count, values.shape[1])), np.zeros((count, values.shape[1]))
    np.add.at(sums, patient_of, np.where(defined, values, 0))
    np.add.at(volumes, patient_of, defined)
    return ratio(times @ sums, times @ volumes), count


def _volumes_left_out(defined: np.ndarray) -> str:
    lost = int((~defined).sum())
    if lost in (0, len(defined)):
        return ""
    return f"in {lost} of {len(defined)} volumes neither present nor predicted: left out"


def _surface(mask: np.ndarray) -> np.ndarray:
    return mask & ~binary_erosion(mask)


def _box_of(mask: np.ndarray) -> tuple[slice, ...]:
    """Slices around the mask: both surfaces lie inside, so distances between them do too."""
    spans = []
    for axis in range(mask.ndim):
        others = tuple(other for other in range(mask.ndim) if other != axis)
        places = np.flatnonzero(mask.any(axis=others))
        spans.append(slice(int(places[0]), int(places[-1]) + 1))
    return tuple(spans)


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


def segmentation_metrics(by_patient: np.ndarray, class_names: tuple[str, ...]) -> dict:
    """metrics.json of a segmentation task: Dice a label over the pixels of all images together.

    by_patient: (patients, true label, predicted label) pixel counts.
    """
    total, patients = by_patient.sum(axis=0), len(by_patient)
    confusions = resampled_confusions(by_patient, multiplicities(patients, seed=0))
    dice = f1_per_class(confusions)  # (rows, labels)
    nowhere = "neither occurs nor is predicted"
    dice_mean = interval_number(
        foreground_dice(confusions), patients, f"every label but {class_names[0]} {nowhere}"
    )
    return {
        "dice_mean": dice_mean,
        "per_class": {
            name: {"dice": interval_number(dice[:, label], patients, nowhere),
                   "pixels": int(total[label].sum())}
            for label, name in enumerate(class_names)
        },
        "note": note(by_patient, class_names, {"dice_mean": dice_mean}),
    }  # fmt: skip
