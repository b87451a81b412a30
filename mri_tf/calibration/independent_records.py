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
    products, squares = within_clusters(residuals, patient_of, sizes)
    variance = squares[several].mean()
    measured = products[several].mean() / variance if variance > 0 else 1.0
    measured, count = float(np.clip(measured, 0, 1)), several.sum()
    correlation = (count * measured + PRIOR_PATIENTS) / (count + PRIOR_PATIENTS)
    return float((sizes / (1 + (sizes - 1) * correlation)).sum())


def within_clusters(
    values: np.ndarray, cluster_of: np.ndarray, sizes: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """(clusters,) the mean product of two rows of a cluster, and the mean square of its rows.

    The first over the second is how alike rows of a cluster are, where their mean is 0. The product is
    NaN in a cluster of one row.

    Args:
        values: (rows, columns); products are summed over the columns.
        cluster_of: (rows,) number of the cluster of each row.
        sizes: (clusters,) number of its rows.
    """
    sums = np.zeros((len(sizes), values.shape[1]))
    np.add.at(sums, cluster_of, values)
    squares = np.bincount(cluster_of, (values**2).sum(axis=1))
    pairs = (sizes * (sizes - 1)).astype(float)
    pairs[pairs == 0] = np.nan
    return ((sums**2).sum(axis=1) - squares) / pairs, squares / sizes
