"""How a score grows with the number of patients who teach, and what more patients would be worth.

The curve is an inverse power law, score(n) = best - gap * n ** -rate, as in Figueroa et al. 2012. Its
interval is that of curves through cells drawn again, repeat by repeat: cells of one repeat share their
test patients.
"""

from typing import NamedTuple

import numpy as np
from scipy import stats

RATES = np.geomspace(0.05, 2.0, 40)  # a slower curve cannot be told from a line in the logarithm
FEWEST_SIZES, FEWEST_REPEATS = 3, 3
DRAWS = 1000
LEVEL = 0.95
MOST_TIMES = 1000  # patients, of those at hand, up to which an answer means something


class Curve(NamedTuple):
    """best - gap * n ** -rate, of a score that is at most `best`; or many curves, as arrays."""

    best: float | np.ndarray
    gap: float | np.ndarray
    rate: float | np.ndarray

    def at(self, n: float) -> float | np.ndarray:
        """The score with n patients, of each curve."""
        return self.best - self.gap * float(n) ** -self.rate


class Cells(NamedTuple):
    """Trainings of several sizes.

    Attributes:
        sizes: (cells,) patients who taught.
        scores: (cells,) of the test side; the larger, the better.
        repeats: (cells,) those of one repeat share their test patients.
    """

    sizes: np.ndarray
    scores: np.ndarray
    repeats: np.ndarray


def too_few_cells(cells: Cells) -> str:
    """Why no curve can be drawn through the cells, in words; "" where one can."""
    sizes, repeats = len(np.unique(cells.sizes)), len(np.unique(cells.repeats))
    if sizes < FEWEST_SIZES:
        return f"{sizes} training sizes, fewer than {FEWEST_SIZES}"
    if repeats < FEWEST_REPEATS:
        return f"{repeats} repeats, fewer than {FEWEST_REPEATS}"
    return ""


def fit_curve(sizes: np.ndarray, scores: np.ndarray, perfect: float = 1.0) -> Curve:
    """The curve with the least squared distance to the scores.

    Args:
        sizes: (cells,) patients who taught, at least two different numbers.
        scores: (cells,).
        perfect: a score that no number of patients exceeds.

    >>> sizes = np.array([10.0, 20.0, 40.0, 80.0])
    >>> curve = fit_curve(sizes, 0.9 - 1.2 * sizes**-0.5)
    >>> round(curve.at(40), 2)
    0.71
    """
    found = _fitted(sizes, scores, np.ones((1, len(sizes))), perfect)
    return Curve(*(float(values[0]) for values in found))


def drawn_curves(cells: Cells, perfect: float = 1.0, seed: int = 0) -> Curve:
    """Curves through the cells of repeats that are drawn again, DRAWS of them."""
    rng = np.random.default_rng(seed)
    names, repeat_of = np.unique(cells.repeats, return_inverse=True)
    times = rng.multinomial(len(names), np.full(len(names), 1 / len(names)), DRAWS)
    return _fitted(cells.sizes, cells.scores, times[:, repeat_of].astype(float), perfect)


def _fitted(
    sizes: np.ndarray, scores: np.ndarray, weights: np.ndarray, perfect: float
) -> Curve:
    """The nearest curves to cells (cells,) that count as often as `weights` (curves, cells) say."""
    tried = [_with_rate(rate, sizes.astype(float), scores, weights, perfect) for rate in RATES]
    distance, best, gap = (np.stack(values) for values in zip(*tried, strict=True))  # (rates, curves)
    nearest = distance.argmin(axis=0)
    chosen = nearest, np.arange(len(weights))
    return Curve(best[chosen], gap[chosen], RATES[nearest])


def _with_rate(
    rate: float, sizes: np.ndarray, scores: np.ndarray, weights: np.ndarray, perfect: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(squared distance, best, gap) of the nearest curves of this rate, (curves,) each: gaps are at
    least 0 and best at most `perfect`."""
    powers, total = sizes**-rate, weights.sum(axis=1)
    mean_power, mean_score = weights @ powers / total, weights @ scores / total
    spread = weights @ powers**2 / total - mean_power**2
    together = weights @ (powers * scores) / total - mean_power * mean_score
    gap = np.maximum(0.0, -together / np.maximum(spread, 1e-300))
    best = mean_score + gap * mean_power
    bounded = np.maximum(0.0, weights @ (powers * (perfect - scores)) / (weights @ powers**2))
    gap, best = np.where(best > perfect, bounded, gap), np.minimum(best, perfect)
    left = best[:, None] - gap[:, None] * powers - scores  # (curves, cells)
    return (weights * left**2).sum(axis=1), best, gap


def interval_at(curves: Curve, n: float, repeats: int) -> tuple[float, float]:
    """The interval of the score with n patients.

    Percentiles of drawn curves are too narrow where repeats are few. Their distances to the middle are
    widened by the root of repeats / (repeats - 1) and by the quantile of t over that of the normal.
    """
    tail = (1 - LEVEL) / 2
    low, middle, high = np.quantile(curves.at(n), [tail, 0.5, 1 - tail])
    wider = np.sqrt(repeats / (repeats - 1)) * stats.t.ppf(tail, repeats - 1) / stats.norm.ppf(tail)
    return float(middle - wider * (middle - low)), float(middle + wider * (high - middle))


def patients_for_half_the_width(curve: Curve, n: int) -> int | None:
    """How many patients it takes until the interval of an accuracy is half as wide as with n patients.

    The width goes with the root of p (1 - p) / n, where p is what the curve gives for as many patients:
    a better network needs fewer. Patients are thought to be tested once each, as in cross-validation.
    None where more than MOST_TIMES as many are needed, or where p has no spread.

    >>> patients_for_half_the_width(Curve(0.8, 0.0, 1.0), 50)
    200
    """
    spread = curve.at(n) * (1 - curve.at(n))
    if spread <= 0:
        return None
    low, high = n, n * MOST_TIMES
    if _squared_width(curve, high) > spread / n / 4:
        return None
    while high - low > 1:
        middle = (low + high) // 2
        narrow = _squared_width(curve, middle) <= spread / n / 4
        low, high = (low, middle) if narrow else (middle, high)
    return high


def _squared_width(curve: Curve, n: int) -> float:
    value = min(max(curve.at(n), 0.0), 1.0)
    return value * (1 - value) / n
