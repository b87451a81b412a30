"""Words for people: names and numbers as they are written and stored, and counts with their nouns."""

import math
import re
import unicodedata
from collections.abc import Iterable

NUMBER = re.compile(r"[+-]?(\d+([.,]\d*)?|[.,]\d+)(e[+-]?\d+)?", re.IGNORECASE)


def printed_name(name: str) -> str:
    """The name of a class, or of another thing that a task names, as people write it.

    Underscores, which stand for spaces in files and folders, become spaces. Everything else stays as
    the task writes it, capitals too: `LGG` and `lgg` are both right somewhere.

    >>> [printed_name(name) for name in ("no_tumor", "LGG", "_NORMAL T1")]
    ['no tumor', 'LGG', 'NORMAL T1']
    """
    return " ".join(name.replace("_", " ").split()) or name


def plural(count: int, noun: str) -> str:
    """A count with its noun, which takes an s.

    >>> plural(1, "cell"), plural(2, "cell")
    ('1 cell', '2 cells')
    """
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def number_in(text: str) -> float:
    """The number that a cell of a table is, with a point or a comma; NaN where it is none.

    >>> number_in("12,5"), number_in("-2.5e3"), number_in("1_0"), number_in("II")
    (12.5, -2500.0, nan, nan)
    """
    word = text.strip()
    return float(word.replace(",", ".")) if NUMBER.fullmatch(word) else math.nan


def modality_word(text: str) -> str:
    """The word of a modality as DICOM writes it, of how a person wrote it.

    >>> modality_word("mri "), modality_word("Ct"), modality_word("")
    ('MR', 'CT', '')
    """
    word = text.strip().upper()
    return "MR" if word == "MRI" else word


def composed(text: str) -> str:
    """A text with one character for a letter and its accent: some systems store two (NFC of Unicode).

    >>> composed("Mu\\u0308ller") == "M\\u00fcller"
    True
    """
    return unicodedata.normalize("NFC", text)


def printable(text: str) -> str:
    """A text that may be stored as UTF-8: names of files and folders are bytes, and may be no text.

    >>> printable("M\\udcfcller")
    'M\\\\udcfcller'
    """
    return text.encode("utf-8", "backslashreplace").decode()


def spelled_otherwise(wanted: str, there: Iterable[str]) -> str:
    """How a word differs from one of those that are there, in words; "" where none is nearly alike.

    >>> spelled_otherwise("7", ["007", "008"]), spelled_otherwise("sub-1", ["sub-01"])
    ('leading zeros', 'leading zeros')
    >>> spelled_otherwise("p4", ["P4"]), spelled_otherwise("p4 ", ["P04"]), spelled_otherwise("a", ["b"])
    ('capitals or blanks', 'leading zeros and capitals or blanks', '')
    """
    there = set(there)
    for name, alike in (
        ("leading zeros", _without_zeros),
        ("capitals or blanks", _plain),
        ("leading zeros and capitals or blanks", lambda word: _without_zeros(_plain(word))),
    ):
        if alike(wanted) in map(alike, there - {wanted}):
            return name
    return ""


def _plain(word: str) -> str:
    return "".join(word.split()).casefold()


def _without_zeros(word: str) -> str:
    return re.sub(r"(?<!\d)0+(?=\d)", "", word)
