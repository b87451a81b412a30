"""T1 MR volumes of the head with a tumour type each (recipe A, 3D).

Raw layout: volumes/<patient>.nii.gz and types.csv with patient_id and label; optionally site,
scanner, group and split. Volumes that the table does not name are another task's.
"""

from pathlib import Path

from data_prep.case import Case
from data_prep.cases.to_predict import CaseToPredict, volumes_at
from data_prep.cases.volume_case import OPERATIONS, SETTINGS, check_settings, study_record
from data_prep.io.nifti import read_nifti
from data_prep.io.table import check_labels, check_patients, read_table
from data_prep.volume import three_dimensional
from mri_tf.store.record import Record
from mri_tf.task import Task

__all__ = ["OPERATIONS", "SETTINGS", "VERSION", "cases_to_predict", "list_cases", "read_case"]
VERSION = 1
SEQUENCES = ("t1",)
FACTS = ("site", "scanner", "age", "sex")


def list_cases(raw: Path, task: Task) -> list[Case]:
    """One source a row of types.csv; raises InputError for a table that cannot be used."""
    check_settings(task, SEQUENCES)
    rows = read_table(raw / "types.csv", ("patient_id", "label"))
    check_patients(rows, "types.csv")
    check_labels([row["label"] for row in rows], task, "types.csv")
    return [
        Case(
            patient=row["patient_id"],
            files={"t1": _volume_file(raw, row["patient_id"])},
            label=row["label"],
            group=row.get("group", ""),
            split=row.get("split", ""),
            facts={key: row[key] for key in FACTS if row.get(key)},
        )
        for row in rows
    ]


def _volume_file(raw: Path, patient: str) -> str:
    plain = f"volumes/{patient}.nii"
    return plain if (raw / plain).is_file() else f"{plain}.gz"


def read_case(raw: Path, case: Case, task: Task) -> list[Record]:
    """The volume on the task's grid."""
    volume = three_dimensional(read_nifti(raw / case.files["t1"]))
    return study_record({"t1": volume}, None, case, task, SEQUENCES)


def cases_to_predict(path: Path, task: Task) -> list[CaseToPredict]:
    """A volume, a table of patients, or a folder of volumes."""
    return volumes_at(path, "t1", "volumes")
