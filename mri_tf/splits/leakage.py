"""Who has been seen by which network, and the refusals that follow: patients by id, images by pixels."""

import re

import numpy as np

from mri_tf.core.errors import InputError, first_few
from mri_tf.store.prepared import Prepared
from mri_tf.store.run import Run

WAY_OUT = {
    "feature": "Leave --features away to pre-train on the training side, or use another run.",
    "segmentation": "Leave these patients away, or derive the set with a run that never saw them.",
}


def seen_by(prepared: Prepared, sides: list[np.ndarray], features: Run | None) -> dict:
    """Patients and contents that decided a run's weights: its training and validation sides', and
    those of its feature network."""
    records = np.concatenate(sides[:2])
    patients, contents = set(prepared.patients[records]), set(prepared.contents[records])
    if features is not None:
        patients |= set(features.values["seen"]["patients"])
        contents |= set(features.values["seen"]["contents"])
    return {"patients": sorted(patients), "contents": sorted(contents)}


def check_features_unseen(features: Run, prepared: Prepared, sides: list[np.ndarray]) -> None:
    """Refuses a network before the classifier that saw patients of validation or test, by id or by
    pixels."""
    _check_unseen(features.values["seen"], prepared, sides, "feature")


def check_derived_unseen(prepared: Prepared, sides: list[np.ndarray]) -> None:
    """Refuses a derived set whose segmentation network saw patients of validation or test."""
    derived = prepared.manifest.get("derived")
    if derived:
        _check_unseen(derived["seen"], prepared, sides, "segmentation")


def _check_unseen(seen: dict, prepared: Prepared, sides: list[np.ndarray], kind: str) -> None:
    held_out = np.concatenate(sides[1:])
    known = np.isin(prepared.patients[held_out], seen["patients"]) | np.isin(
        prepared.contents[held_out], seen["contents"]
    )
    if known.any():
        raise InputError(
            f"The {kind} network saw no patient of the classifier's validation or test side.",
            first_few(sorted(set(prepared.patients[held_out[known]])), 20),
            WAY_OUT[kind],
        )


def check_data_unseen(run: Run, prepared: Prepared) -> list[str]:
    """Refuses other data with images that the run was trained on; returns patient ids in common.

    Equal ids may be different people of two hospitals, so they are named and not refused.
    """
    seen = run.values["seen"]
    known = np.flatnonzero(np.isin(prepared.contents, seen["contents"]))
    if len(known):
        raise InputError(
            "Data to evaluate on holds no image that the run was trained on.",
            f"{len(known)} of {len(prepared)} records: {first_few(prepared.record_ids[known])}",
            "Leave --data away for the run's own held-out patients.",
        )
    return sorted(set(prepared.patients) & set(seen["patients"]))


NOBODY = (
    "nobody knows the patients: copies of an image are on one side, other slices of a patient may not be"
)
IMAGES = "groups of images"  # what is counted where nobody knows the patients


def split_apart(prepared: Prepared) -> str:
    """What a random split of the set's records puts on both sides."""
    return "slices of one patient" if prepared.patients_known else "copies of one image"


def leak(prepared: Prepared, decided: np.ndarray, held_out: np.ndarray) -> str:
    """How many of the held-out records have another of their patient (or group) among those that
    decided the weights; both are positions in the set."""
    seen = set(prepared.patients[decided]) | (set(prepared.groups[decided]) - {""})
    met = sum(
        patient in seen or group in seen
        for patient, group in zip(prepared.patients[held_out], prepared.groups[held_out], strict=True)
    )
    return f"LEAKY: {split_apart(prepared)} on both sides, of {met} of {len(held_out)} held-out records"


def counted_as_images(values: dict) -> dict:
    """metrics.json with the unit that is true where groups of copies stand for the patients."""
    return {key: _as_images(key, value) for key, value in values.items()}


def _as_images(key: str, value):
    if isinstance(value, dict):
        return counted_as_images(value)
    if key in ("unit", "note", "reason") and value:
        return re.sub(r"\bpatient\b", "group of images", re.sub(r"\bpatients\b", IMAGES, value))
    return value
