"""Patients of the validation side that choose nothing and only set the threshold of prediction sets.

The validation side chooses epoch, temperature, intercepts and operating point, so that its own records
look easier than new ones; prediction sets that are fitted on them promise too much.
"""

from dataclasses import dataclass

import numpy as np

from mri_tf.splits.split import split_units

FEWEST = 9  # patients for a coverage of 0.9: with fewer no threshold promises it
SHARE = 1 / 3  # of the validation side
# Not that of a run: its restarts are compared on the same validation patients.
SEED = 0
RANDOM_SPLIT = "a random split has no patients of its own"
LIMITED = "a limit of the training size gives the validation side other class shares than new patients"


@dataclass(frozen=True)
class Reserved:
    """The reserved records, or why there are none."""

    records: np.ndarray  # positions, a part of the validation side
    reason: str = ""

    def to_json(self, record_ids: np.ndarray) -> dict:
        """What run.json holds; `record_ids` (records,) are those of the prepared set."""
        return {"records": record_ids[self.records].tolist(), "reason": self.reason}


def reserved_sentence(kept: dict | None, patients: list[str]) -> str:
    """What a run reserves, in words; "" of a segmentation or a run of an earlier version.

    Args:
        kept: of `Reserved.to_json`.
        patients: of its records.
    """
    if not kept:
        return ""
    if kept["reason"]:
        return f"no prediction sets: {kept['reason']}"
    count = len(set(patients))
    return (
        f"{count} patients of the validation side are set aside: they are used only for the threshold "
        "of the prediction sets"
    )


def reserve(validation: np.ndarray, units: np.ndarray, labels: np.ndarray) -> Reserved:
    """Draws a third of the patients of a validation side, with about the same class shares.

    Args:
        validation: positions of the side.
        units: (validation,) numbers of what stays whole: patients with those that are tied to them.
        labels: (validation,) classes.

    Returns:
        No records where a third is fewer than `FEWEST`.
    """
    count = len(np.unique(units))
    if int(count * SHARE + 1e-9) >= FEWEST:
        _, drawn = split_units(units, labels, (1 - SHARE, SHARE), SEED)
        if len(np.unique(units[drawn])) >= FEWEST:
            return Reserved(np.sort(validation[drawn]))
    few = (
        f"their threshold needs {FEWEST} patients, a third of the validation side, which has only "
        f"{count} (those who share images count as one)"
    )
    return Reserved(validation[:0], few)


def none_reserved(validation: np.ndarray, reason: str) -> Reserved:
    """No records, for a reason."""
    return Reserved(validation[:0], reason)
