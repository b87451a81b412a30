"""The phantoms by name: `phantom` of a task names a function of this file.

Each writes synthetic raw data in the layout of its task and continues where it was interrupted.

Args of each:
    folder: where to write.
    patients: how many.
    seed: of everything that is drawn.
    signal: False permutes the labels over the patients, so that they say nothing of the images.
    progress: called with (patients done, patients in all), or None.
"""

from collections.abc import Callable
from pathlib import Path

from data_prep.phantom.brain.dataset import write_brain_structures_phantom, write_brain_type_phantom
from data_prep.phantom.class_pictures.dataset import write_class_pictures
from data_prep.phantom.glioma.dataset import write_glioma_phantom
from data_prep.phantom.glioma.lgg import write_lgg_phantom
from data_prep.phantom.glioma.mgmt import write_mgmt_phantom
from data_prep.phantom.hippocampus import write_hippocampus_phantom
from data_prep.phantom.meningioma.dataset import write_meningioma_phantom
from data_prep.phantom.short_axis import write_short_axis_phantom
from data_prep.phantom.thorax.dataset import write_thorax_phantom

Progress = Callable[[int, int], None] | None

brain_structures = write_brain_structures_phantom
brain_types = write_brain_type_phantom
class_pictures = write_class_pictures
glioma = write_glioma_phantom
lgg = write_lgg_phantom
meningioma = write_meningioma_phantom
short_axis = write_short_axis_phantom


def hippocampus(folder: Path, patients: int, seed: int, signal: bool, progress: Progress = None) -> None:
    """Curved tubes of two halves; a segmentation has no labels to permute."""
    write_hippocampus_phantom(folder, patients, seed, progress)


def mgmt(folder: Path, patients: int, seed: int, signal: bool, progress: Progress = None) -> None:
    """Four DICOM sequences a patient with textures of their own; labels are chance in any case."""
    write_mgmt_phantom(folder, patients, seed, progress)


def thorax_levels(
    folder: Path, patients: int, seed: int, signal: bool, progress: Progress = None
) -> None:
    """`patients` with levels, and two thirds as many others with label maps."""
    write_thorax_phantom(folder, max(3, 2 * patients // 3), patients, seed, signal, progress)


def thorax_structures(
    folder: Path, patients: int, seed: int, signal: bool, progress: Progress = None
) -> None:
    """Every patient with a label map, none with levels."""
    write_thorax_phantom(folder, patients, 0, seed, signal, progress)
