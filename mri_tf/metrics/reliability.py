"""Reliability curves: how often events with a predicted probability happened."""

from dataclasses import dataclass

import numpy as np

from mri_tf.metrics.intervals import share_interval
from mri_tf.metrics.probabilities import BINS


@dataclass(frozen=True)
class ReliabilityCurve:
    """Predicted against observed share in each bin: arrays (bins,), NaN in a bin without records."""

    edges: np.ndarray  # (bins + 1,); a bin contains its upper edge, not its lower one
    counts: np.ndarray  # records
    predicted: np.ndarray  # mean probability
    observed: np.ndarray  # share of the records in which the event happened
    low: np.ndarray  # 95 % interval of `observed`, over patients
    high: np.ndarray


def reliability_curve(
    probabilities: np.ndarray, truth: np.ndarray, patients: np.ndarray, label: int | None = None,
    bins: int = BINS,
) -> ReliabilityCurve:  # fmt: skip
    """Returns the calibration curve of one class, or of the most probable class.

    Use a class to check its share: over the most probable class the errors of two classes can cancel,
    and a wrong prior of two similar classes does not show.

    Args:
        probabilities: (records, classes).
        truth: (records,) class numbers.
        patients: (records,) ids.
        label: the class whose probability is looked at; None: the most probable one of each record.
        bins: bins of equal width, as in the expected calibration error.

    Source: Guo et al. 2017.
    """
    if label is None:
        predicted, happened = probabilities.max(axis=-1), probabilities.argmax(axis=-1) == truth
    else:
        predicted, happened = probabilities[:, label], truth == label
    edges = np.linspace(0, 1, bins + 1)
    bin_of = np.searchsorted(edges[1:-1], predicted)
    counts = np.bincount(bin_of, minlength=bins)
    hits = np.bincount(bin_of, weights=happened, minlength=bins)
    filled = np.where(counts > 0, counts, np.nan)
    mean = np.bincount(bin_of, weights=predicted, minlength=bins) / filled
    low, high = np.full(bins, np.nan), np.full(bins, np.nan)
    for number in np.flatnonzero(counts):
        here = bin_of == number
        owner = np.unique(np.asarray(patients)[here].astype(str), return_inverse=True)[1]
        of_owner = np.bincount(owner, weights=happened[here]), np.bincount(owner)
        low[number], high[number], _ = share_interval(*of_owner)
    return ReliabilityCurve(edges, counts, mean, hits / filled, low, high)
