"""T1 MR crops around one hippocampus with label maps: Medical Segmentation Decathlon, task 04.

Raw layout: images/<patient>.nii.gz and labels/<patient>.nii.gz on one grid; labels 1 anterior,
2 posterior. An image without a label map is not listed.
"""

from pathlib import Path

from data_prep.cases.to_predict import Unlabelled, volumes_at
from data_prep.cases.volume_case import OPERATIONS, SETTINGS, check_settings, labelled_sources
from data_prep.cases.volume_case import labelled_record as read_source
from data_prep.phantom.hippocampus import write_hippocampus_phantom
from data_prep.source import Source
from mri_tf.task import Task

__all__ = [
    "OPERATIONS", "SETTINGS", "list_sources", "read_source", "sources_to_predict", "write_phantom",
]  # fmt: skip


def list_sources(raw: Path, task: Task) -> list[Source]:
    """One source an image with a label map; raises InputError if there is none."""
    check_settings(task, ("t1",))
    return labelled_sources(raw, task, "images")


def sources_to_predict(path: Path, task: Task) -> list[Unlabelled]:
    """A volume, a table of patients, or a folder of volumes."""
    return volumes_at(path, "t1", "images")


def write_phantom(folder: Path, patients: int, seed: int, signal: bool, progress=None) -> None:
    """Curved tubes of two halves in this layout."""
    write_hippocampus_phantom(folder, patients, seed, progress)
