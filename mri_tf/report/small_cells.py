"""Hides small counts of patients in the sentences and the embedded numbers of a card."""

import re
from typing import Any

from mri_tf.report.options import hidden_beside_a_small_one

# Keys of what is embedded that hold counts, or dictionaries of counts.
COUNTS = {"n", "patients", "support", "records", "fitted_on_patients", "cases", "counts"}
CLASSES = "per_class"  # a dictionary of each class, with its counts
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
    {'patients': {'low': None, 'high': None}, 'records': 12}

    Of counts that add up the next smallest is hidden too where one alone is small.
    """
    if isinstance(values, dict):
        values = _without_the_next(values, smallest, key)
        return {
            name: None if name in LEFT_OUT else
            numbers_without_small_counts(inner, smallest, key if key in COUNTS else name)
            for name, inner in values.items()
        }  # fmt: skip
    if isinstance(values, list):
        return [numbers_without_small_counts(inner, smallest, key) for inner in values]
    if isinstance(values, str):
        return without_small_counts(values, smallest)
    is_small = key in COUNTS and _is_count(values) and 0 < values < smallest
    return None if is_small else values


def _without_the_next(values: dict, smallest: int, key: str) -> dict:
    """Counts of groups that add up, either `values` themselves or one of each class, with one more
    hidden where only one is small: it would follow from the sum."""
    if key in COUNTS:
        return values | _next_hidden(values, smallest)
    if key != CLASSES:
        return values
    classes = {name: dict(of_class) for name, of_class in values.items()}
    for count in COUNTS:
        hidden = _next_hidden({name: one.get(count) for name, one in classes.items()}, smallest)
        for name in hidden:
            classes[name][count] = None
    return classes


def _next_hidden(counts: dict, smallest: int) -> dict[str, None]:
    """The smallest count that is not small itself, as None, where one alone is small."""
    known = {name: count for name, count in counts.items() if _is_count(count)}
    place = hidden_beside_a_small_one(list(known.values()), smallest)
    return {} if place is None else {list(known)[place]: None}


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)
