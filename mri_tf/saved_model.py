"""What is served: a run's network between the arrays of a record and its answers, as one graph.

Signatures: `serving_default` takes prepared-grid arrays, `image_bytes` PNG or JPEG files of 2D tasks,
`slices` all slices of a patient, padded, where the task answers for patients.
"""

from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from keras.export import ExportArchive

from mri_tf.answers import from_values
from mri_tf.bags import SLICE_NETWORK, SLICE_PROBABILITIES
from mri_tf.calibration import SMALLEST, prior_offsets
from mri_tf.data.normalize import normalize
from mri_tf.decisions import SAME
from mri_tf.images import decode_png_or_jpeg, fit_to_grid, to_record_values
from mri_tf.record_arrays import array_shapes, seen_by_network
from mri_tf.runs import Run
from mri_tf.task import Task


def write_saved_model(model: keras.Model, run: Run, image_dtype: str, folder: Path) -> None:
    """Every signature the task has, in one SavedModel; outputs have the batch first."""
    archive = ExportArchive()
    archive.track(model)
    _add_arrays(archive, model, run)
    if serves_image_bytes(run.task):
        _add_image_bytes(archive, model, run, image_dtype)
    if run.task.bag:
        _add_slices(archive, model, run)
    archive.write_out(str(folder), verbose=False)


def single_network(model: keras.Model, task: Task):
    """Images (batch, *grid) -> outputs (batch, classes): of a task for patients, of single slices."""
    if not task.bag:
        return model
    network = model.get_layer(SLICE_NETWORK)
    return lambda image: network(image)[0]


def _add_arrays(archive: ExportArchive, model: keras.Model, run: Run) -> None:
    """A batch of the arrays that `record_arrays` names."""
    task, answer = run.task, answer_in_graph(run)
    network, shapes = single_network(model, task), array_shapes(task)
    inputs = [tf.TensorSpec((None, *shape), tf.float32, name=name) for name, shape in shapes.items()]

    def serving_default(*arrays):
        seen = seen_by_network(dict(zip(shapes, arrays, strict=True)), task, run.values["fitted"])
        return answer(tf.cast(network(seen), tf.float32))

    archive.add_endpoint(
        "serving_default", tf.function(serving_default, input_signature=inputs, autograph=False)
    )


def _add_image_bytes(archive: ExportArchive, model: keras.Model, run: Run, image_dtype: str) -> None:
    task, answer = run.task, answer_in_graph(run)
    network = single_network(model, task)
    image_spec = tf.TensorSpec((*task.network_shape, len(task.channels)), tf.float32)

    def image_bytes(image_bytes):
        image = tf.map_fn(
            lambda data: grid_image(data, task, image_dtype),
            image_bytes,
            fn_output_signature=image_spec,
        )
        normalised = normalize(image, stats_of(image), task.normalize)
        return answer(tf.cast(network(normalised), tf.float32))

    spec = tf.TensorSpec((None,), tf.string, name="image_bytes")
    archive.add_endpoint(
        "image_bytes", tf.function(image_bytes, input_signature=[spec], autograph=False)
    )


def _add_slices(archive: ExportArchive, model: keras.Model, run: Run) -> None:
    """slices (patients, slices, *grid) and mask (patients, slices), 1 for a slice, 0 for padding, and
    the other arrays that `record_arrays` names, as long.

    Beside a patient's answer, the network's own probabilities of every slice, 0 for padding.
    """
    task, answer = run.task, answer_in_graph(run)
    both = keras.Model(model.inputs, [model.outputs[0], model.get_layer(SLICE_PROBABILITIES).output])
    shapes, seen_shape = array_shapes(task), (*task.network_shape, len(task.channels))
    inputs = [
        tf.TensorSpec((None, None, *shape), tf.float32, name="slices" if name == "image" else name)
        for name, shape in shapes.items()
    ]
    inputs.insert(1, tf.TensorSpec((None, None), tf.float32, name="mask"))

    def slices(slices, mask, *others):
        flat = {
            name: tf.reshape(array, (-1, *shape))
            for (name, shape), array in zip(shapes.items(), (slices, *others), strict=True)
        }
        # What padding becomes here is dropped before the network.
        seen = seen_by_network(flat, task, run.values["fitted"])
        padded = tf.reshape(seen, tf.concat([tf.shape(mask), seen_shape], axis=0))
        outputs, by_slice = both([tf.ensure_shape(padded, (None, None, *seen_shape)), mask])
        return answer(tf.cast(outputs, tf.float32)) | {
            "slice_probabilities": tf.cast(by_slice, tf.float32)
        }

    archive.add_endpoint("slices", tf.function(slices, input_signature=inputs, autograph=False))


def answer_in_graph(run):
    """The run's `Answers` as a function of TensorFlow ops: outputs (batch, classes) ->
    `probabilities` as reported, `logits` of the network, and `decision` at the operating point.

    A segmentation's outputs (batch, rows, columns, classes) are its probabilities.
    """
    if run.task.kind == "segmentation":
        return lambda outputs: {
            "probabilities": outputs, "logits": tf.math.log(tf.maximum(outputs, SMALLEST))
        }  # fmt: skip
    answers = from_values(run.values["answers"])
    offsets = prior_offsets(np.array(answers.trained), np.array(answers.natural))
    factors = np.array(answers.point.class_factors)

    def answer(outputs):
        # In float64, as Answers does: a low temperature multiplies what float32 rounds away.
        logits = tf.math.log(tf.maximum(tf.cast(outputs, tf.float64), SMALLEST))
        probabilities = tf.nn.softmax(logits / answers.temperature + offsets)
        products = probabilities * factors
        largest = tf.reduce_max(products, axis=-1, keepdims=True)
        return {
            "probabilities": tf.cast(probabilities, tf.float32),
            "logits": tf.cast(logits, tf.float32),
            "decision": tf.argmax(tf.cast(products >= largest * (1 - SAME), tf.int32), axis=-1),
        }

    return answer


def reported(run, outputs):
    """What evaluate reports of a network's outputs."""
    if run.task.kind == "segmentation":
        return outputs
    return from_values(run.values["answers"]).probabilities(outputs)


def serves_image_bytes(task) -> bool:
    """Whether preparation from PNG or JPEG bytes can be done in the graph (CLAHE cannot, and a file of
    these kinds holds neither mask nor spacing)."""
    grey_or_colour = len(task.channels) in (1, 3)
    plain = grey_or_colour and "clahe" not in task.prep and not task.spacing
    return len(task.image_shape) == 2 and plain


def grid_image(data, task, image_dtype: str):
    """PNG or JPEG bytes -> the prepared image (*grid, channels) float32, as preparation makes it."""
    stored = decode_png_or_jpeg(data, len(task.channels), task.prep.get("bits", 0))
    fitted = fit_to_grid(stored, task.image_shape, "bilinear")
    slope, intercept = task.prep.get("slope", 1.0), task.prep.get("intercept", 0.0)
    return to_record_values(fitted, slope, intercept, image_dtype)


def stats_of(image):
    """intensity_stats of prepared images, as `schema.image_stats` takes them: (batch, 2, c, 2)."""
    wide = tf.cast(image, tf.float64)
    mean, variance = tf.nn.moments(wide, axes=list(range(1, image.shape.rank - 1)))
    stats = tf.stack([mean, tf.sqrt(variance)], axis=-1)  # (batch, channels, 2)
    return tf.cast(tf.stack([stats, stats], axis=1), tf.float32)
