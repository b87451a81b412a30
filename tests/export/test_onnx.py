"""ONNX files give the outputs of the SavedModel, in 2D and 3D; other operations are refused."""

import dataclasses

import keras
import numpy as np
import pytest
import tensorflow as tf
from fresh import export_source_of, feed_of

from mri_tf.core.errors import InputError
from mri_tf.engines.requests import DEFAULT_SIGNATURE
from mri_tf.export.onnx import onnx_call, write_onnx
from mri_tf.export.saved_model import signatures
from mri_tf.task import Task

SMALL = dict(name="small", class_names=("low", "high"), normalize=dict(method="zscore"))
SLICES = dict(
    **SMALL, channels=("t1",), model="vgg", model_args=dict(conv_filters=2, dense_units=4, blocks=2)
)
TASKS = {
    "2D": Task(**SLICES, image_shape=(32, 32)),
    "patients": Task(**SLICES, image_shape=(32, 32), bag=dict(pooling="mean")),
    "grades": Task(
        **{**SLICES, "class_names": ("I", "II", "III")}, image_shape=(32, 32), ordered=True,
        head="cumulative",
    ),
    "views": Task(
        **SLICES, image_shape=(32, 32), test_time=dict(flips=("columns",), shift_voxels=2)
    ),
    "spacing": Task(**SLICES, image_shape=(48, 40), spacing=dict(grid=(32, 32))),
    "3D": Task(
        **SMALL, channels=("t1", "t2"), image_shape=(16, 32, 16), model="grader3d",
        model_args=dict(filters=2, dense_units=4),
    ),
    "3D views": Task(
        **SMALL, channels=("t1",), image_shape=(16, 16, 16), model="grader3d",
        model_args=dict(filters=2, dense_units=4), test_time=dict(flips=("depth",)),
    ),
    "3D segmentation": Task(
        **SMALL, kind="segmentation", channels=("t1",), image_shape=(16, 16, 16), model="mnet3d",
        model_args=dict(start_filters=2),
    ),
    "windows": Task(
        **SMALL, kind="segmentation", channels=("t1",), image_shape=(8, 8, 8), model="unet3d",
        model_args=dict(filters=2, levels=2), patch=dict(shape=(4, 4, 4)),
    ),
}  # fmt: skip


@pytest.mark.parametrize(
    "kind",
    [pytest.param(kind, marks=[pytest.mark.slow] if kind == "windows" else []) for kind in TASKS],
)
def test_onnx_runtime_gives_the_outputs_of_the_saved_model(kind, tmp_path):
    source, feed = export_source_of(TASKS[kind]), feed_of(TASKS[kind])
    inputs = write_onnx(source, tmp_path / "model.onnx")
    assert [spec.name for spec in inputs[DEFAULT_SIGNATURE]] == list(feed)
    call, _ = signatures(source)[DEFAULT_SIGNATURE]
    expected = call(*map(tf.constant, feed.values()))
    for count in (3, 1):  # any size of batch
        outputs = onnx_call(source, tmp_path / "model.onnx")(
            DEFAULT_SIGNATURE, {name: array[:count] for name, array in feed.items()}
        )
        assert set(outputs) == set(expected)
        for name in ("probabilities", "out_of_distribution"):
            np.testing.assert_allclose(outputs[name], expected[name][:count], atol=1e-4)
    assert expected["out_of_distribution"].numpy().tolist() == [0, 0, 1]


def test_an_operation_that_does_not_convert_is_refused_in_one_line(tmp_path):
    source = export_source_of(TASKS["2D"])
    digamma = keras.layers.Lambda(tf.math.digamma)(source.model.outputs[0])
    images_alone = dataclasses.replace(source.familiarity, features=None)
    model = keras.Model(source.model.inputs, digamma)
    members = (dataclasses.replace(source.members[0], model=model),)
    source = dataclasses.replace(source, members=members, familiarity=images_alone)
    with pytest.raises(InputError, match="cannot be converted to ONNX or run by ONNX Runtime") as error:
        write_onnx(source, tmp_path / "model.onnx")
        onnx_call(source, tmp_path / "model.onnx")
    assert "\n" not in str(error.value) and "Digamma" in str(error.value)


def test_a_file_that_onnx_runtime_cannot_run_is_refused_in_one_line(tmp_path):
    source = export_source_of(TASKS["2D"])
    (tmp_path / "model.onnx").write_bytes(b"no graph")
    with pytest.raises(InputError, match="cannot be converted to ONNX or run by ONNX Runtime") as error:
        onnx_call(source, tmp_path / "model.onnx")
    assert "\n" not in str(error.value) and "Export it with --format savedmodel" in str(error.value)
