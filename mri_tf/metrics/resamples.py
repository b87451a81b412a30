"""Resamples of whole patients, for differences between variants.

Records of one patient are not independent, so a resample draws patients with all their records. It is
a row of `times`: how often each patient was drawn. Row 0 is all ones, the data itself, so one call of a
measure gives the value and its resamples.
"""

import numpy as np

RESAMPLES = 2000


def multiplicities(patients: int, seed: int) -> np.ndarray:
    """Returns `times`, (1 + RESAMPLES, patients): how often each patient counts; row 0 is all ones."""
    drawn = np.random.default_rng(seed).multinomial(
        patients, np.full(patients, 1 / patients), size=RESAMPLES
    )
    return np.concatenate([np.ones((1, patients), drawn.dtype), drawn])


def resampled_confusions(by_patient: np.ndarray, times: np.ndarray) -> np.ndarray:
    """(rows, classes, classes): sums over patients, weighted by (rows, patients) `times`."""
    flat = times.astype(float) @ by_patient.reshape(len(by_patient), -1)
    return flat.reshape(len(times), *by_patient.shape[1:])
