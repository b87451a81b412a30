"""Which column of a table holds the labels."""

from dataclasses import dataclass

from data_prep.case import OTHER_NAMES
from data_prep.io.labels import labels_in
from data_prep.io.table import READER
from data_prep.recognised import Recognised
from mri_tf.core.errors import InputError, first_few
from mri_tf.plan.class_spelling import MOST_NUMBERS, check_classes, in_order, is_number
from mri_tf.plan.split_column import split_column

# Columns that say something else of a case than its class.
PATIENTS = {"patient_id", "participant_id", "accession_number"}
USUAL_COLUMNS = {
    "patient_id", *OTHER_NAMES, "scanner", "group", "split", "modality", "mask", "seg", "comment",
    "notes", "folder", "case",
}.union(*OTHER_NAMES.values())  # fmt: skip
MOST_CLASSES = 50
LEAST_FILLED = 0.5  # share of the rows of a column that may be a label
LEAST_PATIENTS = 2  # of each class
MOST_MISSPELT = 2  # words of one patient each in a column that is a label otherwise
LABEL = "label"  # a column of this name is the label, whatever others there are


@dataclass(frozen=True)
class Classes:
    """What is classified: the column that says it (empty where folders do), and the classes in order."""

    column: str
    names: tuple[str, ...]


def classes_of(found: Recognised, label: str) -> Classes:
    """The classes, from the column that --label names or the only one that can be the label.

    Raises:
        InputError: there is no such column, or several can be the label.
    """
    if not found.rows:
        return _classes_of_folders(found, label)
    fitting = {column: names for column in found.rows[0] if (names := _label_values(found, column))}
    if label:
        return Classes(label.strip(), _values_of_column(found, label, fitting))
    usual = (USUAL_COLUMNS | set(found.no_labels)) - set(found.may_be_label)
    usual |= {*filter(read_by_several, found.rows[0]), split_column(found, "")}
    fitting = {column: names for column, names in fitting.items() if column not in usual}
    if LABEL in fitting and LABEL not in found.agreed:
        fitting = {LABEL: fitting[LABEL]}
    misspelt = {} if LABEL in fitting else {
        column: rare for column in found.rows[0]
        if column not in usual | fitting.keys() and (rare := _rare_words(found, column))
    }  # fmt: skip
    if len(fitting) != 1 or misspelt:
        seen = ", ".join(
            [f"{column} ({first_few(names, 3)})" for column, names in fitting.items()]
            + [f"{column} (but for {rare})" for column, rare in misspelt.items() if fitting]
        )
        raise InputError(
            "Several columns of the table can be the label."
            if fitting else "No column of the table can be the label: 2 to "
            f"{MOST_CLASSES} classes with at least {LEAST_PATIENTS} patients each.",
            seen or _nearly(found, usual) or f"columns {', '.join(found.rows[0])}",
            "Name it with --label COLUMN, or correct the cells." if not seen else
            "Name it with --label COLUMN.",
        )  # fmt: skip
    ((column, names),) = fitting.items()
    check_classes(names, column)
    return Classes(column, names)


def _values_of_column(
    found: Recognised, label: str, fitting: dict[str, tuple[str, ...]]
) -> tuple[str, ...]:
    """The classes in the column that --label names; raises InputError where it holds none.

    Args:
        found: what the layout found.
        label: as given.
        fitting: column -> classes, of the columns that could be the label.
    """
    wanted = label.strip().lower()
    if wanted not in found.rows[0]:
        raise InputError(
            "The table has no column of that name.", f"--label {label}",
            f"Columns: {', '.join(found.rows[0])}.",
        )  # fmt: skip
    if wanted in PATIENTS | set(found.no_labels) - set(found.may_be_label):
        raise InputError(
            "--label must name the column of the labels, not of patients or files.",
            f"--label {label}", f"Columns: {', '.join(found.rows[0])}.",
        )  # fmt: skip
    values = fitting.get(wanted) or distinct(found, wanted)
    if len(values) < 2:
        raise InputError(
            "The column of the labels must hold at least two classes.",
            f"--label {label}: {first_few(values) or 'empty'}", "Choose another column.",
        )  # fmt: skip
    if len(values) > MOST_CLASSES:
        raise InputError(
            "The column of the labels holds too many different values to be classes.",
            f"--label {label}: {len(values)} values", "Choose another column, or group the values.",
        )  # fmt: skip
    check_classes(values, label)
    return values


def _nearly(found: Recognised, usual: set[str]) -> str:
    """The columns that few cells keep from being the label, with the rare values and their lines."""
    texts = []
    for column in found.rows[0]:
        lines = _lines_of_values(found, column)
        rare = [f"{value!r} in line {first_few(where)}" for value, where in lines.items()
                if len(where) < LEAST_PATIENTS]  # fmt: skip
        if column not in usual and 0 < len(rare) <= len(lines) / 2 and len(lines) <= MOST_CLASSES:
            texts.append(f"column {column}, with a patient each of {first_few(rare, 3)}")
    return "; ".join(texts)


def _lines_of_values(found: Recognised, column: str) -> dict[str, list[str]]:
    """Value -> the lines of the table whose cell in the column holds it."""
    lines: dict[str, list[str]] = {}
    known = distinct(found, column)
    for row in found.rows:
        if row.get(column) in known:
            lines.setdefault(row[column], []).append(str(row.line))
    return lines


def _rare_words(found: Recognised, column: str) -> str:
    """The one or two words that keep a column of words from being the label, as misspelt cells do, with
    their lines; "" of any other column."""
    lines = _lines_of_values(found, column)
    rare = {value: where for value, where in lines.items() if len(where) < LEAST_PATIENTS}
    usual = len(lines) - len(rare)
    if not rare or len(rare) > MOST_MISSPELT or not 2 <= usual <= MOST_NUMBERS:
        return ""
    if all(map(is_number, lines)) or sum(map(len, lines.values())) < LEAST_FILLED * len(found.rows):
        return ""
    return ", ".join(f"{value!r} in line {first_few(where)}" for value, where in rare.items())


def read_by_several(column: str) -> str:
    """What several readers give, by the name of one's column: label of label_reader1; else ""."""
    found = READER.match(column)
    return found[1] if found else ""


def _classes_of_folders(found: Recognised, label: str) -> Classes:
    if label:
        raise InputError(
            "--label names a column of a table, but here the folders say the class.", label,
            "Leave out --label, or give the table with --labels.",
        )  # fmt: skip
    if not found.class_names:
        raise InputError(
            "Nothing says which class the cases are of.", found.why,
            "Give a table with --labels TABLE, and its column with --label.",
        )  # fmt: skip
    check_classes(found.class_names, "")
    return Classes("", found.class_names)


def distinct(found: Recognised, column: str) -> tuple[str, ...]:
    """The labels in a column, in order."""
    return in_order(labels_in(row.get(column, "") for row in found.rows))


def _label_values(found: Recognised, column: str) -> tuple[str, ...]:
    """The classes in a column; none where it cannot be a label."""
    values = distinct(found, column)
    filled = [row for row in found.rows if row.get(column) in values]
    if not 2 <= len(values) <= MOST_CLASSES or len(filled) < LEAST_FILLED * len(found.rows):
        return ()
    patients: dict[str, set[str]] = {value: set() for value in values}
    for row in filled:
        patients[row[column]].add(row.get("patient_id") or row.get("participant_id") or str(row.line))
    return values if min(map(len, patients.values())) >= LEAST_PATIENTS else ()
