"""A 2D case: one image file, or one for each channel, and its mask, to one record.

Settings in `prep`: dtype of a record; slope and intercept from stored values to the task's unit (1 and
0 unless set); bits=8 to scale 16-bit files to 0..255 first; clahe (low and high in the task's unit; the
record is then uint8); and duplicates, to keep copies of images on one side.
"""

import os
from pathlib import Path

import numpy as np

from data_prep.case import Case, Unreadable, record_of
from data_prep.cases.neighbours import check_stack, files_at, joined_slices
from data_prep.io.folders import VOLUMES
from data_prep.io.image import format_of, label_values, read_image, read_label_image
from data_prep.io.volume_file import is_dicom, read_volume_file
from data_prep.ops.clahe import clahe_uint8
from data_prep.volume import Volume
from mri_tf.core.errors import InputError
from mri_tf.store.image_similarity import check_duplicates
from mri_tf.store.record import Record
from mri_tf.task import Task

OPERATIONS = ("decode_image", "fit_to_grid", "rescale", "clahe if set")
SETTINGS = {"dtype", "slope", "intercept", "bits", "clahe", "duplicates"}
DTYPES = ("uint8", "uint16", "int16", "float32")
IMAGE = "image"  # the role of the only image of a case
SAME_SHAPE = 0.02  # by which the ratio of sides of two images of a case may differ


def check_settings(task: Task) -> None:
    """Raises InputError for a task that does not fit 2D images, before any is read."""
    hint = "Correct the task file, or write a layout for it."
    if len(task.image_shape) != 2:
        raise InputError(
            f"Task {task.name} does not fit image files, which are 2D.",
            f"image_shape {task.image_shape}", hint,
        )  # fmt: skip
    if task.prep.get("dtype", "uint8") not in DTYPES:
        raise InputError(f"dtype in prep must be one of {', '.join(DTYPES)}.", task.prep["dtype"], hint)
    if task.prep.get("bits", 8) != 8:
        raise InputError("bits in prep must be 8 or left out.", task.prep["bits"], hint)
    if "duplicates" in task.prep:
        check_duplicates(task.prep["duplicates"])
    check_stack(task)


def check_one_image(task: Task) -> None:
    """Raises InputError for a task whose channels are not those of a single image file."""
    if len(task.channels) not in (1, 3):
        raise InputError(
            f"Task {task.name} does not fit image files, which have one channel or three (RGB).",
            f"channels {', '.join(task.channels)}",
            "Correct channels in the task file, or name a column of the table for each channel.",
        )


def image_record(raw: Path, case: Case, task: Task) -> list[Record]:
    """The images (and the mask) of a case on the task's grid, with the neighbouring slices that the task
    asks for; raises Unreadable."""
    stored = {0: _stored_images(raw, case.files, task)}
    for offset in task.slice_offsets:
        if offset and (files := files_at(case, offset, (IMAGE, *task.channels))):
            stored[offset] = _neighbour(raw, files, task, offset)
    _check_shapes([image for images in stored.values() for image in images])
    slices = {offset: _on_grid(images, task) for offset, images in stored.items()}
    image, known = joined_slices(slices, task)
    mask = None
    if task.kind == "segmentation" and not case.to_predict:
        mask = _read_mask(raw, case, stored[0][0].shape[:2], task)
    facts = _facts_of_file(raw, case, task, stored[0][0])
    return [record_of(case, task, image, mask, facts={**case.facts, **known, **facts})]


def _facts_of_file(raw: Path, case: Case, task: Task, image: np.ndarray) -> dict:
    """Size and format of the first file of a case, which may tell its class. The size is not called
    `source_shape`, which goes with `source_affine` of volumes."""
    path = raw / case.files[_first_role(case, task)]
    kind = "volume or DICOM" if _holds_volume(path) else format_of(path)
    rows, columns = image.shape[:2]
    return {"picture_size": [columns, rows], "file_format": kind}


def _first_role(case: Case, task: Task) -> str:
    return IMAGE if IMAGE in case.files else task.channels[0]


def _on_grid(stored: list[np.ndarray], task: Task) -> np.ndarray:
    """(rows, columns, channels) of a slice in the record's dtype, of what its files hold."""
    from mri_tf.pipeline.image_files import fit_to_grid, to_record_values

    dtype = task.prep.get("dtype", "uint8")
    slope, intercept = task.prep.get("slope", 1.0), task.prep.get("intercept", 0.0)
    fitted = []
    for image in stored:  # (rows, columns, channels)
        _check_range(image * slope + intercept, dtype)
        on_grid = fit_to_grid(image, task.image_shape, "bilinear")
        fitted.append(to_record_values(on_grid, slope, intercept, dtype).numpy().astype(dtype))
    image = np.concatenate(fitted, axis=-1)
    if "clahe" in task.prep:
        channels = np.moveaxis(image, -1, 0)
        image = np.stack([clahe_uint8(channel, **task.prep["clahe"]) for channel in channels], axis=-1)
    return image


def _neighbour(raw: Path, files: dict[str, str], task: Task, offset: int) -> list[np.ndarray]:
    """What the files of a neighbouring slice hold; raises Unreadable that says it is a neighbour."""
    try:
        return _stored_images(raw, files, task)
    except Unreadable as error:
        raise Unreadable(f"its neighbour at {offset:+d}: {error}") from None


def _stored_images(raw: Path, files: dict[str, str], task: Task) -> list[np.ndarray]:
    """(rows, columns, channels) of the only image, or (rows, columns, 1) of each channel."""
    bits = task.prep.get("bits", 0)
    if IMAGE in files:
        return [read_pixels(raw / files[IMAGE], len(task.channels), bits)]
    missing = [name for name in task.channels if name not in files]
    if missing:
        raise Unreadable(f"missing images: {', '.join(missing)}")
    return [read_pixels(raw / files[name], 1, bits) for name in task.channels]


def source_shape(raw: Path, case: Case, task: Task) -> tuple[int, int]:
    """Rows and columns of the image of a case, or of that of its first channel; raises Unreadable."""
    return read_pixels(raw / case.files[_first_role(case, task)], 1, bits=0).shape[:2]


def _check_shapes(images: list[np.ndarray]) -> None:
    """Raises Unreadable for the images of a case, or of its neighbours, that do not fit each other."""
    ratios = [image.shape[0] / image.shape[1] for image in images]
    if max(ratios) > min(ratios) * (1 + SAME_SHAPE):
        shapes = ", ".join(f"{image.shape[0]} x {image.shape[1]}" for image in images)
        raise Unreadable(f"its images have different shapes: {shapes}")


def read_pixels(path: Path, channels: int, bits: int) -> np.ndarray:
    """(rows, columns, channels) of an image file, or of a DICOM or volume file of one slice."""
    if _holds_volume(path):
        plane = _plane(read_volume_file(path).array).astype(np.float32)[..., None]
        return np.repeat(plane, channels, axis=-1)
    return read_image(path, channels, bits)


def _holds_volume(path: Path) -> bool:
    """Whether a path is a DICOM or volume file, which says how its pixels lie in the patient."""
    named = path.name.lower().endswith((*VOLUMES, ".img"))
    return os.path.isfile(path) and (named or is_dicom(path))


def _plane(array: np.ndarray) -> np.ndarray:
    """(rows, columns) of the one slice of a volume in RAS: front to back, right to left; raises
    Unreadable for several slices."""
    array = np.squeeze(array)
    if array.ndim != 2:
        shape = " x ".join(map(str, array.shape))
        raise Unreadable(f"a volume of {shape}, not one slice: set slices in prep, or a 3D image_shape")
    return array[::-1, ::-1].T


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
    path, count = raw / case.files["mask"], len(task.class_names)
    try:
        if _holds_volume(path):
            mask = label_values(read_pixels(path, 1, bits=0)[..., 0], count)
        else:
            images = [raw / case.files[name] for name in (IMAGE, *task.channels) if name in case.files]
            mask = _turned_as(images, read_label_image(path, count))
    except Unreadable as error:
        raise Unreadable(f"mask: {error}") from None
    if mask.shape != shape:
        raise Unreadable(f"the mask has shape {mask.shape}, the image {tuple(shape)}")
    fitted = fit_to_grid(mask[..., None].astype(np.float32), task.image_shape, "nearest")
    return fitted.numpy()[..., 0].astype(np.uint8)


def _turned_as(images: list[Path], mask: np.ndarray) -> np.ndarray:
    """A mask (rows, columns) that was drawn on the pixels of a case's images, turned as these were.

    The rows and columns of a DICOM image are those of a picture of it. A volume file has none, so that
    the mask is taken only where the image lies as it was stored, column by column.

    Raises:
        Unreadable: it is not known how the mask lies on the image.
    """
    turned = []
    for path in images:
        axes = _stored_axes(read_volume_file(path)) if _holds_volume(path) else ""
        turned.append(_by_axes(mask, axes) if axes else mask)
        if axes and not is_dicom(path) and not _lies_as_stored(mask.shape, axes):
            raise Unreadable(
                f"a picture does not say how it lies on a volume file (stored as {axes}): give the mask "
                "as a volume file, or the image as a picture"
            )
    if any(not np.array_equal(one, turned[0]) for one in turned):
        raise Unreadable("the images of the case are stored in several directions, and a picture does "
                         "not say on which it was drawn: give the mask as a volume file")  # fmt: skip
    return turned[0]


def _stored_axes(volume: Volume) -> str:
    """The directions of the columns and rows of a volume's one slice, and of the slice, as stored."""
    across = next(pair for pair, size in zip(("LR", "PA", "IS"), volume.array.shape, strict=True)
                  if size == 1)  # fmt: skip
    inside = "".join(axis for axis in volume.stored_axes if axis not in across)
    return inside + next(axis for axis in volume.stored_axes if axis in across)


def _by_axes(picture: np.ndarray, axes: str) -> np.ndarray:
    """(rows, columns) of a picture as `read_pixels` turns an image; `axes` are the directions of its
    columns, rows and slices, such as "LPS"."""
    from nibabel import orientations

    stored = picture.T[..., None]  # (column, row, slice)
    return _plane(orientations.apply_orientation(stored, orientations.axcodes2ornt(axes)))


def _lies_as_stored(shape: tuple[int, int], axes: str) -> bool:
    numbers = np.arange(shape[0] * shape[1]).reshape(shape)
    return np.array_equal(_by_axes(numbers, axes), numbers)
