"""Text of figures: its size, how wide it is printed, numbers with intervals."""

import math
import re

from matplotlib.font_manager import FontProperties
from matplotlib.textpath import text_to_path

FONT = "DejaVu Sans"  # it comes with matplotlib; the layout depends on it
TEXT_POINTS, LABEL_POINTS = 8.0, 9.0  # at printed size; no text is smaller than the first
MM_PER_INCH, POINTS_PER_INCH = 25.4, 72.0
LINE_MM = 1.2 * TEXT_POINTS / POINTS_PER_INCH * MM_PER_INCH  # from one line of text to the next


def width_mm(text: str, points: float = TEXT_POINTS) -> float:
    """How wide the longest line of a text is printed."""
    font = FontProperties(family=FONT, size=points)
    widths = [text_to_path.get_text_width_height_descent(line, font, ismath=False)[0]
              for line in text.split("\n") if line]  # fmt: skip
    return max(widths, default=0.0) / POINTS_PER_INCH * MM_PER_INCH


def wrapped(text: str, widest_mm: float, points: float = TEXT_POINTS) -> str:
    """The text with line breaks so that no line is wider than this: after spaces and commas, and inside
    a word where it alone is wider."""
    lines = [""]
    for part in re.split(r"(?<=[ ,])", text):
        whole = width_mm(part.rstrip(), points) <= widest_mm
        for piece in [part] if whole else part:
            if lines[-1] and width_mm((lines[-1] + piece).rstrip(), points) > widest_mm:
                lines.append("")
            lines[-1] += piece
    return "\n".join(line.rstrip() for line in lines)


def with_interval(value: float | None, low: float | None, high: float | None, sign: str = "") -> str:
    """`0.85 (0.71 to 0.93)` as figures print it; None and NaN mean that there is none.

    `sign` "+" writes the sign of positive numbers too.
    """
    value, low, high = (math.nan if number is None else float(number) for number in (value, low, high))
    if math.isnan(value):
        return "undefined"
    if math.isnan(low) or math.isnan(high):
        return f"{value:{sign}.2f} (no interval)".replace("-", "−")
    return f"{value:{sign}.2f} ({low:{sign}.2f} to {high:{sign}.2f})".replace("-", "−")
