"""The one form of a number in metrics.json."""

import math


def number(
    value: float,
    n: int,
    interval: tuple[float, float] | None = None,
    method: str | None = None,
    reason: str = "",
    unit: str = "patients",
) -> dict:
    """`{"value", "low", "high", "n", "unit", "method"}`, and `reason` where there is one to give.

    JSON knows no NaN: what is undefined is None. `n` counts `unit`, what the interval is over;
    `method` says how it was made: "bootstrap" (patients resampled whole) or "exact" (binomial).
    `reason` says why there is no value or no interval, or what was left out of them. Raises
    ValueError for a missing value or interval without a reason.
    """
    defined = math.isfinite(value)
    low, high = interval if interval and defined else (None, None)
    if not reason and (not defined or low is None):
        raise ValueError("a number without a value or without an interval has a reason")
    result = {
        "value": float(value) if defined else None,
        "low": None if low is None else float(low),
        "high": None if high is None else float(high),
        "n": int(n),
        "unit": unit,
        "method": None if low is None else method,
    }
    return result | ({"reason": reason} if reason else {})


def joined(*reasons: str) -> str:
    """Reasons in one line, those that are empty left out."""
    return "; ".join(filter(None, reasons))
