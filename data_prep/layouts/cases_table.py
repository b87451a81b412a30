"""Layout: 2D image files listed in a table; the layout of a task that names none.

    manifest.csv   image; patient_id; the task's label column (`prep["label_column"]`) or mask;
                   optional: mask, site, scanner, modality, group, split, age, sex
    <any path>     the images and masks, at the paths in the table, relative to the raw folder

Settings in `prep`: dtype of a record; slope and intercept from stored values to the task's unit (1 and
0 unless set); bits=8 to scale 16-bit files to 0..255 first; clahe (low and high in the task's unit; the
record is then uint8); label_column; and duplicates, to keep copies of images on one side.
"""

from pathlib import Path

import numpy as np

from data_prep.case import Case, Unreadable, record_of
from data_prep.cases.to_predict import CaseToPredict, images_at
from data_prep.io.image import read_image, read_label_image
from data_prep.io.table import check_labels, check_patients, path_in, read_table
from data_prep.ops.clahe import clahe_uint8
from mri_tf.core.errors import InputError, first_few
from mri_tf.store.image_similarity import check_duplicates
from mri_tf.store.record import Record
from mri_tf.task import Task

VERSION = 2
OPERATIONS = ("decode_image", "fit_to_grid", "rescale", "clahe if set")
SETTINGS = {"dtype", "slope", "intercept", "bits", "label_column", "clahe", "duplicates"}
DTYPES = ("uint8", "uint16", "int16", "float32")
FACTS = ("site", "scanner", "modality", "age", "sex")


def list_cases(raw: Path, task: Task) -> list[Case]:
    """One case per row of `manifest.csv`; raises InputError for a table that cannot be used."""
    check_settings(task)
    label_column = task.prep.get("label_column", "label")
    role = "mask" if task.kind == "segmentation" else label_column
    rows = read_table(raw / "manifest.csv", ("image", "patient_id", role))
    check_patients(rows, "manifest.csv")
    imageless = [str(row.line) for row in rows if not row["image"]]
    if imageless:
        raise InputError(
            "Rows of manifest.csv name no image.",
            f"no image in line {first_few(imageless)}",
            "Fill in the column image, or remove these rows.",
        )
    if task.kind == "classification":
        check_labels(rows, label_column, task, "manifest.csv")
    return [
        Case.from_row(
            row,
            {role: path_in(raw, row[role]) for role in ("image", "mask") if row.get(role)},
            row[label_column] if task.kind == "classification" else "",
            FACTS,
        )
        for row in rows
    ]


def read_case(raw: Path, case: Case, task: Task) -> list[Record]:
    """One image (and its mask) on the task's grid; raises Unreadable."""
    from mri_tf.pipeline.image_files import fit_to_grid, to_record_values

    stored = read_image(raw / case.files["image"], len(task.channels), task.prep.get("bits", 0))
    dtype = task.prep.get("dtype", "uint8")
    fitted = fit_to_grid(stored, task.image_shape, "bilinear")
    slope, intercept = task.prep.get("slope", 1.0), task.prep.get("intercept", 0.0)
    _check_range(stored * slope + intercept, dtype)
    image = to_record_values(fitted, slope, intercept, dtype).numpy().astype(dtype)
    if "clahe" in task.prep:
        channels = np.moveaxis(image, -1, 0)
        image = np.stack([clahe_uint8(channel, **task.prep["clahe"]) for channel in channels], axis=-1)
    mask = None
    if task.kind == "segmentation" and not case.to_predict:
        mask = _read_mask(raw, case, stored.shape[:2], task)
    return [record_of(case, task, image, mask)]


def cases_to_predict(path: Path, task: Task) -> list[CaseToPredict]:
    """An image file, a table (image, patient_id where known), or a folder of images."""
    return images_at(path, task)


def check_settings(task: Task) -> None:
    """Raises InputError for a task that does not fit 2D image files, before any is read."""
    hint = "Correct the task file, or write a layout for it."
    if len(task.image_shape) != 2 or len(task.channels) not in (1, 3):
        raise InputError(
            f"Task {task.name} does not fit image files, which are 2D with one channel or three (RGB).",
            f"image_shape {task.image_shape}, channels {', '.join(task.channels)}",
            hint,
        )
    if task.prep.get("dtype", "uint8") not in DTYPES:
        raise InputError(f"dtype in prep must be one of {', '.join(DTYPES)}.", task.prep["dtype"], hint)
    if task.prep.get("bits", 8) != 8:
        raise InputError("bits in prep must be 8 or left out.", task.prep["bits"], hint)
    if "duplicates" in task.prep:
        check_duplicates(task.prep["duplicates"])


def _check_range(values: np.ndarray, dtype: str) -> None:
    if dtype == "float32":
        return
    limits = np.iinfo(dtype)
    low, high = float(values.min()), float(values.max())
    if round(low) < limits.min or round(high) > limits.max:
        raise Unreadable(
            f"values from {low:g} to {high:g} do not fit {dtype}; set prep dtype, bits, slope, intercept"
        )


def _read_mask(raw: Path, case: Case, shape: tuple[int, int], task: Task) -> np.ndarray:
    from mri_tf.pipeline.image_files import fit_to_grid

    if "mask" not in case.files:
        raise Unreadable("the row names no mask")
    try:
        mask = read_label_image(raw / case.files["mask"], len(task.class_names))
    except Unreadable as error:
        raise Unreadable(f"mask: {error}") from None
    if mask.shape != shape:
        raise Unreadable(f"the mask has shape {mask.shape}, the image {tuple(shape)}")
    fitted = fit_to_grid(mask[..., None].astype(np.float32), task.image_shape, "nearest")
    return fitted.numpy()[..., 0].astype(np.uint8)
