"""Hides small counts of patients in the sentences and the embedded numbers of a card."""

import re
from typing import Any

# Keys of what is embedded that hold counts, or dictionaries of counts.
COUNTS = {"n", "patients", "support", "records", "fitted_on_patients", "cases", "counts"}
LEFT_OUT = {"confusion", "members", "readers", "by_unit", "duplicates", "better_than_chance"}
OF_PATIENTS = r"(?= (?:other )?(?:patients?|groups of images)\b)"
SAID = re.compile(r"(?<!fewer than )\b(\d+)(?: (and|to) (\d+))?" + OF_PATIENTS)
OF_CLASSES = re.compile(r"(?<![\w./])\d+(?:/\d+)+(?!\.?\d|[\w/])")  # such as "site A 5/2"
IN_BRACKETS = re.compile(r"(?<=\w) \((\d+)\)(?=[,:;]|$)")


def without_small_counts(text: str, smallest: int) -> str:
    """A sentence in which numbers of patients below `smallest` are not told.

    >>> without_small_counts("2 and 30 patients are too few; low (2), high (30): rough", 5)
    'fewer than 5 and 30 patients are too few; low (fewer than 5), high (30): rough'
    """

    def told(number: str) -> str:
        return f"fewer than {smallest}" if 0 < int(number) < smallest else number

    def both(found: re.Match) -> str:
        second = f" {found[2]} {told(found[3])}" if found[2] else ""
        return told(found[1]) + second

    text = OF_CLASSES.sub(lambda found: "/".join(map(told, found[0].split("/"))), text)
    return IN_BRACKETS.sub(lambda found: f" ({told(found[1])})", SAID.sub(both, text))


def numbers_without_small_counts(values: Any, smallest: int, key: str = "") -> Any:
    """Values of metrics.json without what tells how few patients there are; None in their place.

    >>> numbers_without_small_counts({"patients": {"low": 2, "high": 9}, "records": 12}, 5)
    {'patients': {'low': None, 'high': 9}, 'records': 12}
    """
    if isinstance(values, dict):
        return {
            name: None if name in LEFT_OUT else
            numbers_without_small_counts(inner, smallest, key if key in COUNTS else name)
            for name, inner in values.items()
        }  # fmt: skip
    if isinstance(values, list):
        return [numbers_without_small_counts(inner, smallest, key) for inner in values]
    if isinstance(values, str):
        return without_small_counts(values, smallest)
    is_count = key in COUNTS and isinstance(values, int) and not isinstance(values, bool)
    return None if is_count and 0 < values < smallest else values
