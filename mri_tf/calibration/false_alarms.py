"""Limits of scores that flag unfamiliar input, with the share of familiar input they flag wrongly.

A limit can promise no rate below 1 / (patients + 1): with n patients, a new one has the highest score
of all in one of n + 1 cases (Vovk et al. 2005, conformal prediction).
"""

from dataclasses import dataclass

import numpy as np

RATE = 0.05  # of false alarms that is aimed at
FEWEST = 20  # patients
LEAST_RANK = 2  # so that one odd training patient does not switch a flag off


@dataclass(frozen=True)
class Limit:
    """A score above `value` is flagged."""

    value: float | None  # None: nothing can be flagged
    rate: float | None  # of false alarms among new patients of the same source
    patients: int  # whose scores it rests on
    reason: str = ""  # why there is no value


def fit_limit(scores: np.ndarray, patients: np.ndarray) -> Limit:
    """The limit that a random record of a new patient passes with a probability of about `Limit.rate`.

    Of n patients with one record each it is the k-th highest score, and the rate is k / (n + 1); k is
    RATE (n + 1), rounded down, at least LEAST_RANK. Of patients with several records it is the score
    above which the same share of the records lies, every patient weighing alike.

    Args:
        scores: (records,) each scored by what was fitted without its patient.
        patients: (records,) ids.

    Returns:
        The limit; without a value where there are fewer than FEWEST patients.

    Source:
        Vovk et al. 2005; Dunn, Wasserman and Ramdas 2022 (pooling the distributions of groups).
    """
    names, patient_of = np.unique(np.asarray(patients).astype(str), return_inverse=True)
    count = len(names)
    if count < FEWEST:
        return Limit(None, None, count, f"{count} patients, and at least {FEWEST} are needed")
    rank = max(LEAST_RANK, int(RATE * (count + 1) + 1e-9))
    scores, records = np.asarray(scores, float), np.bincount(patient_of)
    order = np.argsort(-scores, kind="stable")
    above = np.cumsum(1 / records[patient_of[order]])  # patients at or above each score
    limit = float(scores[order][np.argmax(above >= rank - 1e-9)])
    if not np.isfinite(limit):
        return Limit(None, None, count, "some training records hold values that are not finite numbers")
    return Limit(limit, rank / (count + 1), count)
