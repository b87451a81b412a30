"""One class that is written in several ways, and numbers that are no classes."""

import math
import re
import unicodedata
from collections.abc import Iterable

from mri_tf.core.errors import InputError, first_few
from mri_tf.core.words import number_in

MOST_NUMBERS = 10  # that may be classes
LETTERS = r"(?<=[^\W\d_])", r"(?=[^\W\d_])"  # one before, one behind


def check_classes(values: tuple[str, ...], column: str) -> None:
    """Raises InputError for classes that differ only in their spelling, or that are measured numbers.

    Args:
        values: the classes.
        column: of a table; "" where folders are the classes.
    """
    numbers = [value for value in values if is_number(value)]
    words = [value for value in values if not is_number(value)]
    for what, key_of, looked_at, shown in (
        ("differ only in capitals", str.lower, words, str),
        ("differ only in blanks, hyphens, underscores or the code of a letter", spelled, words, exact),
        ("are the same number", number_in, numbers, str),
    ):
        first: dict[str | float, str] = {}
        for value in looked_at:
            other = first.setdefault(key_of(value), value)
            if other != value:
                raise InputError(
                    f"Two classes {what}.", f"{shown(other)} and {shown(value)}{_in_column(column)}",
                    "Write both alike.",
                )  # fmt: skip
    if len(values) > MOST_NUMBERS and len(numbers) == len(values):
        raise InputError(
            "The column of the labels holds many different numbers, which are no classes.",
            f"{column}: {first_few(values)}",
            "Choose another column, or write ranges of the numbers as words into a new one.",
        )  # fmt: skip


def in_order(values: Iterable[str]) -> tuple[str, ...]:
    """Values by number where all are numbers, else as words."""
    values = sorted(values)
    return tuple(sorted(values, key=number_in) if all(map(is_number, values)) else values)


def is_number(text: str) -> bool:
    """Whether a cell is a number, with a point or a comma.

    >>> is_number("1,0"), is_number("-2.5e3"), is_number("1_0"), is_number("II")
    (True, True, False, False)
    """
    return not math.isnan(number_in(text))


def spelled(text: str) -> str:
    """A class without capitals, and without what stands between letters and says nothing.

    >>> spelled("Low  grade") == spelled("low-grade") == spelled("low_grade ") == "lowgrade"
    True
    >>> spelled("HER2-"), spelled("1 2"), spelled("1-2")
    ('her2-', '1 2', '1 2')
    """
    plain = unicodedata.normalize("NFKC", text).casefold().strip()
    plain = re.sub(rf"{LETTERS[0]}[\s_-]+{LETTERS[1]}", "", plain)
    return re.sub(r"(?<=\w)[\s_-]+(?=\w)|[\s_]+", " ", plain)


def exact(text: str) -> str:
    """A class in quotes, as it is written: blanks in a row, which messages join, are counted.

    >>> exact("high  grade"), exact("low ")
    ("'high<2 blanks>grade'", "'low '")
    """
    return re.sub(" {2,}", lambda found: f"<{len(found[0])} blanks>", ascii(text))


def _in_column(column: str) -> str:
    return f" in the column {column}" if column else ", two folders"
