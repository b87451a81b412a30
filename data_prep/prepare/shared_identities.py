"""Finds folders of patients that are one patient: DICOM headers that share an identity.

PatientID and the UIDs of study, series and frame of reference are compared as salted hashes. Nothing of
them is stored.
"""

import hmac
import secrets
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from functools import partial

from scipy.cluster.hierarchy import DisjointSet

from data_prep.case import Case, main_file
from mri_tf.core.errors import InputError, first_few
from mri_tf.core.executors import map_in_order
from mri_tf.core.progress import progress


@dataclass(frozen=True)
class Joined:
    """Cases whose patients were joined.

    Attributes:
        cases: all cases, those of one patient under the id of the first; where no patient is named, they
            have one group.
        patients: how many patients the table names who share an identity with another.
        remaining: how many patients they are.
    """

    cases: list[Case]
    patients: int
    remaining: int

    @property
    def warning(self) -> str:
        """A line for the terminal; "" where nothing was joined."""
        if not self.patients:
            return ""
        return (
            f"warning: {self.patients} patients of the table share a PatientID, study, series or frame "
            f"of reference in their DICOM headers with another: they are joined as {self.remaining}"
        )


def join_shared(
    cases: list[Case], identities: Callable, strict: bool, pool: Executor, ahead: int
) -> Joined:
    """Joins the patients of a table whose DICOM headers share an identity.

    Args:
        cases: as the layout lists them.
        identities: of a case, texts that only one patient can have; runs in workers.
        strict: refuse instead of joining.
        pool: reads the headers.
        ahead: number of calls that wait in the pool.

    Raises:
        InputError: with `strict`, patients share an identity.
    """
    read = partial(_hashed, identities, secrets.token_bytes(16))
    owners: dict[str, int] = {}  # hash -> the first case that has it
    groups = DisjointSet(range(len(cases)))
    first_of: dict[str, int] = {}
    with progress("looking for shared identities", len(cases)) as advance:
        for number, hashes in enumerate(map_in_order(pool, read, cases, ahead)):
            for value in hashes:
                groups.merge(number, owners.setdefault(value, number))
            if cases[number].patient:  # of others nothing but their headers is known
                groups.merge(number, first_of.setdefault(cases[number].patient, number))
            advance(number + 1)
    joined, shared, remaining = list(cases), [], 0
    for members in groups.subsets():
        patients = sorted({cases[number].patient for number in members} - {""})
        if len(patients) == 1 and len(members) > 1:
            for number in members:  # those whose patient is unknown are this one
                joined[number] = replace(cases[number], patient=patients[0])
        if not patients and len(members) > 1:
            groups_given = sorted({cases[number].group for number in members} - {""})
            group = groups_given[0] if groups_given else f"headers-{min(members) + 1:06d}"
            for number in members:
                joined[number] = replace(cases[number], group=cases[number].group or group)
        if len(patients) < 2:
            continue
        shared += [main_file(cases[first_of[patient]]) for patient in patients]
        remaining += 1
        name = next(cases[number].patient for number in sorted(members) if cases[number].patient)
        for number in members:
            joined[number] = replace(cases[number], patient=name)
    if strict and shared:
        raise InputError(
            "--strict does not allow patients who share an identity in their DICOM headers.",
            f"{len(shared)} patients that are {remaining}: {first_few(shared)}",
            "Give the folders of one patient one patient_id, or leave out --strict to join them.",
        )
    return Joined(joined, len(shared), remaining)


def _hashed(identities: Callable, salt: bytes, case: Case) -> list[str]:
    """Runs in a worker: the salted hashes of a case's identities."""
    return [hmac.new(salt, text.encode(), "sha256").hexdigest() for text in sorted(identities(case))]
