"""Image files listed in `manifest.csv`: the prep module of every task without one of its own.

Columns: image, patient_id, the task's label column (`prep["label_column"]`) or mask, and
optionally mask, site, scanner, group, split, age, sex. Paths are relative to the raw folder.
Settings in `prep`: dtype of a record, slope and intercept from stored values to the task's unit
(1 and 0 unless given), bits=8 to bring the values of 16-bit files to 0..255 first, clahe (low and
high in that unit; the record is uint8 then), and duplicates to keep copies of images on one side.
"""

from pathlib import Path

import numpy as np

from data_prep.case import Case, Unreadable
from data_prep.cases.to_predict import CaseToPredict, images_at
from data_prep.io.image import read_image, read_label_image
from data_prep.io.table import check_labels, check_patients, read_table
from data_prep.ops.clahe import clahe_uint8
from data_prep.ops.image_similarity import check_duplicates
from mri_tf.core.errors import InputError, first_few
from mri_tf.store.record import NO_LABEL, Record
from mri_tf.task import Task

VERSION = 1
OPERATIONS = ("decode_image", "fit_to_grid", "rescale", "clahe if set")
SETTINGS = {"dtype", "slope", "intercept", "bits", "label_column", "clahe", "duplicates"}
DTYPES = ("uint8", "uint16", "int16", "float32")
FACTS = ("site", "scanner", "age", "sex")


def list_cases(raw: Path, task: Task) -> list[Case]:
    """One source a row of `manifest.csv`; raises InputError for a table that cannot be used."""
    check_settings(task)
    label_column = task.prep.get("label_column", "label")
    role = "mask" if task.kind == "segmentation" else label_column
    rows = read_table(raw / "manifest.csv", ("image", "patient_id", role))
    check_patients(rows, "manifest.csv")
    imageless = [str(number) for number, row in enumerate(rows, 2) if not row["image"]]
    if imageless:
        raise InputError(
            "Every row of manifest.csv names its image.",
            f"no image in line {first_few(imageless)}",
            "Fill it in, or remove the row.",
        )
    if task.kind == "classification":
        check_labels([row[label_column] for row in rows], task, "manifest.csv")
    return [
        Case(
            patient=row["patient_id"],
            files={key: row[key] for key in ("image", "mask") if row.get(key)},
            label=row[label_column] if task.kind == "classification" else "",
            group=row.get("group", ""),
            split=row.get("split", ""),
            facts={key: row[key] for key in FACTS if row.get(key)},
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
        image = np.stack([clahe_uint8(one, **task.prep["clahe"]) for one in channels], axis=-1)
    mask = None
    if task.kind == "segmentation" and not case.to_predict:
        mask = _read_mask(raw, case, stored.shape[:2], task)
    label = task.class_names.index(case.label) if case.label else NO_LABEL
    return [
        Record(
            record_id="", patient=case.patient, image=image, mask=mask, label=label,
            group=case.group, split=case.split, facts=case.facts,
        )
    ]  # fmt: skip


def cases_to_predict(path: Path, task: Task) -> list[CaseToPredict]:
    """An image file, a table (image, patient_id where known), or a folder of images."""
    return images_at(path, task)


def check_settings(task: Task) -> None:
    """Raises InputError for a task that single images cannot serve, before any is read."""
    hint = "Change the task, or write a prep file for it."
    if len(task.image_shape) != 2 or len(task.channels) not in (1, 3):
        raise InputError(
            "Image files are 2D, of one channel or of three (RGB).",
            f"image_shape {task.image_shape}, channels {', '.join(task.channels)}",
            hint,
        )
    if task.prep.get("dtype", "uint8") not in DTYPES:
        raise InputError(f"prep dtype is one of {', '.join(DTYPES)}.", task.prep["dtype"], hint)
    if task.prep.get("bits", 8) != 8:
        raise InputError("prep bits is 8, or left away.", task.prep["bits"], hint)
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
