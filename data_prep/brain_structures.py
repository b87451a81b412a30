"""T1 MR volumes of the head with label maps of 19 structures (recipe A, 3D pre-training).

Raw layout: volumes/<patient>.nii.gz and labels/<patient>.nii.gz on the same grid, values in the
order of class_names. A volume without a label map is not listed.
"""

from pathlib import Path

from data_prep.cases.to_predict import Unlabelled, volumes_at
from data_prep.cases.volume_case import OPERATIONS, SETTINGS, check_settings, labelled_sources
from data_prep.cases.volume_case import labelled_record as read_source
from data_prep.phantom.brain.dataset import write_brain_structures_phantom
from data_prep.source import Source
from mri_tf.task import Task

__all__ = [
    "OPERATIONS", "SETTINGS", "list_sources", "read_source", "sources_to_predict", "write_phantom",
]  # fmt: skip


def list_sources(raw: Path, task: Task) -> list[Source]:
    """One source an image with a label map; raises InputError if there is none."""
    check_settings(task, ("t1",))
    return labelled_sources(raw, task, "volumes")


def sources_to_predict(path: Path, task: Task) -> list[Unlabelled]:
    """A volume, a table of patients, or a folder of volumes."""
    return volumes_at(path, "t1", "volumes")


def write_phantom(folder: Path, patients: int, seed: int, signal: bool, progress=None) -> None:
    """The brain phantom, every patient with a label map."""
    write_brain_structures_phantom(folder, patients, seed, signal, progress)
