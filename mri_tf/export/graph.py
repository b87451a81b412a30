"""TensorFlow ops that the signatures share: reading images, the network, calibrated answers."""

from collections.abc import Callable

import keras
import numpy as np
import tensorflow as tf

from mri_tf.calibration.answers import answers_from_json
from mri_tf.calibration.pooled import PooledAnswers
from mri_tf.calibration.temperature import SMALLEST, prior_offsets
from mri_tf.export.members_graph import decision_in_graph, members_in_graph
from mri_tf.network.bags import SLICE_NETWORK
from mri_tf.network.combat import corrected
from mri_tf.network.views import with_views
from mri_tf.network.windows import windows_in_graph
from mri_tf.pipeline.image_files import decode_png_or_jpeg, fit_to_grid, to_record_values
from mri_tf.store.run import Run
from mri_tf.task import Task
from mri_tf.task.settings import patch_of


def single_network(model: keras.Model, task: Task) -> Callable[[tf.Tensor], tf.Tensor]:
    """Returns a function from normalised images (batch, *network_shape, channels) to float32 outputs.

    Outputs are (batch, classes); where a task answers for patients, they are of single slices. Those of
    a segmentation are (batch, *grid, classes), made window by window where it was trained on patches.
    Those of a classifier are averaged over the views of the task. Where features are corrected by site
    or scanner, the function takes a pair: images, and numbers (batch,).
    """
    if task.bag:
        network = with_views(model.get_layer(SLICE_NETWORK), task)
        return _traced_once(lambda images: network(images)[0], network)
    if patch := patch_of(task):
        shape, classes = patch.shape, len(task.output_names)
        network = with_constants(model)
        return lambda images: windows_in_graph(network, images, shape, classes, overlap=patch.overlap)
    network = with_views(corrected(model), task)
    return _traced_once(network, network)


def spec_of(network: keras.Model):
    """The TensorSpec of what a network is given, or a tuple of them where that is several tensors."""
    specs = [tf.TensorSpec((None, *tensor.shape[1:]), tf.float32) for tensor in network.inputs]
    return specs[0] if len(specs) == 1 else tuple(specs)


def _traced_once(call: Callable, network: keras.Model) -> Callable[[tf.Tensor], tf.Tensor]:
    """One graph of the network for all signatures that use it."""
    images = spec_of(network)
    as_float32 = lambda tensor: tf.cast(call(tensor), tf.float32)  # noqa: E731
    return tf.function(as_float32, input_signature=[images], autograph=False)


def with_constants(model: keras.Model) -> Callable[[tf.Tensor], tf.Tensor]:
    """A network whose weights are constants of the graph.

    Converters do not follow a variable into loops inside loops, as those of `windows_in_graph`.
    """
    trained, other = (
        [variable.numpy() for variable in variables]
        for variables in (model.trainable_variables, model.non_trainable_variables)
    )

    def call(images: tf.Tensor) -> tf.Tensor:
        constants = [[tf.constant(value) for value in values] for values in (trained, other)]
        return model.stateless_call(*constants, images, training=False)[0]

    return call


def answer_in_graph(run: Run) -> Callable[[tf.Tensor], dict[str, tf.Tensor]]:
    """Returns the run's `Calibrator` as TensorFlow ops.

    The function takes the network's outputs (batch, classes) and returns `probabilities`, calibrated,
    `logits` of the network, both (batch, classes) float32, and `decision` (batch,) at the operating
    point; of outputs (batch, members, classes) see `members_in_graph`. A segmentation's outputs
    (batch, *grid, classes) are its probabilities; it has no decision.
    """
    if run.task.kind == "segmentation":
        return lambda outputs: {
            "probabilities": outputs, "logits": tf.math.log(tf.maximum(outputs, SMALLEST))
        }  # fmt: skip
    calibrator = answers_from_json(run.values["answers"])
    if isinstance(calibrator, PooledAnswers):
        return members_in_graph(calibrator)
    offsets = prior_offsets(np.array(calibrator.trained), np.array(calibrator.natural))
    offsets = offsets + np.array(calibrator.intercepts)
    factors = np.array(calibrator.point.class_factors)

    def answer(outputs):
        # In float64, as in Calibrator: a low temperature magnifies what float32 rounds away.
        logits = tf.math.log(tf.maximum(tf.cast(outputs, tf.float64), SMALLEST))
        probabilities = tf.nn.softmax(logits / calibrator.temperature + offsets)
        return {
            "probabilities": tf.cast(probabilities, tf.float32),
            "logits": tf.cast(logits, tf.float32),
            "decision": decision_in_graph(probabilities, factors),
        }

    return answer


def reported(run: Run, outputs: np.ndarray) -> np.ndarray:
    """Returns the probabilities that evaluate reports for a network's outputs (batch, ..., classes), or
    those of several members (batch, members, classes)."""
    if run.task.kind == "segmentation":
        return outputs
    return answers_from_json(run.values["answers"]).probabilities(outputs)


def grid_image(data: tf.Tensor, task: Task, image_dtype: str) -> tf.Tensor:
    """Returns the image (rows, columns, channels) float32 that preparation makes of a PNG or JPEG.

    `data` are the bytes of one file; values are rounded to `image_dtype`, that of the prepared set.
    """
    stored = decode_png_or_jpeg(data, len(task.channels), task.prep.get("bits", 0))
    fitted = fit_to_grid(stored, task.image_shape, "bilinear")
    slope, intercept = task.prep.get("slope", 1.0), task.prep.get("intercept", 0.0)
    return to_record_values(fitted, slope, intercept, image_dtype)


def stored_values(images: np.ndarray, task: Task) -> np.ndarray:
    """Returns the values, 0 to 65535, by which a 16-bit PNG stores prepared images (any shape)."""
    slope, intercept = task.prep.get("slope", 1.0), task.prep.get("intercept", 0.0)
    return np.clip(np.round((images - intercept) / slope), 0, 65535)


def stats_of(images: tf.Tensor) -> tf.Tensor:
    """Returns the `intensity_stats` (batch, 2, channels, 2) of prepared images (batch, *grid, channels):
    mean and SD, the same for the whole image and for the brain, as there is no mask."""
    wide = tf.cast(images, tf.float64)
    mean, variance = tf.nn.moments(wide, axes=list(range(1, images.shape.rank - 1)))
    stats = tf.stack([mean, tf.sqrt(variance)], axis=-1)  # (batch, channels, 2)
    return tf.cast(tf.stack([stats, stats], axis=1), tf.float32)
