"""Layout: 3D volumes with label maps, for segmentation tasks.

    volumes/<patient>.nii.gz   or images/<patient>.nii.gz
    labels/<patient>.nii.gz    on the same grid, values in the order of class_names

A volume without a label map is not listed.
"""

from pathlib import Path

from data_prep.case import Case
from data_prep.cases.case_volumes import Masks, read_labels, read_volume
from data_prep.cases.to_predict import CaseToPredict, volumes_at
from data_prep.cases.volume_case import case_record
from data_prep.cases.volume_settings import OPERATIONS, SETTINGS, check_settings
from mri_tf.core.errors import InputError
from mri_tf.store.record import Record
from mri_tf.task import Task

__all__ = ["OPERATIONS", "SETTINGS", "VERSION", "cases_to_predict", "list_cases", "read_case"]
VERSION = 3
FOLDERS = ("volumes", "images")


def list_cases(raw: Path, task: Task) -> list[Case]:
    """One case per label map; raises InputError if there is none."""
    channel = _only_channel(task)
    check_settings(task, task.channels)
    maps = sorted(path for path in (raw / "labels").glob("[!.]*") if ".nii" in path.name)
    if not maps:
        raise InputError(
            "The raw folder holds no label maps.", f"{raw} without labels/*.nii.gz",
            "Put label maps into labels/<patient>.nii.gz, volumes into volumes/ or images/.",
        )  # fmt: skip
    folder = _folder_of(raw)
    return [
        Case(
            patient=path.name.partition(".nii")[0],
            files={channel: f"{folder}/{path.name}", "labels": f"labels/{path.name}"},
        )
        for path in maps
    ]


def read_case(raw: Path, case: Case, task: Task) -> list[Record]:
    """The volume and its label map, if it has one, on the task's grid; raises Unreadable."""
    channel = _only_channel(task)
    volume, labels = read_volume(raw, case, channel), read_labels(raw, case, "labels")
    return case_record({channel: volume}, Masks(labels), case, task, task.channels)


def cases_to_predict(path: Path, task: Task) -> list[CaseToPredict]:
    """A volume, a table of patients, or a folder of volumes."""
    home = path.parent if path.is_file() else path
    return volumes_at(path, _only_channel(task), _folder_of(home))


def _only_channel(task: Task) -> str:
    """The channel of the volumes; raises InputError for a task of several."""
    if len(task.channels) != 1:
        raise InputError(
            f"The layout labelled_volumes has one volume for each patient, task {task.name} several "
            "channels.", f"channels {', '.join(task.channels)}",
            "Name one channel, or use the layout cases_table, whose table has a column for each.",
        )  # fmt: skip
    return task.channels[0]


def _folder_of(raw: Path) -> str:
    return next((name for name in FOLDERS if (raw / name).is_dir()), FOLDERS[0])
