"""Metrics of segmentations: Dice, Hausdorff distance, and the dictionaries of metrics.json.

Dice over the pixels of all images together (2D networks) is `counts.foreground_dice`. Of 3D networks it
is computed in each volume and then averaged, so that a small organ weighs as much as a large one.
"""

from collections.abc import Callable

import numpy as np

from mri_tf.metrics.counts import f1_per_class, foreground_dice, mean_over_classes, ratio
from mri_tf.metrics.hausdorff import MISSED, Distance
from mri_tf.metrics.intervals import (
    Interval,
    bounded_interval,
    f1_interval,
    positive_interval,
    share_interval,
)
from mri_tf.metrics.lesions import Lesions, lesion_numbers
from mri_tf.metrics.notes import note
from mri_tf.metrics.number import joined, number, number_over_patients
from mri_tf.metrics.too_few import of_one_patient

SAME_DISTANCE = "the mean is the same without any of the patients: nothing tells how much it varies"
MEAN_DICE = "the mean Dice"
ROUNDING = 1e-9  # of a mean, or of 1 where that is larger


def mean_hausdorff95(distances: list[Distance], patients: np.ndarray) -> dict:
    """Returns the mean distance of one label over the volumes whose truth holds it, with `measured_in`.

    Volumes without the label have no distance and are left out: their false alarms are counted
    elsewhere. The mean is undefined if some distances are in mm and others in voxels. `patients` are
    (volumes,) ids.
    """
    units = sorted({distance.unit for distance in distances})
    if len(units) > 1:
        return _without_common_unit(patients)
    values = np.array([distance.value for distance in distances])
    result = _mean_number(values, patients, "the label is in no volume", _distance_interval)
    missed = sum(MISSED in distance.reason for distance in distances)
    if missed:
        missed = f"{missed} missed masks count with the image's diagonal"
        result["reason"] = joined(result.get("reason", ""), missed)
    return result | {"measured_in": units[0] if units else None}


def hausdorff95_over_volumes(
    distances: list[list[Distance]], patients: np.ndarray, class_names: tuple[str, ...]
) -> dict:
    """Returns the mean over labels of their means over volumes, as a number with `measured_in`.

    A mask that is missed counts with the image's diagonal. The mean is undefined if some distances are
    in mm and others in voxels.

    Args:
        distances: of each volume, one for every label except background (`class_names[0]`).
        patients: (volumes,) ids.
    """
    units = sorted({distance.unit for volume in distances for distance in volume})
    if len(units) > 1:
        return _without_common_unit(patients)
    values = np.array([[distance.value for distance in volume] for volume in distances])
    anywhere = np.isfinite(values).any(axis=0)
    absent = [name for name, known in zip(class_names[1:], anywhere, strict=True) if not known]
    also = f"without {', '.join(absent)} (in no volume)" if absent else ""
    means = _means_without(values, patients)
    volumes_of = _volumes_of(patients)
    found = number_over_patients(
        means[0], len(volumes_of),
        lambda: _distance_interval(float(means[0]), means[1:], 0, volumes_of),
        "no label is in any volume", also,
    )  # fmt: skip
    return found | {"measured_in": units[0]}


def _without_common_unit(patients: np.ndarray) -> dict:
    reason = "some volumes have no spacing: distances in mm and voxels cannot be averaged"
    return number(np.nan, len(np.unique(patients)), reason=reason) | {"measured_in": None}


def dice_over_volumes(
    by_volume: np.ndarray, patients: np.ndarray, class_names: tuple[str, ...]
) -> dict:
    """Returns the mean Dice over volumes: `{"dice_mean", "per_class": {label: {"dice",
    "false_alarms"}}}`.

    The Dice of a label is the mean over the volumes whose truth holds it; a missed label is 0. In how
    many of the other volumes it is predicted all the same is a rate of its own. `dice_mean` is the
    mean over labels except background (label 0).

    Args:
        by_volume: (volumes, true label, predicted label) voxel counts.
        patients: (volumes,) ids.
    """
    there = by_volume.sum(axis=2) > 0  # (volumes, labels), in the truth
    predicted = by_volume.sum(axis=1) > 0
    dice = np.where(there, f1_per_class(by_volume), np.nan)
    anywhere = there.any(axis=0)
    absent = [name for name, known in zip(class_names[1:], anywhere[1:], strict=True) if not known]
    also = f"left out: {', '.join(absent)} (in no volume)" if absent else ""
    means = _means_without(dice[:, 1:], patients)
    wrong = _patients_below(dice[:, 1:], patients)
    return {
        "dice_mean": _bounded(
            means, _volumes_of(patients), wrong, "no label is in any volume",
            of_one_patient(_patients_of(there[:, 1:], patients), "labels"), also,
        ),
        "per_class": {
            name: {
                "dice": _mean_number(
                    dice[:, label], patients, f"no volume with {name}", bounded_interval
                ),
                "false_alarms": _false_alarms(predicted[:, label], there[:, label], patients, name),
            }
            for label, name in enumerate(class_names)
        },
    }  # fmt: skip


def _false_alarms(predicted: np.ndarray, there: np.ndarray, patients: np.ndarray, name: str) -> dict:
    """The share of the volumes without a label in which it is predicted."""
    owners, owner_of = np.unique(np.asarray(patients)[~there].astype(str), return_inverse=True)
    if not len(owners):
        return number(np.nan, 0, reason=f"every volume holds {name}")
    alarms = np.bincount(owner_of, weights=predicted[~there])
    counts = np.bincount(owner_of)
    share = alarms.sum() / counts.sum()
    return number_over_patients(share, len(owners), lambda: share_interval(alarms, counts), "")


def _mean_number(
    values: np.ndarray, patients: np.ndarray, undefined: str,
    interval_of: Callable[[float, np.ndarray, int, np.ndarray], Interval | str],
) -> dict:  # fmt: skip
    """The mean of (volumes,) values without NaN, with the interval that `interval_of` gives.

    It gets the mean, the (patients,) means without each, how many patients have values below 1, and the
    (patients,) numbers of volumes.
    """
    defined = np.isfinite(values)
    owners, owner_of = np.unique(np.asarray(patients)[defined].astype(str), return_inverse=True)
    left = int((~defined).sum())
    also = f"not in {left} of {len(values)} volumes: left out" if left else ""
    if not len(owners):
        return number(np.nan, 0, reason=undefined)
    sums, counts = np.bincount(owner_of, weights=values[defined]), np.bincount(owner_of)
    mean = sums.sum() / counts.sum()

    def interval() -> Interval | str:
        without = (sums.sum() - sums) / (counts.sum() - counts)
        return interval_of(mean, without, int((sums < counts).sum()), counts)

    return number_over_patients(mean, len(owners), interval, undefined, also)


def _distance_interval(
    mean: float, without: np.ndarray, _: int, counts: np.ndarray
) -> Interval | str:
    """As `_mean_number` asks for it; the reason where no patient changes the mean."""
    if np.ptp(without) <= ROUNDING * max(mean, 1):
        return SAME_DISTANCE
    return positive_interval(mean, without, counts)


def _means_without(values: np.ndarray, patients: np.ndarray) -> np.ndarray:
    """(1 + patients,) mean over labels of the means over volumes of (volumes, labels) values without
    NaN: of all patients, then without each. A label that only one patient has is kept at its value."""
    owners, owner_of = np.unique(np.asarray(patients).astype(str), return_inverse=True)
    defined = np.isfinite(values)
    sums = np.zeros((len(owners), values.shape[1]))
    volumes = np.zeros_like(sums)
    np.add.at(sums, owner_of, np.where(defined, values, 0))
    np.add.at(volumes, owner_of, defined)
    whole = ratio(sums.sum(axis=0), volumes.sum(axis=0))  # (labels,)
    without = ratio(sums.sum(axis=0) - sums, volumes.sum(axis=0) - volumes)
    without = np.where(np.isfinite(without), without, whole)
    return mean_over_classes(np.concatenate([whole[None], without]))


def _volumes_of(patients: np.ndarray) -> np.ndarray:
    """(patients,) volumes of each, from the (volumes,) ids."""
    return np.unique(np.asarray(patients).astype(str), return_counts=True)[1]


def _patients_of(there: np.ndarray, patients: np.ndarray) -> np.ndarray:
    """(labels,) patients with a volume that holds each, from (volumes, labels) bool."""
    owners, owner_of = np.unique(np.asarray(patients).astype(str), return_inverse=True)
    has = np.zeros((len(owners), there.shape[1]), bool)
    np.logical_or.at(has, owner_of, there)
    return has.sum(axis=0)


def _patients_below(dice: np.ndarray, patients: np.ndarray) -> int:
    """Patients with a Dice below 1."""
    return len(np.unique(np.asarray(patients).astype(str)[(dice < 1).any(axis=1)]))


def _bounded(
    means: np.ndarray, counts: np.ndarray, wrong: int, undefined: str, alone: str, also: str = ""
) -> dict:
    """A number from 0 to 1, from its values of all patients and without each.

    `counts` are (patients,) volumes, or whatever else a patient weighs by; `alone` says why there is no
    interval, and is empty where there is one.
    """
    return number_over_patients(
        means[0], len(counts),
        lambda: alone or bounded_interval(float(means[0]), means[1:], wrong, counts), undefined, also,
    )  # fmt: skip


def volume_metrics(
    by_volume: np.ndarray, distances: list[list[Distance]], patients: np.ndarray,
    class_names: tuple[str, ...], lesions: list[list[Lesions]] | None = None,
) -> dict:  # fmt: skip
    """Returns the content of metrics.json for a 3D segmentation: Dice, Hausdorff distance, lesions.

    All volumes weigh the same. Every volume whose truth holds a label counts in each of its numbers, so
    that two networks are always judged on the same volumes.

    Args:
        by_volume: (volumes, true label, predicted label) voxel counts.
        distances: of each volume, one for every label except background; or empty lists, where
            distances between labels have no meaning.
        patients: (volumes,) ids.
        class_names: of the labels, background first.
        lesions: of each volume, one for every label except background; None: not counted.
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
    for label, name in enumerate(class_names[1:] if lesions else ()):
        of_label = [volume[label] for volume in lesions]
        metrics["per_class"][name]["lesions"] = lesion_numbers(of_label, patients)
    names, patient_of = np.unique(np.asarray(patients).astype(str), return_inverse=True)
    by_patient = np.zeros((len(names), *by_volume.shape[1:]))
    np.add.at(by_patient, patient_of, by_volume)
    caution = note(by_patient, class_names, {"dice_mean": metrics["dice_mean"]}, MEAN_DICE)
    return metrics | {"volumes": len(by_volume), "note": caution}


def segmentation_metrics(by_patient: np.ndarray, class_names: tuple[str, ...]) -> dict:
    """Returns the content of metrics.json for a 2D segmentation: Dice over all images together.

    `by_patient` are (patients, true label, predicted label) pixel counts.
    """
    total = by_patient.sum(axis=0)
    hits = np.diagonal(by_patient, axis1=1, axis2=2)  # (patients, labels)
    either = by_patient.sum(axis=1) + by_patient.sum(axis=2) - hits
    undefined = "neither present nor predicted"
    means = foreground_dice(np.concatenate([total[None], total - by_patient]))
    means = np.where(np.isfinite(means), means, means[0])
    wrong = int((either[:, 1:] > hits[:, 1:]).any(axis=1).sum())
    pixels = either[:, 1:].sum(axis=1)  # (patients,) that are or are predicted as any label
    alone = of_one_patient((by_patient.sum(axis=2)[:, 1:] > 0).sum(axis=0), "labels")
    dice_mean = _bounded(
        means, pixels, wrong, f"every label but {class_names[0]} is {undefined}", alone
    )
    return {
        "dice_mean": dice_mean,
        "per_class": {
            name: {"dice": _pooled_dice(hits[:, label], either[:, label], undefined),
                   "pixels": int(total[label].sum())}
            for label, name in enumerate(class_names)
        },
        "note": note(by_patient, class_names, {"dice_mean": dice_mean}, f"{MEAN_DICE} unless predicted"),
    }  # fmt: skip


def _pooled_dice(hits: np.ndarray, either: np.ndarray, undefined: str) -> dict:
    """Dice of one label over all pixels, from (patients,) counts."""
    patients = len(hits)
    if not either.any():
        return number(np.nan, patients, reason=undefined)
    value = 2 * hits.sum() / (either.sum() + hits.sum())
    return number_over_patients(value, patients, lambda: f1_interval(hits, either), undefined)
