"""Layout: a folder of images or volumes for each class.

    <class>/<any name>             an image; its label is the folder's name; the patient is unknown
    <class>/<patient>/<any name>   the same, of a known patient
    <side>/<class>/...             either, on the side that the folder names: Training, test, val ...

Of a task of single images every file that is not hidden and no text is read as an image, whatever its
name; one that is not an image is skipped with the reason. Drawn masks among the images (a_mask.png
beside a.png) are left out, and the terminal says how many. Where patients are unknown, copies of images
are looked for (data_prep/prepare/duplicates.py), and each group of copies counts as one patient. Of a
task of volumes a patient's folder holds files that are named as the channels (t1.nii.gz), or DICOM of
any depth; with one channel, every volume is a case. Settings in `prep` are those of
data_prep/cases/any_case.py.
"""

import difflib
from pathlib import Path

from data_prep.case import Case, main_file, side_named
from data_prep.cases.any_case import (
    IMAGE,
    SETTINGS,
    check_settings,
    form_of,
    operations_of,
    read_case,
)
from data_prep.cases.dicom_case import dicom_files, identities
from data_prep.cases.image_case import check_one_image
from data_prep.cases.mask_names import is_mask
from data_prep.cases.usual_sequences import files_of_sequences
from data_prep.cases.volume_settings import sequences_of
from data_prep.io.folders import TEXTS, VOLUMES, files_below
from data_prep.layouts.cases_table import cases_to_predict
from data_prep.recognised import (
    MOST_FOLDERS_LOOKED_AT,
    Recognised,
    channels_of_folders,
    dicom_sequences,
    is_image,
    is_volume,
    rows_of,
    tables_at,
    visible_folders,
)
from mri_tf.core.errors import InputError, first_few
from mri_tf.core.progress import say_once
from mri_tf.task import Task
from mri_tf.task.spec import SIDES

__all__ = [
    "SETTINGS", "VERSION", "cases_to_predict", "identities", "list_cases", "operations_of", "read_case",
    "recognise",
]  # fmt: skip
VERSION = 3
GENERAL = True  # where another layout recognises a folder too, that one is meant
MOST_CLASSES, LEAST_OF_A_CLASS = 100, 2  # for a folder to be recognised
IMAGES_OF_MASKS = {"image", "images", "imgs", "scans", "volumes"}  # folders beside one of masks
LITTER = {"thumbs.db", "desktop.ini", "__macosx"}  # left in folders by operating systems


def list_cases(raw: Path, task: Task, ignore: tuple[str, ...] = ()) -> list[Case]:
    """One case per image, sides, classes and files in the order of their names.

    Files beside the class folders are left out, and folders named in `ignore`. A class without a folder,
    or with an empty one, has no records. Raises InputError for a folder that is not a class, for images
    beside patients' folders, and if there is no image at all.
    """
    check_settings(task)
    if form_of(task) == IMAGE:
        check_one_image(task)
    if task.kind != "classification":
        raise InputError(
            "Class folders hold no masks, so they are for classification tasks only.", task.name,
            "Use the layout cases_table, with the masks in manifest.csv.",
        )  # fmt: skip
    if not raw.is_dir():
        raise InputError("--raw is not a folder.", raw, "Give the folder that holds the class folders.")
    cases = []
    for home, side in _sides(raw, task, ignore):
        folders = _folders(home, ignore)
        _check_folders(home, folders, task)
        for folder in folders:
            if form_of(task) == IMAGE:
                cases += _of_class(raw, folder, side, ignore)
            else:
                cases += _volumes_of_class(raw, folder, side, task, ignore)
    if not cases:
        raise InputError("All class folders are empty.", raw, "Add images.")
    known = {bool(case.patient) for case in cases}
    if len(known) > 1:
        raise InputError(
            "Some class folders hold images and others folders of patients.",
            first_few(main_file(case) for case in cases if not case.patient),
            "Put every image into a folder of its patient, or no image.",
        )  # fmt: skip
    return cases


def recognise(
    raw: Path, labels: Path | None, ignore: tuple[str, ...] = ()
) -> Recognised | None:
    """Folders that each hold several images, volumes or folders of patients, perhaps in folders of
    sides; not where a table names the cases."""
    folders = [folder for folder in visible_folders(raw) if folder.name not in ignore]
    sides = [folder for folder in folders if side_named(folder.name) in SIDES]
    homes = sides if len(sides) > 1 and len(sides) == len(folders) else [raw]
    inner = [folder for home in homes for folder in visible_folders(home)]
    classes = [folder for folder in inner if folder.name not in ignore]
    names = tuple(sorted({folder.name for folder in classes}))
    tables = [rows_of(table)[:1] for table in tables_at(raw, labels)]
    columns = {column for rows in tables for row in rows for column in row}
    named_in_a_table = columns & {"patient_id", "participant_id", "accession_number"}
    few = any(len(list(folder.glob("[!.]*"))) < LEAST_OF_A_CLASS for folder in classes)
    if labels or named_in_a_table or few or not 2 <= len(names) <= MOST_CLASSES:
        return None
    if any(map(is_mask, names)) and IMAGES_OF_MASKS & {name.lower() for name in names}:
        return None  # images/ and masks/ are no classes
    if 0 < len(channels_of_folders(classes)) < len(classes):
        return None  # one file of each sequence in each folder: these are patients
    below = [patient for folder in classes for patient in visible_folders(folder)]
    patients = [patient for patient in below if patient.name not in ignore]
    homes_of_files = (*classes, *patients[:MOST_FOLDERS_LOOKED_AT])
    files = [path for home in homes_of_files for path in home.glob("[!.]*")]
    if any(is_image(path.name) for path in files):
        channels, images, prep = ("image",), True, {}
    elif any(is_volume(path.name) for path in files):
        channels = channels_of_folders(patients) or ("image",)
        images, prep = False, {}
    else:
        rules = dicom_sequences((patient, files_below(patient)) for patient in patients)
        channels, images, prep = tuple(rules), False, {"sequences": rules}
    if not channels or any(folder.name.startswith("sub-") for folder in folders):
        return None
    inside = "folders of patients" if patients else "files"
    above = f", in {' and '.join(home.name for home in homes)}" if homes != [raw] else ""
    why = f"the folders {first_few(names)} hold {inside}{above}"
    return Recognised(why, channels, images, class_names=names, prep=prep)


def _sides(raw: Path, task: Task, ignore: tuple[str, ...]) -> list[tuple[Path, str]]:
    """(folder, side) where folders such as Training and Testing lie above the classes; else the raw
    folder, without a side."""
    folders = _folders(raw, ignore)
    sides = [(folder, side_named(folder.name)) for folder in folders]
    named = [side in SIDES and folder.name not in task.class_names for folder, side in sides]
    several = len({side for _, side in sides}) > 1
    return sides if several and all(named) else [(raw, "")]


def _of_class(raw: Path, folder: Path, side: str, ignore: tuple[str, ...]) -> list[Case]:
    """The images of a class, or of its patients' folders."""
    patients = _folders(folder, ignore)
    nested = [path for patient in patients for path in _folders(patient, ignore)]
    if nested:
        raise InputError(
            "Class folders hold images, or a folder of images for each patient, and nothing deeper.",
            first_few(str(path.relative_to(raw)) for path in nested),
            "Move the images into their patient's folder, or leave folders out with --ignore NAME.",
        )  # fmt: skip
    homes = {
        home: [path for path in _visible(home) if not path.is_dir() and path.suffix.lower() not in TEXTS]
        for home in (folder, *patients)
    }
    return [
        Case(
            patient=home.name if home != folder else "", split=side, label=folder.name,
            files={"image": str(path.relative_to(raw))},
        )
        for home, images in _without_masks(homes, folder).items() for path in images
    ]  # fmt: skip


def _without_masks(homes: dict[Path, list[Path]], folder: Path) -> dict[Path, list[Path]]:
    """Home -> its images, without the drawn masks among them.

    Args:
        homes: home -> files, of the folder of a class or of its patients.
        folder: of the class. Where its name or that of a patient holds a word such as tumor, that word
            says nothing in the names of the files; and where all files have such words, none is a mask.
    """
    images = {
        home: [path for path in files if not is_mask(path.name, f"{folder.name} {home.name}")]
        for home, files in homes.items()
    }
    if not any(images.values()):
        return homes
    left_out = sum(len(homes[home]) - len(images[home]) for home in homes)
    if left_out:
        say_once(
            f"{left_out} files in the class folder {folder.name} are named as drawn masks and left out; "
            f"{sum(map(len, images.values()))} images are read"
        )
    return images


def _volumes_of_class(
    raw: Path, folder: Path, side: str, task: Task, ignore: tuple[str, ...]
) -> list[Case]:
    """The cases of a class of a task of volumes: each volume, or the folders of its patients."""
    sequences, cases = sequences_of(task), []
    homes = {
        home: [path for path in _visible(home) if path.name.lower().endswith(VOLUMES)]
        for home in (folder, *_folders(folder, ignore))
    }
    images = _without_masks(homes, folder) if len(sequences) == 1 else {}
    for home, volumes in homes.items():
        patient = home.name if home != folder else ""
        of_one_channel = home == folder and len(sequences) == 1
        named = {} if of_one_channel else files_of_sequences(volumes, sequences)
        if len(sequences) == 1 and not named:
            files_of_cases = [{sequences[0]: path.name} for path in images[home]]
        else:
            files_of_cases = [named] if named or volumes else []
        if not volumes and home != folder:
            files = dicom_files(raw, str(home.relative_to(raw)))
            cases.append(Case(patient, files, folder.name, split=side))
        for files in files_of_cases:
            files = files or {"image": volumes[0].name}  # reading it gives the reason
            paths = {role: str((home / name).relative_to(raw)) for role, name in files.items()}
            cases.append(Case(patient, paths, folder.name, split=side))
    return cases


def _folders(folder: Path, ignore: tuple[str, ...]) -> list[Path]:
    return [path for path in _visible(folder) if path.is_dir() and path.name not in ignore]


def _visible(folder: Path) -> list[Path]:
    return sorted(
        path for path in folder.iterdir()
        if not path.name.startswith(".") and path.name.lower() not in LITTER
    )  # fmt: skip


def _check_folders(raw: Path, folders: list[Path], task: Task) -> None:
    classes = set(task.class_names)
    unknown = [path for path in folders if path.name not in classes]
    if not folders:
        raise InputError(
            "The raw folder holds no class folders.", raw,
            f"Make a folder of images for each class: {first_few(task.class_names)}.",
        )  # fmt: skip
    if not unknown:
        return
    inner = [path for path in unknown if any((path / name).is_dir() for name in classes)]
    if any(side_named(path.name) in SIDES for path in inner):
        hint = "Beside folders of sides, others are left out with --ignore NAME."
    elif inner:
        hint = f"{inner[0]} holds the class folders: give it as --raw."
    else:
        near = difflib.get_close_matches(unknown[0].name, task.class_names, n=1)
        hint = f"Did you mean {near[0]!r}?" if near else f"Classes: {first_few(task.class_names)}."
        hint += " A folder that is not one is left out with --ignore NAME."
    raise InputError(
        f"Some folders are not named as a class of task {task.name}.",
        first_few(repr(path.name) for path in unknown), hint,
    )  # fmt: skip
