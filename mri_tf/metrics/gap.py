"""The gap between two sides of a training: of one network, and over the networks of several folds."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy.special import stdtrit

from mri_tf.metrics.intervals import TAIL
from mri_tf.metrics.paired import corrected_error


class Gap(NamedTuple):
    """How much better an earlier side's number is; NaN limits where there is no interval."""

    value: float
    low: float
    high: float


def gap_of_sides(earlier: dict, later: dict, lower_is_better: bool = False) -> Gap | None:
    """The earlier number minus the later one, of different patients; None where one is undefined.

    The limits are those of MOVER (Zou and Donner 2008): the distances of both numbers to their limits
    add up like standard deviations.

    Args:
        earlier: a number of metrics.json.
        later: the same number on other patients.
        lower_is_better: the gap is the later number minus the earlier one.

    >>> gap = gap_of_sides(dict(value=0.9, low=0.8, high=1.0), dict(value=0.7, low=0.6, high=0.8))
    >>> [round(float(one), 3) for one in gap]
    [0.2, 0.059, 0.341]
    """
    first, second = (later, earlier) if lower_is_better else (earlier, later)
    if first["value"] is None or second["value"] is None:
        return None
    value = first["value"] - second["value"]
    if None in (first["low"], second["low"]):
        return Gap(value, np.nan, np.nan)
    down = np.hypot(first["value"] - first["low"], second["high"] - second["value"])
    up = np.hypot(first["high"] - first["value"], second["value"] - second["low"])
    return Gap(value, value - down, value + up)


def mean_gap(values: Sequence[float], test_share: float, largest: float = np.inf) -> Gap:
    """The mean of the gaps of several folds, with the interval of the corrected resampled t (Nadeau and
    Bengio 2003), as folds share patients.

    Args:
        values: of the folds, one at least.
        test_share: records of a test side over those of its training side.
        largest: that a gap can be; the limits stay within it.
    """
    gaps = np.asarray(values, float)
    if len(gaps) < 2:
        return Gap(float(gaps.mean()), np.nan, np.nan)
    error, freedom = corrected_error(gaps, np.full(len(gaps), 1 / len(gaps)), test_share)
    half = float(stdtrit(freedom, 1 - TAIL)) * error
    low, high = np.clip([gaps.mean() - half, gaps.mean() + half], -largest, largest).tolist()
    return Gap(float(gaps.mean()), low, high)
