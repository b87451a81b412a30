"""The phantoms by name: `phantom` of a task names a function of this file.

Each writes synthetic raw data in the layout of its task. An interrupted call is continued by
repeating it.

Args of each:
    folder: where to write.
    patients: number of patients.
    seed: of everything that is drawn.
    signal: False permutes the labels over the patients, so that images say nothing about them.
    progress: called with (patients done, patients in all), or None.
"""

from collections.abc import Callable
from pathlib import Path

from data_prep.phantom.brain.dataset import write_brain_phantom
from data_prep.phantom.class_pictures.dataset import write_class_pictures
from data_prep.phantom.forms import FORMS, SUFFIXES, write_patients
from data_prep.phantom.glioma.dataset import write_glioma_phantom
from data_prep.phantom.glioma.lgg import write_lgg_phantom
from data_prep.phantom.glioma.mgmt import write_mgmt_phantom
from data_prep.phantom.hippocampus import write_hippocampus_phantom
from data_prep.phantom.known_answers.dataset import write_known_answer
from data_prep.phantom.known_answers.examinations import KINDS, VOLUME_SUFFIX
from data_prep.phantom.meningioma.dataset import write_meningioma_phantom
from data_prep.phantom.other_images.dataset import write_missing_sequence, write_shifted_scanner
from data_prep.phantom.short_axis import write_short_axis_phantom
from data_prep.phantom.thorax.dataset import write_thorax_phantom

# Forms of the same patients, for --kind of data_prep.phantom.
KINDS_OF_FORMS = {"cases_" + form if form in SUFFIXES or form in ("dicom", "images") else form: form
                  for form in FORMS}  # fmt: skip
# Kinds with a known answer for an audit, as pictures and as volumes, for --kind as well.
KNOWN_ANSWERS = tuple(name + form for name in KINDS for form in ("", VOLUME_SUFFIX))
WITH_DOSE = tuple(name for name in KNOWN_ANSWERS if KINDS[name.removesuffix(VOLUME_SUFFIX)].dosed)
Progress = Callable[[int, int], None] | None
MAX_LABELLED_BRAINS = 48  # patients with label maps beside those with tumour types

class_pictures = write_class_pictures
glioma = write_glioma_phantom
lgg = write_lgg_phantom
meningioma = write_meningioma_phantom
missing_sequence = write_missing_sequence
shifted_scanner = write_shifted_scanner
short_axis = write_short_axis_phantom


def brain_structures(
    folder: Path, patients: int, seed: int, signal: bool, progress: Progress = None
) -> None:
    """T1 volumes of heads, all with a label map, none with a tumour type."""
    write_brain_phantom(folder, patients, 0, seed, signal, progress)


def brain_types(folder: Path, patients: int, seed: int, signal: bool, progress: Progress = None) -> None:
    """`patients` with a tumour type, and two thirds as many others (at most 48) with a label map."""
    labelled = min(_two_thirds(patients), MAX_LABELLED_BRAINS)
    write_brain_phantom(folder, labelled, patients, seed, signal, progress)


def in_form(form: str) -> Callable:
    """A phantom of gliomas of low and high grade in one of the forms of data_prep/phantom/forms.py."""

    def write(folder: Path, patients: int, seed: int, signal: bool, progress: Progress = None) -> None:
        write_patients(folder, patients, seed, form, signal, progress)

    return write


def hippocampus(folder: Path, patients: int, seed: int, signal: bool, progress: Progress = None) -> None:
    """Curved tubes in two parts; a segmentation has no labels to permute."""
    write_hippocampus_phantom(folder, patients, seed, progress)


def known_answer(name: str, dose: float) -> Callable:
    """One of KNOWN_ANSWERS; what its labels have to do with the images is what its name says."""

    def write(folder: Path, patients: int, seed: int, signal: bool, progress: Progress = None) -> None:
        write_known_answer(folder, name, patients, seed, dose, progress)

    return write


def mgmt(folder: Path, patients: int, seed: int, signal: bool, progress: Progress = None) -> None:
    """Four DICOM sequences with a texture that differs by patient; the labels are always random."""
    write_mgmt_phantom(folder, patients, seed, progress)


def thorax_levels(
    folder: Path, patients: int, seed: int, signal: bool, progress: Progress = None
) -> None:
    """`patients` with levels, and two thirds as many others with a label map."""
    write_thorax_phantom(folder, _two_thirds(patients), patients, seed, signal, progress)


def thorax_structures(
    folder: Path, patients: int, seed: int, signal: bool, progress: Progress = None
) -> None:
    """CT volumes of the chest, all with a label map, none with levels."""
    write_thorax_phantom(folder, patients, 0, seed, signal, progress)


def _two_thirds(patients: int) -> int:
    return max(3, 2 * patients // 3)
