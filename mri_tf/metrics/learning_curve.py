"""How a score grows with the number of patients who teach, and what more patients would be worth.

The curve is an inverse power law, score(n) = best - gap * n ** -rate, as in Figueroa et al. 2012. Its
interval is that of curves through the cells of patients who are drawn again, widened: these patients are
not only tested, they teach as well, which drawing their answers again does not show.
"""

from typing import NamedTuple

import numpy as np

RATES = np.geomspace(0.05, 2.0, 40)  # a slower curve cannot be told from a line in the logarithm
FEWEST_SIZES, FEWEST_REPEATS = 3, 3
LEVEL = 0.95
# Times the distances to drawn curves: about as much comes from who teaches as from who is tested, see
# benchmarks/learning_curve.py.
WIDER = 2**0.5
MOST_TIMES = 1000  # patients, of those at hand, up to which an answer means something


class Curve(NamedTuple):
    """best - gap * n ** -rate, of a score that is at most `best`; or many curves, as arrays."""

    best: float | np.ndarray
    gap: float | np.ndarray
    rate: float | np.ndarray

    def at(self, n: float) -> float | np.ndarray:
        """The score with n patients, of each curve."""
        return self.best - self.gap * float(n) ** -self.rate


def too_few_cells(sizes: np.ndarray, repeats: np.ndarray) -> str:
    """Why no curve can be drawn through cells (cells,), in words; "" where one can."""
    for kind, values, fewest in (
        ("training sizes", sizes, FEWEST_SIZES), ("repeats", repeats, FEWEST_REPEATS)
    ):  # fmt: skip
        if (count := len(np.unique(values))) < fewest:
            return f"{count} {kind}, fewer than {fewest}"
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
    found = _fitted(sizes, scores[None], np.ones((1, len(sizes))), perfect)
    return Curve(*(float(values[0]) for values in found))


def drawn_curves(sizes: np.ndarray, drawn: np.ndarray, perfect: float = 1.0) -> Curve:
    """Curves through the scores of patients who are drawn again, one a draw.

    Args:
        sizes: (cells,) patients who taught.
        drawn: (draws, cells) the scores, of the same patients in all cells; NaN where there is none.
        perfect: a score that no number of patients exceeds.
    """
    defined = np.isfinite(drawn)
    usable = defined.any(axis=1)
    weights = defined[usable].astype(float)
    return _fitted(sizes, np.where(defined, drawn, 0.0)[usable], weights, perfect)


def _fitted(
    sizes: np.ndarray, scores: np.ndarray, weights: np.ndarray, perfect: float
) -> Curve:
    """The nearest curves to scores (curves, cells) that count as often as `weights` (curves, cells) say,
    of cells with `sizes` (cells,)."""
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
    mean_power, mean_score = weights @ powers / total, (weights * scores).sum(axis=1) / total
    spread = weights @ powers**2 / total - mean_power**2
    together = (weights * scores) @ powers / total - mean_power * mean_score
    gap = np.maximum(0.0, -together / np.maximum(spread, 1e-300))
    best = mean_score + gap * mean_power
    bounded = np.maximum(0.0, (weights * (perfect - scores)) @ powers / (weights @ powers**2))
    gap, best = np.where(best > perfect, bounded, gap), np.minimum(best, perfect)
    left = best[:, None] - gap[:, None] * powers - scores  # (curves, cells)
    return (weights * left**2).sum(axis=1), best, gap


def interval_at(curve: Curve, curves: Curve, n: float) -> tuple[float, float]:
    """The interval of the score with n patients, from the curve and the drawn ones."""
    tail = (1 - LEVEL) / 2
    low, middle, high = np.quantile(curves.at(n), [tail, 0.5, 1 - tail])
    value = curve.at(n)
    return float(value - WIDER * (middle - low)), float(value + WIDER * (high - middle))


def patients_for_half_the_width(curve: Curve, taught: int, tested: int) -> int | None:
    """How many patients must be tested until the interval of an accuracy is half as wide.

    The width goes with the root of p (1 - p) / tested, where p is what the curve gives for the patients
    who teach then: a better network needs fewer. None where more than MOST_TIMES as many are needed, or
    where p has no spread.

    Args:
        curve: of the accuracy.
        taught, tested: patients who teach a network, and who are tested once each, as it is; they grow
            together.

    >>> patients_for_half_the_width(Curve(0.8, 0.0, 1.0), 40, 50)
    200
    """
    spread = _spread(curve, taught)
    if spread <= 0:
        return None
    low, high = tested, tested * MOST_TIMES
    if _spread(curve, taught * MOST_TIMES) / high > spread / tested / 4:
        return None
    while high - low > 1:
        middle = (low + high) // 2
        narrow = _spread(curve, taught * middle / tested) / middle <= spread / tested / 4
        low, high = (low, middle) if narrow else (middle, high)
    return high


def _spread(curve: Curve, taught: float) -> float:
    value = min(max(curve.at(taught), 0.0), 1.0)
    return value * (1 - value)
