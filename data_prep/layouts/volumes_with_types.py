"""Layout: T1 volumes of the head and a table of their classes, such as tumour types.

    types.csv                  patient_id, label; optional: site, scanner, age, sex, group, split
    volumes/<patient>.nii.gz   or .nii; volumes that the table does not name are ignored
"""

from pathlib import Path

from data_prep.case import Case, nifti_file
from data_prep.cases.case_volumes import Masks, read_volume
from data_prep.cases.to_predict import CaseToPredict, volumes_at
from data_prep.cases.volume_case import case_record
from data_prep.cases.volume_settings import OPERATIONS, SETTINGS, check_settings
from data_prep.io.labels import check_labels
from data_prep.io.table import check_patients, read_table
from mri_tf.store.record import Record
from mri_tf.task import Task

__all__ = ["OPERATIONS", "SETTINGS", "VERSION", "cases_to_predict", "list_cases", "read_case"]
VERSION = 3
SEQUENCES = ("t1",)
FACTS = ("site", "scanner", "age", "sex")


def list_cases(raw: Path, task: Task) -> list[Case]:
    """One case per row of types.csv; raises InputError for a table that cannot be used."""
    check_settings(task, SEQUENCES)
    rows = read_table(raw / "types.csv", ("patient_id", "label"))
    check_patients(rows, "types.csv")
    check_labels(rows, "label", task, "types.csv")
    return [
        Case.from_row(
            row, {"t1": nifti_file(raw, f"volumes/{row['patient_id']}")}, row["label"], FACTS
        )
        for row in rows
    ]


def read_case(raw: Path, case: Case, task: Task) -> list[Record]:
    """The volume on the task's grid."""
    return case_record({"t1": read_volume(raw, case, "t1")}, Masks(), case, task, SEQUENCES)


def cases_to_predict(path: Path, task: Task) -> list[CaseToPredict]:
    """A volume, a table of patients, or a folder of volumes."""
    return volumes_at(path, "t1", "volumes")
