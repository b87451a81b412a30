"""Writes warm-up requests: TF Serving sends them to a version before it serves that version.

There is one request a signature, with constant images whose value is the usual mean of the training
side, so no patient's image is in it. Left out are `classify` for large images (a tf.Example cannot be
packed) and models that work in windows, for which a warm-up would take as long as an answer.
"""

import math
from pathlib import Path

import numpy as np
import tensorflow as tf

from mri_tf.core.errors import install_hint
from mri_tf.engines.requests import DEFAULT_SIGNATURE
from mri_tf.evaluate.familiarity import usual_mean
from mri_tf.export.graph import stored_values
from mri_tf.export.inputs import serialized_examples
from mri_tf.export.saved_model import CLASSIFY
from mri_tf.export.source import ExportSource
from mri_tf.task import Task

MAX_EXAMPLE_BYTES = 4 << 20


def write_warm_up(source: ExportSource, inputs: dict[str, list[tf.TensorSpec]], path: Path) -> str:
    """Writes a TFRecord of PredictionLog, which needs tensorflow-serving-api (the extra `serve`).

    `inputs` is signature -> its inputs. Returns why no file was written, or ""; a model without the file
    can be served as well.
    """
    if source.run.task.patch:
        return "a model that works in windows takes as long to warm up as to answer"
    try:
        from tensorflow_serving.apis import prediction_log_pb2
    except ImportError:
        return f"writing them needs more packages. {install_hint('serve')}"
    values = _values(source)
    with tf.io.TFRecordWriter(str(path)) as writer:
        for name, specs in inputs.items():
            log = prediction_log_pb2.PredictionLog()
            if name == CLASSIFY:
                shapes = {spec.name: tuple(spec.shape[1:]) for spec in inputs[DEFAULT_SIGNATURE]}
                if 4 * sum(map(math.prod, shapes.values())) > MAX_EXAMPLE_BYTES:  # float32
                    continue
                request = log.classify_log.request
                arrays = {
                    array: np.full((1, *shape), values.get(array, 1.0), np.float32)
                    for array, shape in shapes.items()
                }
                example = tf.train.Example.FromString(serialized_examples(arrays)[0])
                request.input.example_list.examples.add().CopyFrom(example)
            else:
                request = log.predict_log.request
                for spec in specs:
                    request.inputs[spec.name].CopyFrom(_tensor(spec, values.get(spec.name, 1.0)))
            request.model_spec.name = source.run.task.name
            request.model_spec.signature_name = name
            writer.write(log.SerializeToString(deterministic=True))
    return ""


def _values(source: ExportSource) -> dict[str, object]:
    """Input name -> the one value its tensor is filled with, where that is not 1."""
    task, image = source.run.task, usual_mean(source.familiarity.images)
    return {
        "image": image,
        "slices": image,
        "spacing_mm": source.run.values["fitted"].get("pixel_mm", 1.0),
        "class_index": -1,
        "image_bytes": _png(task, image) if source.serves_image_bytes else b"",
    }


def _png(task: Task, value: float) -> bytes:
    """A constant image of a value in the task's unit, as a 16-bit PNG."""
    image = np.full((*task.image_shape, len(task.image_channels)), value)
    return tf.io.encode_png(stored_values(image, task).astype(np.uint16)).numpy()


def _tensor(spec: tf.TensorSpec, value):
    """A TensorProto that stores one value for the whole tensor; axes of any length get length 1."""
    shape = [1 if size is None else size for size in spec.shape]
    return tf.make_tensor_proto(value, dtype=spec.dtype, shape=shape)
