"""Whether a network that was trained before saw held-out patients: by ids, by pixels, by near copies."""

from collections.abc import Sequence

import numpy as np

from mri_tf.audit.finding import CANNOT_TELL, FOUND, NOT_APPLICABLE, NOT_FOUND, Finding
from mri_tf.audit.sides import plain_id

NAME = "pre-training overlap"


def pretraining_overlap(
    patients: np.ndarray, contents: np.ndarray, held_out: np.ndarray, seen: dict, near: np.ndarray
) -> Finding:
    """Whether images or patients that decided another network's weights are held out.

    Args:
        patients: (records,) ids of a prepared set.
        contents: (records,) hash of the pixels of each.
        held_out: positions of the records on which the network is judged.
        seen: `patients` and `contents` that decided the weights of the networks before.
        near: positions of held-out records with a near copy on those networks' training side.
    """
    known = {plain_id(str(patient)) for patient in seen["patients"]}
    by_id = np.array([plain_id(str(patient)) in known for patient in patients[held_out]], bool)
    by_pixels = np.isin(contents[held_out], sorted(seen["contents"]))
    by_copy = np.isin(held_out, near)
    found = held_out[by_id | by_pixels | by_copy]
    count = len(set(patients[held_out]))
    if not len(found):
        return Finding(
            NAME, NOT_FOUND,
            f"none of {count} held-out patients was seen by a network that was trained before", n=count,
        )  # fmt: skip
    counts = ((by_id, "by patient id"), (by_pixels, "by their pixels"), (by_copy, "as near copies"))
    ways = ", ".join(f"{int(how.sum())} {word}" for how, word in counts if how.any())
    return Finding(
        NAME, FOUND,
        f"{len(found)} held-out records of {len(set(patients[found]))} patients were seen ({ways})",
        n=count, records=tuple(found.tolist()), certain=True,
        meaning="The features know these patients, so the numbers on them are too good.",
        what_to_do="Train the other network without these patients, or leave them out of the test side.",
    )  # fmt: skip


def no_pretraining(weights: str, caution: str = "") -> Finding:
    """What is said where no network of ours was trained before.

    Args:
        weights: of the task's `model_args`: what the network starts from; "none" or "" for nothing.
        caution: a sentence about these weights, if any.
    """
    if weights in ("", "none"):
        return Finding(NAME, NOT_APPLICABLE, "no network was trained before")
    if weights == "imagenet":
        return Finding(NAME, NOT_APPLICABLE, "the network starts from photographs of ImageNet")
    return Finding(
        NAME, CANNOT_TELL,
        "the weights that the network starts from are from elsewhere, and their patients are not known",
        meaning="If they were trained on these patients, the numbers are too good.",
        what_to_do=caution or "Ask those who made the weights which data they used.",
    )  # fmt: skip


def seen_by(networks: Sequence[dict]) -> dict:
    """Patients and contents of several networks together, as `seen` of run.json holds them."""
    return {
        key: sorted(set().union(*(network[key] for network in networks)))
        for key in ("patients", "contents")
    }
