"""Single images as records: every dtype, one file or one for each channel."""

import dataclasses

import numpy as np
import pytest
from dicom_series import noise, series, write
from PIL import Image
from volumes import save_nifti

from data_prep.case import Case, Unreadable
from data_prep.cases.image_case import DTYPES, image_record
from mri_tf.task import Task

PIXELS = np.random.default_rng(0).integers(0, 100, (2, 12, 16)).astype(np.uint8)


def task_of(channels, **prep):
    return Task(
        name="mine", channels=channels, image_shape=(12, 16), class_names=("a", "b"), model="vgg",
        prep=prep,
    )  # fmt: skip


@pytest.fixture
def raw(tmp_path):
    for name, pixels in zip(("t1", "t2"), PIXELS, strict=True):
        Image.fromarray(pixels).save(tmp_path / f"{name}.png")
    Image.fromarray(PIXELS[0, :6]).save(tmp_path / "half.png")
    return tmp_path


@pytest.mark.parametrize("dtype", DTYPES)
def test_an_image_is_kept_in_every_dtype_with_slope_and_intercept(raw, dtype):
    for prep, wanted in (({}, PIXELS[0]), (dict(slope=2.0, intercept=7.0), 2.0 * PIXELS[0] + 7)):
        case = Case("p", {"image": "t1.png"})
        (record,) = image_record(raw, case, task_of(("g",), dtype=dtype, **prep))
        assert record.image.dtype == dtype and np.array_equal(record.image[..., 0], wanted)


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_file_for_each_channel_becomes_that_channel(raw, dtype):
    case = Case("p", {"t2": "t2.png", "t1": "t1.png"})
    (record,) = image_record(raw, case, task_of(("t1", "t2"), dtype=dtype))
    assert np.array_equal(record.image, np.moveaxis(PIXELS, 0, -1))


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF", "BMP", "GIF", "WEBP"])
def test_size_and_format_of_a_picture_are_facts_and_its_name_is_none(tmp_path, kind):
    Image.fromarray(np.tile(PIXELS[0], (2, 2))).save(tmp_path / "Zebedee.png", format=kind)
    (record,) = image_record(tmp_path, Case("p", {"image": "Zebedee.png"}), task_of(("g",)))
    assert record.facts == {"picture_size": [32, 24], "file_format": kind}


def test_a_volume_file_of_one_slice_has_a_size_and_no_format_of_a_picture(tmp_path):
    save_nifti(tmp_path / "a.nii.gz", PIXELS[0][..., None], np.eye(4))
    (record,) = image_record(tmp_path, Case("p", {"image": "a.nii.gz"}), task_of(("g",)))
    assert record.facts["file_format"] == "volume or DICOM"


def test_images_that_are_missing_or_of_another_shape_are_a_reason(raw):
    task = task_of(("t1", "t2"))
    with pytest.raises(Unreadable, match="missing images: t2"):
        image_record(raw, Case("p", {"t1": "t1.png"}), task)
    with pytest.raises(Unreadable, match="different shapes: 12 x 16, 6 x 16"):
        image_record(raw, Case("p", {"t1": "t1.png", "t2": "half.png"}), task)


SPOTS = Task(
    name="spots", kind="segmentation", channels=("g",), image_shape=(12, 16), model="unet2d",
    class_names=("none", "spot"), prep=dict(dtype="float32"),
)  # fmt: skip
SPOT = (np.arange(12)[:, None] < 3) & (np.arange(16) < 5)  # (rows, columns), in a corner
DIRECTIONS = {  # of columns, rows and slices in LPS
    "upright": np.eye(3), "half a turn": np.diag([-1.0, -1, 1]), "mirrored": np.diag([-1.0, 1, -1]),
    "a quarter": np.array([[0, -1.0, 0], [1, 0, 0], [0, 0, 1]]),
}  # fmt: skip


def spot_of(tmp_path, image, mask="mask.png"):
    (record,) = image_record(tmp_path, Case("p", {"image": image, "mask": mask}), SPOTS)
    bright = record.image[..., 0] > 50
    assert np.array_equal(record.mask, bright) and 10 < record.mask.sum() < 20
    return record


@pytest.mark.parametrize("way", DIRECTIONS)
def test_a_mask_drawn_on_the_pixels_of_a_dicom_image_is_turned_as_the_image_is(tmp_path, way):
    spot = SPOT if way != "a quarter" else SPOT.T
    affine = np.eye(4)
    affine[:3, :3] = np.diag([-1.0, -1, 1]) @ DIRECTIONS[way]
    pixels = (100 * spot.T).astype(np.uint16)[..., None]  # (columns, rows, slices)
    write(tmp_path, series(pixels, affine), ["image.dcm"])
    Image.fromarray(spot.astype(np.uint8)).save(tmp_path / "mask.png")
    record = spot_of(tmp_path, "image.dcm")
    assert bool(record.mask[0, 0]) == (way == "upright")


def test_a_picture_is_no_mask_of_a_volume_file_that_is_turned_but_a_volume_file_is_one(tmp_path):
    plane = np.array(100 * SPOT.T, np.float32)[..., None]  # (x, y, 1)
    Image.fromarray(SPOT.astype(np.uint8)).save(tmp_path / "mask.png")
    save_nifti(tmp_path / "image.nii.gz", plane, np.eye(4))
    with pytest.raises(Unreadable, match=r"mask: a picture does not say .* \(stored as RAS\)"):
        spot_of(tmp_path, "image.nii.gz")
    save_nifti(tmp_path / "mask.nii.gz", (plane > 0).astype(np.uint8), np.eye(4))
    spot_of(tmp_path, "image.nii.gz", "mask.nii.gz")
    save_nifti(tmp_path / "as_stored.nii.gz", plane, np.diag([-1.0, -1, 1, 1]), order="LPS")
    spot_of(tmp_path, "as_stored.nii.gz")


def test_a_mask_of_dicom_channels_that_are_stored_in_several_directions_is_a_reason(tmp_path):
    both = []
    for sign in (1.0, -1.0):
        both += series(noise((16, 12, 1)), np.diag([sign, sign, 1, 1]))
    write(tmp_path, both, ["t1.dcm", "t2.dcm"])
    Image.fromarray(SPOT.astype(np.uint8)).save(tmp_path / "mask.png")
    case = Case("p", {"t1": "t1.dcm", "t2": "t2.dcm", "mask": "mask.png"})
    with pytest.raises(Unreadable, match="stored in several directions"):
        image_record(tmp_path, case, dataclasses.replace(SPOTS, channels=("t1", "t2")))
