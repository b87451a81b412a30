"""The same synthetic patients in every form that the layouts read: files of five formats, DICOM, BIDS.

Each patient has T1 and FLAIR images of a glioma of low or high grade, in whole numbers on one grid of
whole millimetres, so that every form holds the same voxels at the same place.
"""

import json
from collections.abc import Callable
from pathlib import Path

import nibabel
import numpy as np
import SimpleITK
from PIL import Image

from data_prep.io.nifti import write_nifti
from data_prep.phantom import PHANTOM_NOTE
from data_prep.phantom.files import save_series, write_table
from data_prep.phantom.glioma.dataset import draw_case, render_case
from data_prep.volume import Volume
from mri_tf.core.files import write_atomic

CHANNELS = ("t1", "flair")
LABELS = {"low": "LGG", "high": "HGG"}
SHAPE = (40, 40, 20)
SPACING_MM = (6.0, 6.0, 8.0)
SUFFIXES = {"nifti": ".nii.gz", "nrrd": ".nrrd", "mha": ".mha", "mgh": ".mgz", "analyze": ".hdr"}
RAS_TO_LPS = np.diag([-1.0, -1.0, 1.0])
FORMS = (*SUFFIXES, "dicom", "dicom_tree", "bids", "images", "class_folders")
HEADERS = {"t1": ("T1 axial", 550.0, 9.0), "flair": ("FLAIR axial", 9000.0, 120.0)}  # TR, TE
PER_STUDY_FOLDER = 2  # examinations that lie in one folder of the DICOM tree


def write_patients(
    folder: Path, patients: int, seed: int, form: str, signal: bool = True,
    progress: Callable[[int, int], None] | None = None,
) -> None:  # fmt: skip
    """Writes the patients in one of FORMS, with the table that it needs.

    Args:
        folder: where to write.
        patients: number of patients; every second is of high grade, in a shuffled order.
        seed: of everything that is drawn.
        form: of FORMS. Files of volumes and "dicom" (a folder a series) have a cases.csv with the
            columns t1 and flair; "images" are axial slices as PNG; "class_folders" hold a folder a
            patient with a NIfTI file a sequence.
        signal: False permutes the labels over the patients.
        progress: called with (patients done, patients in all), or None.
    """
    rng = np.random.default_rng([seed, patients])
    looks = [list(LABELS)[place % 2] for place in rng.permutation(patients)]
    stated = looks if signal else [looks[place] for place in rng.permutation(patients)]
    rows = []
    for number, look in enumerate(looks):
        images = _images_of(seed, number, look)
        rows += _write(folder, form, number, seed, images, stated[number])
        if progress:
            progress(number + 1, patients)
    if form == "bids":
        _finish_bids(folder, rows)
    elif form == "dicom_tree":
        write_table(folder / "labels.csv", ("patient_id", "grade"), rows)
    elif form != "class_folders":
        columns = ("image",) if form == "images" else CHANNELS
        write_table(folder / "cases.csv", ("patient_id", "grade", *columns), rows)


def patient_name(number: int) -> str:
    """The id of a patient in tables and headers."""
    return f"P{number + 1:03d}"


def _images_of(seed: int, number: int, look: str) -> dict[str, np.ndarray]:
    """Channel -> (x, y, z) int16 in RAS."""
    case = draw_case(LABELS[look], np.random.default_rng([seed, 0, number]))
    images, _ = render_case(case, SHAPE)
    return {name: images[name] for name in CHANNELS}


def _affine() -> np.ndarray:
    affine = np.diag([*SPACING_MM, 1.0])
    affine[:3, 3] = -np.array(SHAPE) * SPACING_MM / 2
    return affine


def _write(
    folder: Path, form: str, number: int, seed: int, images: dict[str, np.ndarray], label: str
) -> list[tuple]:
    """Writes one patient; returns its rows of the table."""
    name = patient_name(number)
    if form in SUFFIXES:
        paths = {channel: f"{name}/{channel}{SUFFIXES[form]}" for channel in images}
        for channel, array in images.items():
            _write_volume(folder / paths[channel], array, form)
        return [(name, label, *paths.values())]
    if form == "class_folders":
        for channel, array in images.items():
            _write_volume(folder / label / name / f"{channel}.nii.gz", array, "nifti")
        return []
    if form == "images":
        return _write_slices(folder, name, images["flair"], label)
    if form == "bids":
        return _write_bids(folder, name, images, label)
    home = folder / name
    if form == "dicom_tree":  # several examinations in a folder, the sequences in folders without names
        home = folder / f"export{number // PER_STUDY_FOLDER:02d}" / f"x{number:03d}"
    for place, (channel, array) in enumerate(images.items()):
        series = home / (channel if form == "dicom" else f"{place:02d}")
        description, tr_ms, te_ms = HEADERS[channel]
        header = {
            "PatientID": name, "StudyInstanceUID": f"2.25.{seed + 1}{number + 1:06d}",
            "AccessionNumber": f"A{number + 1:05d}", "SeriesDescription": description,
            "SeriesNumber": place + 1, "RepetitionTime": tr_ms, "EchoTime": te_ms,
        }  # fmt: skip
        save_series(
            series, array.astype(np.uint16), _affine(), header, f"mri_tf forms {seed} {name} {channel}"
        )
    if form == "dicom_tree":
        return [(name, label)]
    return [(name, label, *(f"{name}/{channel}" for channel in images))]


def _write_volume(path: Path, array: np.ndarray, form: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    affine = _affine()
    if form == "nifti":
        write_nifti(path, Volume(array, affine), "LPS")
    elif form == "mgh":
        nibabel.MGHImage(array, affine).to_filename(path)
    elif form == "analyze":
        nibabel.Spm99AnalyzeImage(array[::-1], affine @ _x_reversed()).to_filename(path)
        path.with_suffix(".mat").unlink(missing_ok=True)
    else:
        image = SimpleITK.GetImageFromArray(np.ascontiguousarray(array.T))
        image.SetSpacing(SPACING_MM)
        image.SetDirection(RAS_TO_LPS.ravel().tolist())
        image.SetOrigin((RAS_TO_LPS @ affine[:3, 3]).tolist())
        SimpleITK.WriteImage(image, str(path))


def _x_reversed() -> np.ndarray:
    turned = np.diag([-1.0, 1.0, 1.0, 1.0])
    turned[0, 3] = SHAPE[0] - 1
    return turned


def _write_slices(folder: Path, name: str, array: np.ndarray, label: str) -> list[tuple]:
    rows = []
    (folder / name).mkdir(parents=True, exist_ok=True)
    for z in range(SHAPE[2] - 1, -1, -1):
        plane = array[::-1, ::-1, z].T  # rows from front to back, columns from right to left
        path = f"{name}/{SHAPE[2] - 1 - z:02d}.png"
        Image.fromarray(np.ascontiguousarray(plane).astype(np.uint16)).save(folder / path)
        rows.append((name, label, path))
    return rows


def _write_bids(folder: Path, name: str, images: dict[str, np.ndarray], label: str) -> list[tuple]:
    for channel, array in images.items():
        suffix = {"t1": "T1w", "flair": "FLAIR"}[channel]
        stem = folder / f"sub-{name}" / "anat" / f"sub-{name}_{suffix}"
        _write_volume(stem.with_name(f"{stem.name}.nii.gz"), array, "nifti")
        stem.with_name(f"{stem.name}.json").write_text('{"Modality": "MR"}\n', encoding="utf-8")
    return [(f"sub-{name}", label)]


def _finish_bids(folder: Path, rows: list[tuple]) -> None:
    lines = ["participant_id\tgrade", *("\t".join(row) for row in rows)]
    write_atomic(folder / "participants.tsv", ("\n".join(lines) + "\n").encode())
    about = {"Name": "mri_tf phantom", "BIDSVersion": "1.9.0", "DatasetType": "raw"}
    write_atomic(folder / "dataset_description.json", json.dumps(about, indent=1).encode())
    write_atomic(folder / ".bidsignore", f"{PHANTOM_NOTE}\n".encode())
    write_atomic(folder / "README", b"Synthetic patients: no person was examined.\n")
