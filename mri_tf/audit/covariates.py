"""What is known of a patient without an image, as numbers: age, sex and further columns of the table.

A column whose cells are all numbers is one; of any other each value is a yes or no. What is missing is
the mean, and where cells are missing, that is told too.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from data_prep.ages import AGE, OLDEST, age_in_years
from mri_tf.core.words import number_in
from mri_tf.evaluate.groups import SEX, SEX_WORDS

USUAL = (AGE, SEX)
MOST_VALUES = 20  # of a category; with more it names patients rather than groups of them
EMPTY = ("", "nan", "na", "n/a", "none", "unknown", "u")


@dataclass(frozen=True)
class Column:
    """A covariate of all records.

    Attributes:
        numbers: (records,) with NaN where it is missing; None of a category.
        words: (records,) text, "" where it is missing; None of a number.
    """

    numbers: np.ndarray | None
    words: np.ndarray | None

    @property
    def usable(self) -> bool:
        """Whether it differs between records, and is no name of each one."""
        if self.numbers is not None:
            known = self.numbers[np.isfinite(self.numbers)]
            return len(known) > 0 and bool(np.ptp(known) > 0 or len(known) < len(self.numbers))
        return 1 < len(np.unique(self.words)) <= MOST_VALUES


def column_of(facts: Sequence[dict], name: str) -> Column:
    """A fact of the records as a column.

    Args:
        facts: of each record.
        name: of the fact; `age` is read as years and ends at OLDEST.
    """
    words = np.array([_word(known.get(name, "")) for known in facts], dtype=object)
    if name == SEX:  # m, M and male are one value; a table's own codes stay as they are
        words = np.array([SEX_WORDS.get(word.lower(), word) for word in words], dtype=object)
    read = age_in_years if name == AGE else number_in
    numbers = np.array([read(word) for word in words], float)
    missing = words == ""
    if np.isfinite(numbers[~missing]).all():
        return Column(np.minimum(numbers, OLDEST) if name == AGE else numbers, None)
    return Column(None, words.astype(str))


def design(columns: Sequence[Column], learned: np.ndarray) -> np.ndarray:
    """Columns as features.

    Args:
        columns: that are usable.
        learned: (n,) positions of the records that decide means and which values there are.

    Returns:
        (records, features).
    """
    parts = [_of_numbers(one.numbers, learned) if one.words is None else _of_words(one.words, learned)
             for one in columns]  # fmt: skip
    return np.concatenate(parts, axis=1)


def _of_numbers(numbers: np.ndarray, learned: np.ndarray) -> np.ndarray:
    missing = ~np.isfinite(numbers)
    known = numbers[learned][~missing[learned]]
    filled = np.where(missing, known.mean() if len(known) else 0.0, numbers)
    parts = [filled] + ([missing.astype(float)] if missing[learned].any() else [])
    return np.stack(parts, axis=1)


def _of_words(words: np.ndarray, learned: np.ndarray) -> np.ndarray:
    values = np.unique(words[learned])
    values = values[1:] if len(values) == 2 else values  # of two values one column says all
    return (words[:, None] == values[None]).astype(float)


def _word(value: object) -> str:
    word = str(value).strip()
    return "" if word.lower() in EMPTY else word
