"""The labels in a table: the column of the label, or one column for each of several readers.

Readers write into `label_reader1`, `label_reader2` and so on (after the name of the label's column); an
empty cell is a case that a reader has not read. A column `label` beside them is the truth; without it
the truth is what the readers agree on, and a case on which they do not agree has no label.
"""

from collections import Counter
from collections.abc import Iterable, Sequence

from data_prep.io.table import Row, is_empty, reader_columns
from mri_tf.core.errors import InputError, first_few
from mri_tf.task import Task

# What people and registers write for a label that nobody knows, in lower case.
UNKNOWN = {
    "?", "??", "???", "-", "--", "---", "unknown", "unk", "missing", "not available", "not known",
    "not reported", "not evaluated", "not applicable", "not specified", "not determined", "discrepancy",
    "n.a.", "tbd", "pending", "unbekannt", "inconnu", "desconocido", "#value!",
    "#ref!", "#name?", "#div/0!",
}  # fmt: skip


def says_no_label(text: str) -> bool:
    """Whether a cell of labels is empty, or says that the label is not known.

    >>> [says_no_label(text) for text in ("", "[Not Available]", "Unknown", "?", "none", "0")]
    [True, True, True, True, False, False]
    """
    word = " ".join(text.lower().strip(" []()<>.").split())
    return is_empty(text) or word in UNKNOWN or text.strip().lower() in UNKNOWN


def labels_in(cells: Iterable[str]) -> set[str]:
    """The cells of a column that name a label; - is one where + stands too.

    >>> sorted(labels_in(["low", "unknown", "high", "-"])), sorted(labels_in(["+", "-", "?"]))
    (['high', 'low'], ['+', '-'])
    """
    cells = set(cells)
    signs = {"-", "--"} if any(cell.startswith("+") for cell in cells) else set()
    return {cell for cell in cells if cell in signs or not says_no_label(cell)}


def check_labels(rows: list[Row], column: str, task: Task, table: str) -> None:
    """Checks the labels of rows, those of readers too; where the table has no `column`, fills it in.

    A label that is missing, or written as NaN, N/A or unknown, becomes empty unless the task has a class
    of that name: `list_cases` says in which lines.
    Raises InputError if a label is not a class name of the task.
    """
    readers = reader_columns(rows[0], column)
    for name in (column, *readers):
        _check_column([row for row in rows if name in row], name, task, table)
    for row in rows:
        if column not in row:
            given = [row.get(name, "") for name in readers]
            row[column] = consensus(given, task.class_names, task.ordered)


def consensus(labels: Sequence[str], class_names: Sequence[str], ordered: bool = False) -> str:
    """The label that readers agree on; "" where they do not agree.

    That is the class that more of them name than any other; of grades the median, if it is a grade and
    does not lie between two.

    Args:
        labels: of each reader; "" of one who has not read the case.
        class_names: the classes; of grades the lowest first.
        ordered: the classes are grades.

    >>> consensus(["I", "II", "II"], ["I", "II", "III"]), consensus(["I", "", "II"], ["I", "II"])
    ('II', '')
    >>> consensus(["I", "II", "III"], ["I", "II", "III"], ordered=True)
    'II'
    """
    given = [label for label in labels if label]
    if not given:
        return ""
    if ordered:
        grades = sorted(given, key=list(class_names).index)
        lower, upper = grades[(len(grades) - 1) // 2], grades[len(grades) // 2]
        return lower if lower == upper else ""
    (first, most), *others = Counter(given).most_common(2)
    return "" if others and others[0][1] == most else first


def _check_column(rows: list[Row], column: str, task: Task, table: str) -> None:
    for row in rows:
        if row[column] not in task.class_names and says_no_label(row[column]):
            row[column] = ""
    wrong = [row for row in rows if row[column] not in (*task.class_names, "")]
    if wrong:
        lines = first_few(f"{row[column]!r} in line {row.line}" for row in wrong)
        raise InputError(
            f"Labels in {table} must be classes of task {task.name}: {', '.join(task.class_names)}.",
            f"{lines}, column {column}", "Correct the table, or class_names in the task file.",
        )  # fmt: skip
