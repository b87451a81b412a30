"""Writes phantoms with a known answer in the layout cases_table: pictures as PNG, volumes as DICOM.

    cases.csv     patient_id, label, flair and mask (paths), site, scanner, modality, age, sex; of
                  pictures also what the DICOM headers of volumes say: manufacturer, field_strength_t,
                  tr_ms, te_ms and pixel_mm; split of leaky_patients
    truth.csv     patient_id, person, agrees, change: what is true of each row, for tests and benchmarks
    flair/, mask/ the files, numbered in the order of the table; their names say nothing else
"""

import os
from pathlib import Path

import numpy as np
from PIL import Image
from pydicom.uid import generate_uid

from data_prep.io.nifti import write_nifti
from data_prep.phantom.files import save_series, write_table
from data_prep.phantom.known_answers.examinations import (
    KINDS,
    VOLUME_SUFFIX,
    Examination,
    draw_examinations,
)
from data_prep.phantom.known_answers.scan import Recoding, recoded, render
from data_prep.volume import Volume

TRUTH = "truth.csv"
USUAL = ("patient_id", "label", "flair", "mask", "site", "scanner", "modality", "age", "sex")
HEADER_FACTS = ("manufacturer", "field_strength_t", "tr_ms", "te_ms", "pixel_mm")
MODALITY = "MR"
AGREES = {True: "yes", False: "no", None: ""}


def write_known_answer(
    folder: Path, name: str, patients: int, seed: int, dose: float = 1.0, progress=None
) -> None:
    """Writes a phantom. Rows whose files exist are kept, so an interrupted call is continued by
    repeating it.

    Args:
        folder: where to write.
        name: of KINDS, with the suffix _3d for volumes.
        patients: number of persons; some kinds have more rows.
        seed: of everything that is drawn.
        dose: share of the persons of each class in whom the trick agrees with the label.
        progress: called with (rows done, rows in all), or None.
    """
    flat = not name.endswith(VOLUME_SUFFIX)
    kind = KINDS[name.removesuffix(VOLUME_SUFFIX)]
    drawn = draw_examinations(kind, patients, seed, dose, flat)
    for part in ("flair", "mask"):
        (folder / part).mkdir(parents=True, exist_ok=True)
    rows = []
    for number, one in enumerate(drawn):
        image, mask = _paths(number, flat)
        if not ((folder / image).exists() and (folder / mask).exists()):
            _write_files(folder / image, folder / mask, one, f"mri_tf {name} {seed} {number}")
        rows.append((one, image, mask))
        if progress:
            progress(number + 1, len(drawn))
    truth = [(one.patient, one.person, AGREES[one.agrees], one.change) for one in drawn]
    write_table(folder / TRUTH, ("patient_id", "person", "agrees", "change"), truth)
    table = [_row(*row) for row in rows]
    columns = [column for column in table[0] if any(row[column] != "" for row in table)]
    values = [tuple(row[column] for column in columns) for row in table]
    write_table(folder / "cases.csv", tuple(columns), values)


def volumes_of(one: Examination) -> tuple[Volume, Volume]:
    """The image and the mask of a row; of a copy after its recoding."""
    image, mask = render(one.head, one.scan)
    if one.recoding is None:
        return image, mask
    without_gain = Recoding(shift=one.recoding.shift, mirrored=one.recoding.mirrored)
    return recoded(image, one.recoding), recoded(mask, without_gain)


def picture_of(volume: Volume) -> np.ndarray:
    """(rows, columns) of the only slice: rows from front to back, columns from right to left."""
    return np.ascontiguousarray(volume.array[::-1, ::-1, 0].T)


def _paths(number: int, flat: bool) -> tuple[str, str]:
    name = f"{number + 1:04d}"
    image, mask = (".png", ".png") if flat else ("", ".nii.gz")
    return f"flair/{name}{image}", f"mask/{name}{mask}"


def _write_files(image_path: Path, mask_path: Path, one: Examination, key: str) -> None:
    image, mask = volumes_of(one)
    if one.scan.flat:
        save_picture(mask_path, picture_of(mask) * 255)
        save_picture(image_path, picture_of(image))
        return
    write_nifti(mask_path, mask)
    scanner = one.scan.scanner
    header = {
        "PatientID": one.patient, "StudyInstanceUID": generate_uid(entropy_srcs=[key, "study"]),
        "SeriesDescription": "FLAIR axial", "SeriesNumber": 1, "Manufacturer": scanner.manufacturer,
        "ManufacturerModelName": scanner.name, "MagneticFieldStrength": scanner.tesla,
        "RepetitionTime": scanner.tr_ms, "EchoTime": one.scan.te_ms,
    }  # fmt: skip
    save_series(image_path, image.array, image.affine, header, key)


def save_picture(path: Path, pixels: np.ndarray) -> None:
    """Writes a PNG file, (rows, columns) uint8, which appears under its name only when complete."""
    partial = path.with_name("." + path.name)
    Image.fromarray(pixels).save(partial, format="PNG")
    os.replace(partial, path)


def _row(one: Examination, image: str, mask: str) -> dict[str, object]:
    """Column -> cell; empty where the kind or form has no such column."""
    scanner = one.scan.scanner
    usual = (one.patient, one.label, image, mask, scanner.site, scanner.name, MODALITY, one.age, one.sex)
    facts = (scanner.manufacturer, scanner.tesla, scanner.tr_ms, one.scan.te_ms, scanner.pixel_mm)
    known = dict(zip(HEADER_FACTS, facts, strict=True)) if one.scan.flat else {}
    return {**dict(zip(USUAL, usual, strict=True)), **known, "split": one.split}
