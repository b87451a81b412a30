"""T1 MR volumes of the head with label maps of 19 structures (recipe A, 3D pre-training).

Raw layout: volumes/<patient>.nii.gz and labels/<patient>.nii.gz on the same grid, values in the
order of class_names. A volume without a label map is not listed.
"""

from pathlib import Path

from data_prep.phantom.brain import write_brain_structures_phantom
from data_prep.readers.nifti import read_nifti
from data_prep.source import Source
from data_prep.study3d import OPERATIONS, SETTINGS, check_settings, study_record
from data_prep.volume import three_dimensional
from mri_tf.errors import InputError
from mri_tf.schema import Record
from mri_tf.task import Task

__all__ = ["OPERATIONS", "SETTINGS", "list_sources", "read_source", "write_phantom"]
SEQUENCES = ("t1",)


def list_sources(raw: Path, task: Task) -> list[Source]:
    """One source a volume with a label map; raises InputError if there is none."""
    check_settings(task, SEQUENCES)
    maps = sorted(path for path in (raw / "labels").glob("[!.]*") if ".nii" in path.name)
    if not maps:
        raise InputError(
            f"The raw folder of {task.name} holds volumes/ and labels/ with NIfTI files.",
            f"{raw} without label maps",
            "Add labels/<patient>.nii.gz beside volumes/<patient>.nii.gz.",
        )
    return [
        Source(
            patient=path.name.partition(".nii")[0],
            files={"t1": f"volumes/{path.name}", "labels": f"labels/{path.name}"},
        )
        for path in maps
    ]


def read_source(raw: Path, source: Source, task: Task) -> list[Record]:
    """The volume and its label map on the task's grid."""
    volume = three_dimensional(read_nifti(raw / source.files["t1"]))
    labels = three_dimensional(read_nifti(raw / source.files["labels"]))
    return study_record({"t1": volume}, labels, source, task, SEQUENCES)


def write_phantom(folder: Path, patients: int, seed: int, signal: bool, progress=None) -> None:
    """The brain phantom, every patient with a label map."""
    write_brain_structures_phantom(folder, patients, seed, signal, progress)
