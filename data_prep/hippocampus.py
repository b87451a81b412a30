"""T1 MR crops around one hippocampus with label maps: Medical Segmentation Decathlon, task 04.

Raw layout: images/<patient>.nii.gz and labels/<patient>.nii.gz on one grid; labels 1 anterior,
2 posterior. An image without a label map is not listed.
"""

from pathlib import Path

from data_prep.phantom.hippocampus import write_hippocampus_phantom
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
    """One source an image with a label map; raises InputError if there is none."""
    check_settings(task, SEQUENCES)
    maps = sorted(path for path in (raw / "labels").glob("[!.]*") if ".nii" in path.name)
    if not maps:
        raise InputError(
            f"The raw folder of {task.name} holds images/ and labels/ with NIfTI files.",
            f"{raw} without label maps",
            "Add labels/<patient>.nii.gz beside images/<patient>.nii.gz.",
        )
    return [
        Source(
            patient=path.name.partition(".nii")[0],
            files={"t1": f"images/{path.name}", "mask": f"labels/{path.name}"},
        )
        for path in maps
    ]


def read_source(raw: Path, source: Source, task: Task) -> list[Record]:
    """The image and its label map on the task's grid."""
    image = three_dimensional(read_nifti(raw / source.files["t1"]))
    labels = three_dimensional(read_nifti(raw / source.files["mask"]))
    return study_record({"t1": image}, labels, source, task, SEQUENCES)


def write_phantom(folder: Path, patients: int, seed: int, signal: bool, progress=None) -> None:
    """Curved tubes of two halves in this layout."""
    write_hippocampus_phantom(folder, patients, seed, progress)
