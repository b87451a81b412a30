"""Prediction sets of a model of several members, each compared with the patients that it left out.

The score of a class is 1 - its probability, as one member gives it. A class stays in the set of a new
record unless the members' scores for it are above those of the true classes of nearly all patients, each
patient being compared with the member that it was left out of. A set then holds the class of a new
patient with a probability of at least about 1 - 2 (1 - level); where members differ, more often than
`level`. Not exactly: slope and intercepts by which scores are made are fitted to all of these patients.

Source: Vovk 2015 (cross-conformal predictors); Barber et al. 2021 (CV+ and its guarantee); Romano, Sesia
and Candes 2020 (for classes). Patients instead of records: Dunn, Wasserman and Ramdas 2022.
"""

from dataclasses import dataclass

import numpy as np

from mri_tf.calibration.prediction_sets import LEVEL


@dataclass(frozen=True)
class HeldOut:
    """Scores of the true classes of the patients that a member left out, and their weights."""

    scores: tuple[float, ...]
    weights: tuple[float, ...]  # those of a patient sum to 1 over all members

    def __post_init__(self):
        object.__setattr__(self, "scores", tuple(map(float, self.scores)))
        object.__setattr__(self, "weights", tuple(map(float, self.weights)))


def held_out_scores(
    scores: np.ndarray, patients: np.ndarray, members: np.ndarray, count: int
) -> tuple[HeldOut, ...]:
    """(members,) what sets are made from.

    Args:
        scores: (rows,) 1 - probability of the true class, by a member that left the patient out.
        patients: (rows,) ids.
        members: (rows,) number of that member.
        count: of members.
    """
    _, patient_of, rows = np.unique(
        np.asarray(patients).astype(str), return_inverse=True, return_counts=True
    )
    weights = 1 / rows[patient_of]
    return tuple(
        HeldOut(tuple(scores[members == member]), tuple(weights[members == member]))
        for member in range(count)
    )


def fits_sets(patients: int) -> bool:
    """Whether so many patients allow a set to leave out any class."""
    return patients > limit_of(patients)


def limit_of(patients: float) -> float:
    """A class is ruled out where the scores of at least so many patients lie below its scores."""
    return LEVEL * (patients + 1) - 1e-9  # a sum that equals it is not rounded below it


def in_sets(probabilities: np.ndarray, held_out: tuple[HeldOut, ...]) -> np.ndarray:
    """(records, classes) bool: the classes that are not ruled out.

    Args:
        probabilities: (records, members, classes) of single members.
        held_out: (members,) of `held_out_scores`.
    """
    total = sum(sum(member.weights) for member in held_out)
    below = np.zeros((probabilities.shape[0], probabilities.shape[2]))
    for number, member in enumerate(held_out):
        order = np.argsort(member.scores, kind="stable")
        sums = np.append(0.0, np.cumsum(np.array(member.weights)[order]))
        below += sums[np.searchsorted(np.array(member.scores)[order], 1 - probabilities[:, number])]
    return below < limit_of(round(total))
