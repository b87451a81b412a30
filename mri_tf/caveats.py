"""What stands against a run's numbers because of how its records were split, in plain words."""

import re

import numpy as np

from mri_tf.prepared import Prepared

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
