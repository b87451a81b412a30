"""Warm-up requests of an export: what TF Serving asks of a version before it serves it to anybody.

One request a signature, of even images whose value is the middle of the training's means: no patient's
image is in it. Left out are `classify` of large images (its messages cannot be packed) and models that
see a study by windows, where one request takes as long as any other.
"""

import math
from pathlib import Path

import numpy as np
import tensorflow as tf

from mri_tf.export.graph import serves_image_bytes, stored_values
from mri_tf.export.inputs import serialized_examples
from mri_tf.export.saved_model import CLASSIFY, DEFAULT, ExportSource
from mri_tf.task import Task

WARM_UP = "tf_serving_warmup_requests"  # the name TF Serving looks for, in assets.extra
MAX_EXAMPLE_BYTES = 4 << 20


def write_warm_up(served: ExportSource, specs: dict[str, list[tf.TensorSpec]], path: Path) -> str:
    """Writes a TFRecord of PredictionLog for signatures -> inputs; returns why not, empty if it did.

    Needs tensorflow-serving-api (the extra `serve`); a model without the file is served all the same.
    """
    if served.run.task.patch:
        return "a study by windows takes as long to warm up as to answer"
    try:
        from tensorflow_serving.apis import prediction_log_pb2
    except ImportError:
        return "they need pip install 'mri_tf[serve]'"
    values = _values(served)
    with tf.io.TFRecordWriter(str(path)) as writer:
        for name, inputs in specs.items():
            log = prediction_log_pb2.PredictionLog()
            if name == CLASSIFY:
                sizes = {spec.name: tuple(spec.shape[1:]) for spec in specs[DEFAULT]}
                if 4 * sum(map(math.prod, sizes.values())) > MAX_EXAMPLE_BYTES:
                    continue
                request = log.classify_log.request
                arrays = {
                    own: np.full((1, *size), values.get(own, 1.0), np.float32)
                    for own, size in sizes.items()
                }
                example = tf.train.Example.FromString(serialized_examples(arrays)[0])
                request.input.example_list.examples.add().CopyFrom(example)
            else:
                request = log.predict_log.request
                for spec in inputs:
                    request.inputs[spec.name].CopyFrom(_tensor(spec, values.get(spec.name, 1.0)))
            request.model_spec.name = served.run.task.name
            request.model_spec.signature_name = name
            writer.write(log.SerializeToString(deterministic=True))
    return ""


def _values(served: ExportSource) -> dict[str, object]:
    """Input name -> the one value its tensor is filled with, where that is not 1."""
    task, limits = served.run.task, served.ranges["intensity"].values()
    image = float(np.mean([own["mean"] for own in limits]))
    return {
        "image": image,
        "slices": image,
        "spacing_mm": served.run.values["fitted"].get("pixel_mm", 1.0),
        "class_index": -1,
        "image_bytes": _png(task, image) if serves_image_bytes(task) else b"",
    }


def _png(task: Task, value: float) -> bytes:
    """An even image of a value in the task's unit, as a 16-bit PNG."""
    even = np.full((*task.image_shape, len(task.channels)), value)
    return tf.io.encode_png(stored_values(even, task).astype(np.uint16)).numpy()


def _tensor(spec: tf.TensorSpec, value):
    """A TensorProto of one value, however large: open axes are 1."""
    shape = [1 if size is None else size for size in spec.shape]
    return tf.make_tensor_proto(value, dtype=spec.dtype, shape=shape)
