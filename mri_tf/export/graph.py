"""Between the arrays that are served and a run's answers: the ops that all signatures share."""

from collections.abc import Callable

import keras
import numpy as np
import tensorflow as tf

from mri_tf.calibration.calibrator import from_values
from mri_tf.calibration.operating_point import TIE_TOLERANCE
from mri_tf.calibration.temperature import SMALLEST, prior_offsets
from mri_tf.network.bags import SLICE_NETWORK
from mri_tf.network.windows import windows_in_graph
from mri_tf.pipeline.image_files import decode_png_or_jpeg, fit_to_grid, to_record_values
from mri_tf.task import Task
from mri_tf.task.settings import patch_of


def single_network(model: keras.Model, task: Task) -> Callable[[tf.Tensor], tf.Tensor]:
    """Normalised images -> float32 outputs (batch, classes): of a task for patients, of single slices.

    Of a segmentation (batch, *grid, classes): of the whole grid, by windows where it takes patches.
    """
    if task.bag:
        network = model.get_layer(SLICE_NETWORK)
        return lambda images: tf.cast(network(images)[0], tf.float32)
    if patch := patch_of(task):
        shape, classes = patch.shape, len(task.output_names)
        return lambda images: windows_in_graph(model, images, shape, classes, overlap=patch.overlap)
    return lambda images: tf.cast(model(images), tf.float32)


def answer_in_graph(run):
    """The run's `Calibrator` as a function of TensorFlow ops: outputs (batch, classes) ->
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
            "decision": tf.argmax(tf.cast(products >= largest * (1 - TIE_TOLERANCE), tf.int32), axis=-1),
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


def stored_values(images, task):
    """Prepared images in the task's unit -> the values a PNG of 16 bit holds, rounded and within it."""
    slope, intercept = task.prep.get("slope", 1.0), task.prep.get("intercept", 0.0)
    return np.clip(np.round((images - intercept) / slope), 0, 65535)


def stats_of(image):
    """intensity_stats of prepared images, as `schema.image_stats` takes them: (batch, 2, c, 2)."""
    wide = tf.cast(image, tf.float64)
    mean, variance = tf.nn.moments(wide, axes=list(range(1, image.shape.rank - 1)))
    stats = tf.stack([mean, tf.sqrt(variance)], axis=-1)  # (batch, channels, 2)
    return tf.cast(tf.stack([stats, stats], axis=1), tf.float32)
