"""Proportions of patients: exact binomial intervals."""

import numpy as np
from scipy.special import betaincinv

from mri_tf.metrics.bootstrap import COVERAGE, interval_number
from mri_tf.metrics.form import number


def clopper_pearson(hits: int, n: int, coverage: float = COVERAGE) -> tuple[float, float]:
    """The exact interval of a binomial proportion (Clopper and Pearson 1934), two-sided.

    Raises ValueError unless 0 <= hits <= n and n > 0.
    """
    if not 0 <= hits <= n or n == 0:
        raise ValueError(f"hits lie between 0 and n > 0. Received: {hits} of {n}.")
    tail = (1 - coverage) / 2
    low = betaincinv(hits, n - hits + 1, tail) if hits else 0.0
    high = betaincinv(hits + 1, n - hits, 1 - tail) if hits < n else 1.0
    return float(low), float(high)


def proportion(
    hits: np.ndarray, counts: np.ndarray, one_each: bool, drawn: np.ndarray, undefined: str
) -> dict:
    """Share of records that are right, from hits and counts of records (patients,) each.

    `n` are the patients who have such a record. Where every patient of the data has one record
    (`one_each`) the interval is exact. So it is where all records are right, or none: then from
    patients without and with a wrong record, as resamples of patients would all be alike. Else it
    is that of the resamples `drawn` (1 + resamples,).
    """
    n, total, right = int((counts > 0).sum()), int(counts.sum()), int(hits.sum())
    if not n:
        return number(np.nan, 0, reason=undefined)
    if one_each:
        return number(right / n, n, clopper_pearson(right, n), "exact")
    if right in (0, total):
        all_or_none = "right" if right else "wrong"
        interval = clopper_pearson(n if right else 0, n)
        reason = f"every record of all {n} patients is {all_or_none}: the limit is that of patients"
        return number(right / total, n, interval, "exact", reason)
    return interval_number(drawn, n, undefined)


def highest_error_rate(patients: int) -> float:
    """Upper 95 % limit of the share of patients with an error, when none of them had one."""
    return clopper_pearson(0, patients)[1]
