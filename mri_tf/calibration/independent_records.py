"""How many independent records the records of some patients are worth."""

import numpy as np

PRIOR_PATIENTS = 3.0  # how many patients must differ from what is taken for granted to outweigh it


def independent_records(residuals: np.ndarray, patients: np.ndarray) -> float:
    """The number of independent records that say as much of a calibration as these do.

    Two records of a patient count as one where a network is wrong about both or about neither, and as
    two where one error says nothing of the other. That is the correlation r of the residuals within
    patients: n records of a patient are worth n / (1 + (n - 1) r). Before anything is known r is 1;
    that counts like `PRIOR_PATIENTS` patients.

    Args:
        residuals: (records, classes) 1 for the true class and 0 otherwise, less the probabilities.
        patients: (records,) ids.

    Returns:
        Between the number of patients and the number of records.

    Source:
        Kish 1965 (the design effect of clusters), Fisher 1925 (the intraclass correlation).

    >>> alike = np.array([[0.5, -0.5], [0.5, -0.5], [-0.5, 0.5], [-0.5, 0.5]])
    >>> float(independent_records(alike, np.array(["a", "a", "b", "b"])))
    2.0
    """
    _, patient_of, sizes = np.unique(
        np.asarray(patients).astype(str), return_inverse=True, return_counts=True
    )
    several = sizes > 1
    if not several.any():
        return float(len(sizes))
    sums = np.zeros((len(sizes), residuals.shape[1]))
    np.add.at(sums, patient_of, residuals)
    squares = np.bincount(patient_of, (residuals**2).sum(axis=1))
    pairs = sizes[several] * (sizes[several] - 1)
    products = ((sums[several] ** 2).sum(axis=1) - squares[several]) / pairs  # mean over pairs
    variance = (squares[several] / sizes[several]).mean()
    measured = float(np.clip(products.mean() / variance, 0, 1)) if variance > 0 else 1.0
    count = several.sum()
    correlation = (count * measured + PRIOR_PATIENTS) / (count + PRIOR_PATIENTS)
    return float((sizes / (1 + (sizes - 1) * correlation)).sum())
