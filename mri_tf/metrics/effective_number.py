"""Of how many independent records the records of patients are worth.

Records of one patient resemble each other, and a patient with many of them weighs more than others.
"""

import numpy as np

SUPPOSED = 0.5  # of a patient: the weight of the largest possible variance beside the one that was seen


def equal_patients(counts: np.ndarray) -> float:
    """How many patients with equal numbers of records would tell as much (Kish 1965).

    A mean over records rests on few patients where a few have most of the records.

    Args:
        counts: (patients,) records, above 0; or any other weight of each patient.

    >>> equal_patients(np.array([3, 3, 3])), round(equal_patients(np.array([200, 2, 2, 2])), 2)
    (3.0, 1.06)
    """
    if (counts == counts[0]).all():
        return float(len(counts))
    return float(1 / ((counts / counts.sum()) ** 2).sum())


def effective_number(value: float, variance: float, counts: np.ndarray, informative: int) -> float:
    """The number of independent records that would give this variance.

    Few patients with an error tell little about the variance. So the largest one possible, that of
    patients who are right or wrong as a whole, counts like half a patient beside them. Where the
    numbers of records are unequal, patients count as `equal_patients`.
    """
    equal = equal_patients(counts)
    if not 0 < value < 1:
        return equal
    largest, seen = value * (1 - value) / equal, informative * equal / len(counts)
    steadied = (seen * variance + SUPPOSED * largest) / (seen + SUPPOSED)
    return value * (1 - value) / steadied


def variance_of_mean(sums: np.ndarray, counts: np.ndarray) -> float:
    """The variance of a mean over records, by its patients: (patients,) sums and numbers of records."""
    patients, total = len(counts), counts.sum()
    residuals = sums - sums.sum() / total * counts
    return float(patients / max(patients - 1, 1) * (residuals**2).sum() / total**2)


def jackknife_variance(without: np.ndarray) -> float:
    """The variance of a number from its values without each patient."""
    patients = len(without)
    return float((patients - 1) / patients * ((without - without.mean()) ** 2).sum())
