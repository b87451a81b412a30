"""How alike two members of a model answer for a patient that neither was trained on.

Within a class, evidence differs between patients (which all members see) and between members (which is
noise). The correlation of two members tells the two apart, and so how close the mean of many members
lies to the mean of its class.
"""

from dataclasses import dataclass

import numpy as np

from mri_tf.calibration.independent_records import within_clusters

FEWEST = 10  # patients with two answers, below which members are taken as wholly alike
FEW = "fewer than {} patients were answered by two members that had not seen them"


@dataclass(frozen=True)
class Correlation:
    """Of the evidence of two members for a patient, within its class.

    Attributes:
        value: 0 (members have only noise of their own) to 1 (all say the same).
        patients: whose two answers it rests on.
        reason: why it is 1 without a measurement; "" where it was measured.
    """

    value: float
    patients: int
    reason: str = ""

    def variance_of_mean(self, members: int) -> float:
        """Within a class, the variance of the mean of so many members, that of one member being 1."""
        return self.value + (1 - self.value) / members


def fit_correlation(
    evidence: np.ndarray, truth: np.ndarray, patients: np.ndarray, records: np.ndarray
) -> Correlation:
    """The intraclass correlation of rows of the same record, about the means of the classes.

    Args:
        evidence: (rows, classes) of single members on a common scale, for records of patients that they
            were not trained on; several rows of a record are of different members.
        truth: (rows,) labels.
        patients: (rows,) ids; every patient weighs the same.
        records: (rows,) what a row is about.

    Source:
        Fisher 1925 (the intraclass correlation); its use for the mean of members is the variance of a
        mean of equally correlated variables.
    """
    _, record_of, rows = np.unique(records, return_inverse=True, return_counts=True)
    several = rows[record_of] > 1
    names = np.unique(np.asarray(patients).astype(str)[several])
    if len(names) < FEWEST:
        return Correlation(1.0, len(names), FEW.format(FEWEST))
    evidence, truth = evidence[several], truth[several]
    patients, records = np.asarray(patients).astype(str)[several], records[several]
    _, record_of, rows = np.unique(records, return_inverse=True, return_counts=True)
    residuals = evidence - class_means(evidence, truth, patients)[truth]
    products, squares = within_clusters(residuals, record_of, rows)
    owner = np.empty(len(rows), dtype=object)
    owner[record_of] = patients
    weights = equal_patients(owner.astype(str))
    variance = weights @ squares
    value = float(np.clip(weights @ products / variance, 0, 1)) if variance > 0 else 1.0
    return Correlation(value, len(names))


def as_mean_of(
    members: int, evidence: np.ndarray, truth: np.ndarray, patients: np.ndarray,
    correlation: Correlation,
) -> np.ndarray:  # fmt: skip
    """Evidence of single members, drawn towards the means of the classes until it varies about them as
    the mean of `members` members does.

    Args:
        members: how many are averaged.
        evidence: (rows, classes) of single members.
        truth: (rows,) labels.
        patients: (rows,) ids.
        correlation: of two members.
    """
    centre = class_means(evidence, truth, patients)[truth]
    return centre + np.sqrt(correlation.variance_of_mean(members)) * (evidence - centre)


def class_means(evidence: np.ndarray, truth: np.ndarray, patients: np.ndarray) -> np.ndarray:
    """(classes, columns) means in which every patient of a class weighs the same; 0 without records."""
    found = np.zeros((evidence.shape[1], evidence.shape[1]))
    for label in np.unique(truth):
        own = truth == label
        found[label] = equal_patients(np.asarray(patients)[own].astype(str)) @ evidence[own]
    return found


def equal_patients(patients: np.ndarray) -> np.ndarray:
    """(rows,) weights with sum 1 by which every patient counts the same."""
    _, patient_of, rows = np.unique(patients, return_inverse=True, return_counts=True)
    return 1 / (rows[patient_of] * len(rows))
