"""Settings of a task: what is out of range, misspelt or excludes each other is refused."""

import dataclasses

import pytest

from mri_tf.core.errors import InputError
from mri_tf.task import Task
from mri_tf.task.settings import check_settings

FLAT = Task(name="t", channels=("mr",), image_shape=(32, 32), class_names=("a", "b"), model="vgg")
DEEP = dataclasses.replace(FLAT, image_shape=(32, 32, 32), model="vgg3d")
ORGANS = dataclasses.replace(DEEP, kind="segmentation", model="unet3d")
BOX = dict(around="brain", grid=(16, 16, 16))
PATCH = dict(shape=(16, 16, 16))
SPACING = dict(grid=(16, 16))


@pytest.mark.parametrize(
    ("task", "values"),
    [(DEEP, dict(box=BOX)), (ORGANS, dict(patch=PATCH)), (FLAT, dict(spacing=SPACING)),
     (FLAT, dict(bag=dict(pooling="attention"))),
     (FLAT, dict(test_time=dict(flips=("rows", "columns"), shift_voxels=31))),
     (DEEP, dict(test_time=dict(flips=("depth",)), box=BOX))],
    ids=lambda value: ",".join(value) if isinstance(value, dict) else value.kind,
)  # fmt: skip
def test_settings_within_their_range_are_accepted(task, values):
    check_settings(dataclasses.replace(task, **values))


@pytest.mark.parametrize(
    ("task", "values", "named"),
    [
        (DEEP, dict(box=BOX | dict(grid=(16, 0, 16))), "box.grid"),
        (DEEP, dict(box=BOX | dict(margin_voxels=-1)), "box.margin_voxels"),
        (DEEP, dict(box=BOX | dict(around="tumour")), "box.around"),
        (DEEP, dict(box=BOX | dict(around="mask")), "boxes_from"),
        (DEEP, dict(box=BOX | dict(margin=2)), "margin_voxels"),
        (FLAT, dict(box=BOX), "box is only for 3D images"),
        (ORGANS, dict(patch=PATCH | dict(overlap=1.0)), "patch.overlap"),
        (ORGANS, dict(patch=PATCH | dict(foreground_share=1.5)), "patch.foreground_share"),
        (ORGANS, dict(patch=dict(shape=(16, 16, 64))), "patch.shape"),
        (DEEP, dict(patch=PATCH), "patch is only for segmentation"),
        (FLAT, dict(spacing=SPACING | dict(grid=(0, 16))), "spacing.grid"),
        (FLAT, dict(spacing=SPACING | dict(margin_mm=-1.0)), "spacing.margin_mm"),
        (FLAT, dict(spacing=SPACING | dict(medians=0.0)), "spacing.medians"),
        (FLAT, dict(bag=dict(pooling="max")), "bag.pooling"),
        (FLAT, dict(bag=dict(attention_units=0)), "bag.attention_units"),
        (FLAT, dict(schedule="cosine", fine_tune=dict(decay=0.9)), "takes one of them"),
        (FLAT, dict(warm_up=5, fine_tune=dict(decay=0.9)), "takes one of them"),
        (ORGANS, dict(patch=PATCH, box=BOX), "at most one of patch, box and spacing"),
        (ORGANS, dict(test_time=dict(shift_voxels=1)), "test_time is only for classifiers"),
        (FLAT, dict(test_time=dict(flips=("depth",))), "test_time.flips must name different ones"),
        (FLAT, dict(test_time=dict(flips=("rows", "rows"))), "test_time.flips"),
        (FLAT, dict(test_time=dict(flips="rows")), "test_time.flips must be a list of strings"),
        (FLAT, dict(test_time=dict(shift_voxels=32)), "smaller than the network's image"),
        (DEEP, dict(test_time=dict(shift_voxels=16), box=BOX), "test_time.shift_voxels"),
        (FLAT, dict(test_time=dict(shift_voxels=-1)), "test_time.shift_voxels"),
        (FLAT, dict(test_time=dict(shift=1)), "test_time does not take shift"),
    ],
    ids=lambda value: None if isinstance(value, Task) else str(value)[:60],
)
def test_settings_out_of_range_are_refused_by_their_name(task, values, named):
    with pytest.raises(InputError, match=named) as error:
        check_settings(dataclasses.replace(task, **values))
    assert "Received:" in str(error.value)
