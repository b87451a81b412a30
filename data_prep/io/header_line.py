"""Finds the line of a table that names its columns, where titles and notes stand above it."""

from collections.abc import Iterable, Sequence

from mri_tf.core.progress import say_once
from mri_tf.core.words import composed

MOST_TITLES = 9  # lines above the header that may be titles


def header_at(rows: Sequence[Sequence[str]], required: Iterable[str]) -> int:
    """The place of the header among the first rows of a table; 0 unless titles stand above it.

    The header is the first row that names all required columns. Where none does, the rows above it have
    one filled cell each, and it has several.

    Args:
        rows: cells of each row that is not empty.
        required: columns that the table must have.

    >>> header_at([["Study 7", "", ""], ["ID", "grade", ""], ["P1", "II", ""]], ())
    1
    >>> header_at([["Study 7", "2024"], ["patient_id", "grade"], ["P1", "II"]], ["patient_id"])
    1
    >>> header_at([["patient_id"], ["P1"]], ())
    0
    """
    first = rows[: MOST_TITLES + 1]
    wanted = {composed(name.lower()) for name in required}
    named = [{composed(cell.strip().lower()) for cell in cells} for cells in first]
    for place, names in enumerate(named):
        if wanted and wanted <= names:
            return place
    filled = [len(names - {""}) for names in named]
    several = next((place for place, count in enumerate(filled) if count > 1), 0)
    return several if all(count == 1 for count in filled[:several]) else 0


def without_titles(
    lines: list[tuple[int, list[str]]], required: Iterable[str], table: str
) -> list[tuple[int, list[str]]]:
    """(line, cells) from the header on; the terminal says how many lines stand above it."""
    place = header_at([cells for _, cells in lines[: MOST_TITLES + 1]], required)
    if place:
        count = "one line" if place == 1 else f"{place} lines"
        say_once(f"{table}: {count} above the names of the columns left out")
    return lines[place:]
