"""Volumes with label maps: what the layout refuses."""

import pytest

from data_prep.layouts import labelled_volumes
from mri_tf.core.errors import InputError
from mri_tf.task import Task


def test_a_task_of_two_channels_is_refused_with_the_layout_that_has_them(tmp_path):
    task = Task(
        name="mine", kind="segmentation", channels=("t1", "t2"), image_shape=(8, 8, 8), model="unet3d",
        class_names=("none", "part"),
    )  # fmt: skip
    (tmp_path / "labels").mkdir()
    (tmp_path / "labels" / "p1.nii.gz").touch()
    for use in (labelled_volumes.list_cases, labelled_volumes.cases_to_predict):
        with pytest.raises(InputError, match="one volume .* Received: channels t1, t2. .* cases_table"):
            use(tmp_path, task)
