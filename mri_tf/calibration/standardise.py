"""Brings logits on scale before a temperature is fitted to them.

Networks of few patients are often off scale: all outputs near 0.5, or all near 0.9. A temperature cannot
move such logits, and its bounds and prior mean something else for each spread.
"""

from dataclasses import dataclass

import numpy as np
from scipy.stats import f as f_distribution

SPREADS = (0.5, 5.0)  # SD of the log-odds of a classifier with an AUC of about 0.65 to 0.98
SMALLEST_SPREAD = 0.02  # below it most of a spread may be rounding, which is not magnified further
SURE = 0.95  # how sure it has to be that a centre is off, before any of it is corrected


@dataclass(frozen=True)
class Standard:
    """How logits are standardised: factor x (logits - moved x centre).

    Attributes:
        centre: (classes,) mean of the logits; every class weighs the same, and in it every patient.
        moved: the share of the centre that is taken away, 0 to 1.
        factor: what the logits are multiplied by; 1 where their spread is one of a classifier.
    """

    centre: np.ndarray
    moved: float
    factor: float


def fit_standard(
    logits: np.ndarray, truth: np.ndarray, patients: np.ndarray, trained: np.ndarray
) -> Standard:
    """Fits the standard to validation records.

    The logits of a network on scale lie, with classes weighing the same, about the logarithm of the
    shares that it was trained on. How far the centre is from there is compared with what chance
    explains; only the rest is taken away (the positive part of James and Stein 1961 with the 95 % point
    of the F distribution as its factor), so that a network on scale is mostly left alone.

    Args:
        logits: (records, classes), each row with mean 0.
        truth: (records,) labels.
        patients: (records,) ids.
        trained: (classes,) logarithm of the shares that the loss saw, with mean 0.
    """
    classes = logits.shape[1]
    units, unit_of = np.unique(
        np.stack([truth.astype(str), np.asarray(patients).astype(str)]), axis=1, return_inverse=True
    )  # a unit is what a patient has of one class
    sizes = np.bincount(unit_of)
    means = np.stack([np.bincount(unit_of, column) for column in logits.T], axis=1) / sizes[:, None]
    label_of, counts = np.unique(units[0].astype(int), return_inverse=True, return_counts=True)[1:]
    of_class = np.stack([np.bincount(label_of, column) for column in means.T], axis=1) / counts[:, None]
    centre = of_class.mean(axis=0)
    weights = 1 / (len(counts) * counts[label_of] * sizes)  # (units,) of each of its records
    squares = ((logits - centre) ** 2).sum(axis=1)
    # The SD of the log-odds of two classes.
    spread = np.sqrt(2 / (classes - 1) * (weights[unit_of] @ squares))
    factor = float(np.clip(spread, *SPREADS) / max(spread, SMALLEST_SPREAD))
    moved = 0.0
    freedom = len(means) - classes
    if len(counts) == classes and freedom > 0:
        inside = ((means - of_class[label_of]) ** 2).sum(axis=1)
        pooled = inside.sum() / freedom
        # Those of one class may vary more, of a single patient one cannot tell.
        own = np.bincount(label_of, inside) / np.maximum(counts - 1, 1)
        variance = (np.maximum(pooled, own) / counts).sum() / classes**2
        limit = f_distribution.ppf(SURE, classes - 1, freedom) * variance
        distance = ((centre - trained) ** 2).sum()
        moved = float(max(0.0, 1 - limit / distance)) if distance > 0 else 0.0
    return Standard(centre, moved, factor)
