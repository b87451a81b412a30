"""Single images as records: every dtype, one file or one for each channel."""

import numpy as np
import pytest
from PIL import Image

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


def test_images_that_are_missing_or_of_another_shape_are_a_reason(raw):
    task = task_of(("t1", "t2"))
    with pytest.raises(Unreadable, match="missing images: t2"):
        image_record(raw, Case("p", {"t1": "t1.png"}), task)
    with pytest.raises(Unreadable, match="different shapes: 12 x 16, 6 x 16"):
        image_record(raw, Case("p", {"t1": "t1.png", "t2": "half.png"}), task)
