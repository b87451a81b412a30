"""Reliability curves: how often what was predicted with a probability came true."""

from dataclasses import dataclass

import numpy as np
from scipy.special import betaincinv

BINS = 15
COVERAGE = 0.95


@dataclass(frozen=True)
class ReliabilityCurve:
    """What was said against what happened a bin, each array (bins,); NaN in a bin without records."""

    edges: np.ndarray  # (bins + 1,); a bin holds its upper edge, not its lower one
    counts: np.ndarray  # records
    predicted: np.ndarray  # mean probability
    observed: np.ndarray  # share of the records in which it came true
    low: np.ndarray  # exact 95 % interval of `observed`
    high: np.ndarray


def reliability_curve(
    probabilities: np.ndarray, truth: np.ndarray, label: int | None = None, bins: int = BINS
) -> ReliabilityCurve:
    """The calibration curve: how often what was said to be so likely came true.

    Of (records, classes) probabilities the largest, in the equal bins of the expected calibration
    error (Guo et al. 2017); or with `label` the probability of that class. Look at a class where
    shares are in question: over the likeliest class the faults of two classes cancel, and a wrong
    prior between two alike ones does not show at all. The intervals (Clopper and Pearson) count
    records: with several alike of one patient they are too narrow.
    """
    if label is None:
        said, happened = probabilities.max(axis=-1), probabilities.argmax(axis=-1) == truth
    else:
        said, happened = probabilities[:, label], truth == label
    edges = np.linspace(0, 1, bins + 1)
    bin_of = np.searchsorted(edges[1:-1], said)
    counts = np.bincount(bin_of, minlength=bins)
    hits = np.bincount(bin_of, weights=happened, minlength=bins)
    below = np.where(counts > 0, counts, np.nan)
    low, high = _exact_interval(hits, counts)
    return ReliabilityCurve(
        edges=edges,
        counts=counts,
        predicted=np.bincount(bin_of, weights=said, minlength=bins) / below,
        observed=hits / below,
        low=np.where(counts > 0, low, np.nan),
        high=np.where(counts > 0, high, np.nan),
    )


def _exact_interval(hits: np.ndarray, counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    tail = (1 - COVERAGE) / 2
    misses = counts - hits
    low = np.where(hits > 0, betaincinv(np.maximum(hits, 1), misses + 1, tail), 0)
    high = np.where(misses > 0, betaincinv(hits + 1, np.maximum(misses, 1), 1 - tail), 1)
    return low, high
