"""Which columns of a table beside the label's the records may keep, and which are the label again."""

import re
from dataclasses import dataclass

from data_prep.recognised import Recognised
from mri_tf.plan.label_column import USUAL_COLUMNS, Classes, distinct, read_by_several

# Words in the names of columns that may tell who a patient is, or who looked at the images.
PERSONAL = (
    "name", "date", "birth", "dob", "mrn", "uid", "address", "phone", "mail", "ssn", "_id", "accession",
    "initial", "post", "zip", "city", "street", "physician", "doctor", "referr", "day", "pid", "reader",
    "radiologist", "rater", "operator", "observer", "annotator", "surgeon", "technician", "technologist",
    "pathologist", "neurologist", "examiner", "investigator", "reporter", "author", "staff",
)  # fmt: skip
DATE = re.compile(
    r"\b(19|20)\d\d([-./]?)(0?[1-9]|1[0-2])\2\d{1,2}\b|\b\d{1,2}[-./]\d{1,2}[-./]\d{2,4}\b"
)
# Words in the names of columns that tell how an image was taken. Where they go with the class they are a
# shortcut, which the audit can find only if the records keep them.
ACQUISITION = re.compile(
    r"manufacturer|vendor|model|scanner|field|tesla|protocol|sequence|coil|station|software|device|kvp|"
    r"kernel|thickness|spacing|voxel|pixel|matrix|flip|_ms$|^t[rei]$|contrast|format|hospital|cent(er|re)|"
    r"site|institution|department|country|cohort|source|year|orientation"
)
MOST_VALUES = 12  # of a covariate


@dataclass(frozen=True)
class OtherColumns:
    """Columns of a table beside that of the label.

    Attributes:
        covariates: that records keep.
        like_label: that they do not keep, because each value goes with one class alone.
        shortcuts: of the covariates those for which this holds, and which tell how an image was taken.
    """

    covariates: tuple[str, ...] = ()
    like_label: tuple[str, ...] = ()
    shortcuts: tuple[str, ...] = ()


def other_columns(found: Recognised, classes: Classes, split: str) -> OtherColumns:
    """Columns of few repeated numbers or words, which records may keep; none that may name a person.

    What a column is called decides, and what it holds: names, dates and values that hardly repeat are
    left out. A column whose every value goes with one class is the label in another form, unless it
    tells how the image was taken.

    Args:
        found: what the layout found.
        classes: what is classified.
        split: the column of the sides under another name; "" where there is none.
    """
    kept, same, shortcuts = [], [], []
    for column in found.rows[0] if found.rows else ():
        values = distinct(found, column)
        people = {word for word in PERSONAL if word in column}
        known = USUAL_COLUMNS | set(found.no_labels) | {classes.column.lower(), split}
        known |= {column} if read_by_several(column) else set()
        few = 2 <= len(values) <= min(MOST_VALUES, len(found.rows) / 2)
        if column in known or people or not few or any(map(DATE.search, values)):
            continue
        is_label, technical = _is_label(found, column, classes), ACQUISITION.search(column)
        (same if is_label and not technical else kept).append(column)
        if is_label and technical:
            shortcuts.append(column)
    return OtherColumns(tuple(kept), tuple(same), tuple(shortcuts))


def _is_label(found: Recognised, column: str, classes: Classes) -> bool:
    """Whether each value of a column goes with one class alone, and the values with two at least."""
    label, values = classes.column.lower(), set(distinct(found, column))
    pairs = {(row[column], row[label]) for row in found.rows
             if row[column] in values and row[label] in classes.names}  # fmt: skip
    of_values = {value for value, _ in pairs}
    return len(pairs) == len(of_values) and len({name for _, name in pairs}) > 1
