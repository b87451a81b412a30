"""Markdown tables, and numbers with their spread or interval as text."""

import math
import re
from collections.abc import Iterable, Sequence

import numpy as np

NUMBER = re.compile(r"[-+−]?\d")  # how every cell of a right-aligned column begins
NO_REASON = "no reason recorded"


def markdown(rows: Sequence[Sequence[object]], columns: Sequence[str]) -> str:
    """Returns a Markdown table, padded so that its source is legible; numbers are right-aligned.

    Raises ValueError if a row has not as many cells as there are columns.

    >>> print(markdown([["scratch", 0.8]], ["variant", "accuracy"]))
    | variant | accuracy |
    | ------- | -------: |
    | scratch |      0.8 |
    """
    for row in rows:
        if len(row) != len(columns):
            raise ValueError(f"A row needs {len(columns)} cells. Received: {len(row)}.")
    body = [[_safe(cell) for cell in row] for row in rows]
    head = [_safe(name) for name in columns]
    across = list(zip(head, *body, strict=True))
    widths = [max(3, *map(len, column)) for column in across]
    right = [bool(body) and all(map(NUMBER.match, column[1:])) for column in across]
    rule = ["-" * (width - 1) + (":" if is_right else "-")
            for width, is_right in zip(widths, right, strict=True)]  # fmt: skip
    lines = [head, rule, *body]
    return "\n".join(
        "| " + " | ".join(
            text.rjust(width) if is_right else text.ljust(width)
            for text, width, is_right in zip(line, widths, right, strict=True)
        ) + " |"
        for line in lines
    )  # fmt: skip


def mean_sd(values: Iterable[float], reasons: Iterable[str] = (), digits: int = 3) -> str:
    """Mean ± SD (n - 1) of the defined values as text; undefined ones (NaN, None) are counted.

    `reasons` say why values are undefined, in any order.

    >>> mean_sd([0.5, 0.7, None], ["only one class occurs"])
    '0.600 ± 0.141 (1 of 3 undefined: only one class occurs)'
    """
    values = np.array([math.nan if value is None else value for value in values], float)
    defined = values[np.isfinite(values)]
    if not len(defined):
        return f"undefined ({_why(reasons) if len(values) else 'no cell'})"
    text = f"{defined.mean():.{digits}f}"
    if len(defined) > 1:
        text += f" ± {defined.std(ddof=1):.{digits}f}"
    notes = ["one cell"] if len(defined) == 1 else []
    if undefined := len(values) - len(defined):
        notes.append(f"{undefined} of {len(values)} undefined: {_why(reasons)}")
    return f"{text} ({'; '.join(notes)})" if notes else text


def with_interval(value, low, high, reason: str = "", signed: bool = False) -> str:
    """`0.801 (0.741 to 0.858)`; with the reason where there is no value or no interval."""
    digits = "+.3f" if signed else ".3f"
    if not is_defined(value):
        return f"undefined ({reason or NO_REASON})"
    if not (is_defined(low) and is_defined(high)):
        return f"{value:{digits}} (no interval{': ' + reason if reason else ''})"
    return f"{value:{digits}} ({low:{digits}} to {high:{digits}})"


def number_text(number: dict) -> str:
    """A number of metrics.json with its interval, and the reason where it has no value or no interval.

    >>> number_text({"value": 0.8, "low": None, "high": None, "reason": "one patient"})
    '0.800 (no interval: one patient)'
    """
    return with_interval(number["value"], number["low"], number["high"], number.get("reason") or "")


def value_text(number: dict) -> str:
    """The value of a number of metrics.json alone."""
    return "undefined" if number["value"] is None else f"{number['value']:.3f}"


def with_notes(table: str, notes: Iterable[str]) -> str:
    """The table with its notes as a list below; empty notes are left out."""
    lines = "\n".join(f"- {note}" for note in notes if note)
    return f"{table}\n\n{lines}" if lines else table


def is_defined(value) -> bool:
    """Whether a value is a finite number, not None or NaN."""
    return value is not None and bool(np.isfinite(float(value)))


def text_of(value) -> str:
    """The text of a data frame's cell; empty where it is missing."""
    return value.strip() if isinstance(value, str) else ""


def _why(reasons: Iterable[str]) -> str:
    return "; ".join(dict.fromkeys(filter(None, map(text_of, reasons)))) or NO_REASON


def _safe(cell: object) -> str:
    """A cell as one line with its bars escaped; a line break or a bar would break the table."""
    return " ".join(str(cell).split()).replace("|", "\\|")
