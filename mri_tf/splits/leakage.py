"""Leakage between the sides: which patients a network saw, and refusing to test it on them.

Patients are compared by id, their images by a hash of the pixels.
"""

import re
from collections import Counter

import numpy as np

from mri_tf.core.errors import InputError, first_few
from mri_tf.core.words import plural
from mri_tf.store.prepared import Prepared
from mri_tf.store.run import Run

# Not to hold "; ", which separates notes.
PATIENTS_UNKNOWN = (
    "the patients are not known: copies of an image are on one side, but other slices of a patient may "
    "be on both"
)
IMAGES = "groups of images"  # what is counted where the patients are not known


def seen_in_training(prepared: Prepared, sides: list[np.ndarray], features: Run | None) -> dict:
    """Patients and contents that decided a run's weights: those of its training and validation sides
    and those of its feature network."""
    records = np.concatenate(sides[:2])
    patients, contents = set(prepared.patients[records]), set(prepared.contents[records])
    if features is not None:
        patients |= set(features.values["seen"]["patients"])
        contents |= set(features.values["seen"]["contents"])
    return {"patients": sorted(patients), "contents": sorted(contents)}


def check_features_unseen(features: Run, prepared: Prepared, sides: list[np.ndarray]) -> None:
    """Raises InputError for a feature network that saw patients of the validation or test side."""
    _check_unseen(
        "feature", features.values["seen"], prepared, sides,
        "Leave out --features to pre-train on the training side, or use another run.",
    )  # fmt: skip


def check_derived_unseen(prepared: Prepared, sides: list[np.ndarray]) -> None:
    """Raises InputError for a derived set whose segmentation network saw such patients."""
    if derived := prepared.manifest.get("derived"):
        _check_unseen(
            "segmentation", derived["seen"], prepared, sides,
            "Leave out these patients, or derive the set with a run that did not see them.",
        )  # fmt: skip


def _check_unseen(
    network: str, seen: dict, prepared: Prepared, sides: list[np.ndarray], hint: str
) -> None:
    held_out = np.concatenate(sides[1:])
    known = np.isin(prepared.patients[held_out], seen["patients"])
    known |= np.isin(prepared.contents[held_out], seen["contents"])
    if known.any():
        patients = sorted(set(prepared.patients[held_out[known]]))
        raise InputError(
            f"The {network} network was trained on patients of the validation or test side.",
            first_few(patients, 20), hint,
        )  # fmt: skip


def known_records(run: Run, prepared: Prepared) -> np.ndarray:
    """(records,) bool: of a patient of whom an image decided the run's weights, by its pixels.

    Raises InputError where that is so of all records.
    """
    known = prepared.showing(run.values["seen"]["contents"])
    known = np.isin(prepared.patients, sorted(set(prepared.patients[known])))
    if known.all():
        raise InputError(
            "The run was trained on the images of every patient of the data to evaluate on.",
            f"{len(prepared)} records in {prepared.folder}",
            "Leave out --data to evaluate on the run's held-out patients.",
        )
    return known


def shared_ids(run: Run, prepared: Prepared, known: np.ndarray) -> list[str]:
    """Patient ids that the run was trained on and whose images are others (not `known`): they may be
    different people of two hospitals, so they are allowed."""
    return sorted(set(prepared.patients[~known]) & set(run.values["seen"]["patients"]))


def shared_by_random_split(prepared: Prepared) -> str:
    """What a random split of the set's records puts on both sides, in words."""
    return "slices of one patient" if prepared.patients_known else "copies of one image"


def leak(prepared: Prepared, decided: np.ndarray, held_out: np.ndarray) -> str:
    """A note on how many held-out records share their patient or group with those that decided the
    weights; `decided` and `held_out` are positions in the set."""
    of_patient = np.isin(prepared.patients[held_out], prepared.patients[decided])
    groups = prepared.groups[held_out]
    of_group = (groups != "") & np.isin(groups, prepared.groups[decided])
    what = "their patient or group" if of_group.any() else "their patient"
    return (
        f"LEAKY: {(of_patient | of_group).sum()} of {len(held_out)} held-out records share "
        f"{what if prepared.patients_known else 'an image'} with records that the network was trained on"
    )


def counted_by_id(values: dict, patients: np.ndarray, groups: np.ndarray) -> dict:
    """metrics.json with a note where groups tie several ids of the tested patients: the numbers count
    ids, and a group may be one person. Then no p-value is called exact.

    Args:
        values: of metrics.json, with `note`.
        patients: (records,) ids of the tested records.
        groups: (records,) what the column `group` says of them; empty where it says nothing.
    """
    known = groups.astype(str) != ""
    pairs = {*zip(groups[known].tolist(), patients[known].tolist(), strict=True)}
    ids_of = Counter(group for group, _ in pairs)
    tied = [count for count in ids_of.values() if count > 1]
    if not tied:
        return values
    tells = (
        f"{sum(tied)} of the tested ids are tied by {plural(len(tied), 'group')}: intervals and "
        "p-values count ids, and are too short and too small if a group is one person"
    )
    values = values | {"note": "; ".join(filter(None, [values["note"], tells]))}
    if chance := values.get("better_than_chance"):
        values["better_than_chance"] = chance | {"exact": False}
    return values


def counted_as_images(values: dict) -> dict:
    """metrics.json with "groups of images" for "patients", where groups of copies stand for them."""
    return {key: _as_images(key, value) for key, value in values.items()}


def _as_images(key: str, value):
    if isinstance(value, dict):
        return counted_as_images(value)
    if isinstance(value, list):
        return [_as_images(key, one) for one in value]
    if key in ("unit", "note", "reason", "method", "guarantee") and value:
        return re.sub(r"\bpatient\b", "group of images", re.sub(r"\bpatients\b", IMAGES, value))
    return value
