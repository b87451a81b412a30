"""Which column of a table says on which side each case is."""

from data_prep.case import SPLIT, side_named
from data_prep.io.table import is_empty
from data_prep.recognised import Recognised
from mri_tf.core.errors import InputError
from mri_tf.task.spec import SIDES


def split_column(found: Recognised, label: str) -> str:
    """The column of the sides under another name than split; "" where there is none.

    Args:
        found: what the layout found.
        label: the column of the labels, which is not looked at; "" where it is not known yet.

    Returns:
        A column such as set or fold whose filled cells are all words for sides, two different at least.
        A column split is the usual one, and then no other is.

    Raises:
        InputError: several such columns say different things.
    """
    if not found.rows or any(not is_empty(row.get(SPLIT, "")) for row in found.rows):
        return ""
    sides = {}
    for column in found.rows[0]:
        if column in {label.lower(), *found.no_labels}:
            continue
        named = tuple("" if is_empty(row[column]) else side_named(row[column]) for row in found.rows)
        if set(named) <= {"", *SIDES} and len({*named} - {""}) > 1:
            sides[column] = named
    if len(set(sides.values())) > 1:
        raise InputError(
            "Several columns of the table say on which side of the split a case is, and differ.",
            ", ".join(sides), "Keep one of them, or name the one that is meant split.",
        )  # fmt: skip
    return next(iter(sides), "")
