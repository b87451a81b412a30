"""A case: the files of one examination of a patient, as a layout lists them before any is read."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np

from data_prep.ages import AGE, kept_age
from data_prep.io.table import is_empty, path_in, reader_columns
from mri_tf.core.errors import InputError
from mri_tf.core.words import composed, printable
from mri_tf.store.record import NO_LABEL, Record
from mri_tf.task import Task

SIDE_WORDS = {
    "train": {"train", "training", "tr", "trn", "trainset", "trainingset"},
    "validation": {"validation", "val", "valid", "validate", "validationset", "valset", "dev"},
    "test": {"test", "testing", "ts", "tst", "testset", "testingset", "heldout", "holdout"},
}
SPLIT = "split"  # the usual column of the sides
# What tables call a fact, beside its own name; the first one that is filled in counts.
OTHER_NAMES = {
    "sex": ("gender", "geschlecht", "sexe", "sexo", "sesso"),
    "age": ("age_years", "patient_age", "alter", "edad"),
    "site": ("center", "centre", "hospital", "institution", "zentrum", "klinik"),
}


class Unreadable(ValueError):
    """A case or file that cannot be used; the message is the reason, without paths or patient ids."""


@dataclass(frozen=True)
class Case:
    """Files that become one or several records. Paths are relative to the raw folder."""

    patient: str
    files: dict[str, str]  # role -> path, e.g. {"image": "a.png", "mask": "b.png"}
    label: str = ""  # name of the class; empty for a segmentation task
    group: str = ""  # cases of one group stay on one side
    split: str = ""  # train, validation or test where the raw data say so
    facts: dict = field(default_factory=dict)  # site, scanner, age, sex
    slices: tuple[tuple[float, str], ...] = ()  # (height in mm, label) of the slices of a volume
    to_predict: bool = False  # read without labels, and without masks that only training needs
    line: int = 0  # in the table that lists it, for messages; 0 where there is none

    def __post_init__(self):
        # One name may be stored in two ways, as folders of macOS and tables of Windows do. What is no
        # text is refused by `layout_calls`.
        for name in ("patient", "group"):
            if isinstance(value := getattr(self, name), str):
                object.__setattr__(self, name, composed(value))

    @classmethod
    def from_row(
        cls, row: dict[str, str], files: dict[str, str], label: str = "", facts: Iterable[str] = (),
        split: str = SPLIT,
    ) -> "Case":
        """The case of a table's row; `facts` are the columns that are kept where they are filled in.

        Age, sex and site are found under `OTHER_NAMES` too. `split` is the column of the sides.
        Raises InputError if another one than usual is not there.
        """
        if split != SPLIT and split not in row:
            raise InputError(
                "The table has no column of the name in prep.split_column.", split,
                f"Columns: {', '.join(row)}.",
            )  # fmt: skip
        known = {name: kept_age(word) if name == AGE else word
                 for name in facts if (word := fact_of(row, name))}  # fmt: skip
        group = "" if is_empty(row.get("group", "")) else row["group"]
        side = side_named(row.get(split, ""))
        line = getattr(row, "line", 0)
        return cls(row["patient_id"], files, label, group, side, known, line=line)

    def as_json(self) -> dict:
        """The values that a prepared set is keyed by."""
        values = asdict(self)
        del values["to_predict"]  # False in every prepared set
        del values["line"]
        return values


def kept_columns(
    usual: Iterable[str], columns: Iterable[str], task: Task, label: str
) -> tuple[str, ...]:
    """The columns of a table that become facts of its cases: the usual ones of the layout, the task's
    covariates, and those of several readers of the column `label`."""
    return (*usual, *task.prep.get("covariates", ()), *reader_columns(columns, label))


def split_column_of(task: Task) -> str:
    """The column of a table that says on which side a case is."""
    return task.prep.get("split_column", SPLIT).strip().lower()


def fact_of(row: dict[str, str], name: str) -> str:
    """What a row says of a fact, under its name or another one; "" where it says nothing."""
    words = (row.get(column, "") for column in (name, *OTHER_NAMES.get(name, ())))
    return next((word for word in words if not is_empty(word)), "")


def side_named(text: str) -> str:
    """The side that a word means, such as "Training" or "val"; other words as they are.

    >>> side_named("Training"), side_named("VAL"), side_named("holdout"), side_named("fold 3")
    ('train', 'validation', 'test', 'fold 3')
    """
    word = text.strip().lower().replace("-", "").replace("_", "").replace(" ", "")
    return next((side for side, words in SIDE_WORDS.items() if word in words), text)


def main_file(case: Case) -> str:
    """The file that names a case in messages and in the private sidecar."""
    if not case.files and case.line:
        return f"line {case.line} of the table"
    return next(iter(case.files.values()), case.patient)


def has_several_images(case: Case) -> bool:
    """Whether a case has more files than one beside its masks."""
    return len(case.files.keys() - {"mask", "brain_mask"}) > 1


def nifti_file(raw: Path, stem: str) -> str:
    """Path in the raw folder: `stem`.nii where there is such a file, else `stem`.nii.gz."""
    paths = [path_in(raw, f"{stem}{suffix}") for suffix in (".nii", ".nii.gz")]
    return paths[0] if (raw / paths[0]).is_file() else paths[1]


def record_of(
    case: Case, task: Task, image: np.ndarray, mask: np.ndarray | None = None, label: str | None = None,
    facts: dict | None = None, affine: np.ndarray | None = None, stats: np.ndarray | None = None,
) -> Record:  # fmt: skip
    """A record of a case, without an id; `label` and `facts` are the case's unless given."""
    label = case.label if label is None else label
    return Record(
        record_id="", patient=printable(case.patient), image=image, mask=mask,
        group=printable(case.group), split=case.split,
        label=task.class_names.index(label) if label else NO_LABEL, affine=affine,
        facts=case.facts if facts is None else facts, intensity_stats=stats,
    )  # fmt: skip
