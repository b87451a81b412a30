"""The form of a number in metrics.json."""

import math
from collections.abc import Callable

ONE_CLASS = "only one class occurs"  # a reason


def number(
    value: float, n: int, interval: tuple[float, float] | None = None, method: str | None = None,
    reason: str = "", unit: str = "patients",
) -> dict:  # fmt: skip
    """Returns `{"value", "low", "high", "n", "unit", "method"}` and, if there is one, `reason`.

    Args:
        value: NaN where it is undefined; becomes None, as JSON has no NaN.
        n: how many `unit` the interval is over.
        interval: (low, high), None where there is none.
        method: how the interval was computed.
        reason: why value or interval is missing, or what was left out of them.

    Raises:
        ValueError: value or interval is missing without a reason.

    >>> number(0.5, 12, (0.2, 0.8), "bootstrap")["low"]
    0.2
    """
    defined = math.isfinite(value)
    low, high = interval if interval and defined else (None, None)
    if not reason and (not defined or low is None):
        raise ValueError("A number without a value or without an interval needs a reason.")
    result = {
        "value": float(value) if defined else None,
        "low": None if low is None else float(low),
        "high": None if high is None else float(high),
        "n": int(n),
        "unit": unit,
        "method": None if low is None else method,
    }
    return result | ({"reason": reason} if reason else {})


def number_over_patients(
    value: float, patients: int, interval_of: Callable[[], tuple[float, float, str] | str],
    undefined: str, also: str = "",
) -> dict:  # fmt: skip
    """Returns a number of metrics.json with its interval, where it is defined and not of one patient.

    Args:
        value: NaN where it is undefined.
        patients: whose records were counted.
        interval_of: gives (low, high, method), or the reason why there is none; called only where the
            value is defined and not of one patient.
        undefined: the reason if the value is undefined.
        also: a further reason, of what was left out.
    """
    if not math.isfinite(value):
        return number(value, patients, reason=joined(undefined, also))
    if patients < 2:
        return number(value, patients, reason=joined("one patient", also))
    found = interval_of()
    if isinstance(found, str):
        return number(value, patients, reason=joined(found, also))
    low, high, method = found
    return number(value, patients, (low, high), method, also)


def joined(*reasons: str) -> str:
    """The reasons that are not empty, in one line."""
    return "; ".join(filter(None, reasons))
