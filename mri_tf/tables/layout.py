"""Rows and columns as Markdown, and a number with its spread or interval as words."""

import math
import re
from collections.abc import Iterable, Sequence

import numpy as np

NUMBER = re.compile(r"[-+−]?\d")  # how a cell of a right-aligned column begins
NO_REASON = "no reason recorded"


def markdown(rows: Sequence[Sequence[object]], columns: Sequence[str]) -> str:
    """A Markdown table, padded so that its source is legible too; columns of numbers to the right.

    Raises ValueError for a row of another length than `columns`.
    """
    for row in rows:
        if len(row) != len(columns):
            raise ValueError(f"a row has {len(columns)} cells. Received: {len(row)}.")
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
    """`0.612 ± 0.045` over the values that are defined, SD with n - 1; the others are counted.

    `reasons` say why values are undefined (NaN or None), in any order.
    """
    values = np.array([math.nan if value is None else value for value in values], float)
    defined = values[np.isfinite(values)]
    if not len(defined):
        return f"undefined ({_why(reasons) if len(values) else 'no cell'})"
    text = f"{defined.mean():.{digits}f}"
    if len(defined) > 1:
        text += f" ± {defined.std(ddof=1):.{digits}f}"
    notes = ["one cell"] if len(defined) == 1 else []
    if len(defined) < len(values):
        lost = len(values) - len(defined)
        notes.append(f"{lost} of {len(values)} undefined: {_why(reasons)}")
    return f"{text} ({'; '.join(notes)})" if notes else text


def with_interval(value, low, high, reason: str = "", signed: bool = False) -> str:
    """`0.801 (0.741 to 0.858)`; the reason where there is no value or no interval."""
    form = "+.3f" if signed else ".3f"
    if not is_defined(value):
        return f"undefined ({reason or NO_REASON})"
    if not (is_defined(low) and is_defined(high)):
        return f"{value:{form}} (no interval{': ' + reason if reason else ''})"
    return f"{value:{form}} ({low:{form}} to {high:{form}})"


def with_notes(table: str, notes: Iterable[str]) -> str:
    """The table with a list of notes below it, empty ones left out."""
    lines = "\n".join(f"- {note}" for note in notes if note)
    return f"{table}\n\n{lines}" if lines else table


def is_defined(value) -> bool:
    """A finite number; JSON's None and a table's NaN are not."""
    return value is not None and bool(np.isfinite(float(value)))


def text_of(value) -> str:
    """A cell of a table as text: empty for what is missing."""
    return value.strip() if isinstance(value, str) else ""


def many(count: int, noun: str) -> str:
    """`1 cell`, `2 cells`."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def _why(reasons: Iterable[str]) -> str:
    return "; ".join(dict.fromkeys(filter(None, map(text_of, reasons)))) or NO_REASON


def _safe(cell: object) -> str:
    """One line without a bar of its own: either would break the table."""
    return " ".join(str(cell).split()).replace("|", "\\|")
