"""Writes the SavedModel of a run, with every signature its task has, as TF Serving loads it.

serving_default  the arrays of a record (`inputs.array_shapes`)
image_bytes      PNG or JPEG files, for 2D tasks
slices           all slices of a patient, padded, where the task answers for patients
classify         TF Serving's classify: serialized tf.Example with the arrays as float lists
explain          the arrays and a class: where the network looked

All but `classify`, whose outputs TF Serving prescribes, also say whether the input is unlike the
training side (`export.out_of_distribution`).
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import keras
import tensorflow as tf
from keras.export import ExportArchive
from tensorflow.core.protobuf import saved_model_pb2

from mri_tf.evaluate.familiarity import Familiarity
from mri_tf.explain.saliency import chosen, grad_cam, has_maps, layer_to_explain, resize_maps
from mri_tf.export.graph import answer_in_graph, grid_image, serves_image_bytes, single_network, stats_of
from mri_tf.export.inputs import array_shapes, network_input
from mri_tf.export.out_of_distribution import (
    DISTANCE,
    FAR,
    OUTSIDE,
    OUTSIDE_SCORE,
    SPACING,
    distance_in_graph,
    flag_in_graph,
    score_in_graph,
)
from mri_tf.network.bags import SLICE_PROBABILITIES, slice_classifier
from mri_tf.network.penultimate import with_features
from mri_tf.network.views import with_views
from mri_tf.pipeline.normalize import normalize
from mri_tf.store.run import Run
from mri_tf.task import Task

DEFAULT, IMAGE_BYTES, SLICES = "serving_default", "image_bytes", "slices"
CLASSIFY, EXPLAIN = "classify", "explain"
Signature = tuple[Callable[..., dict], list[tf.TensorSpec]]


@dataclass(frozen=True)
class ExportSource:
    """What an export is made from."""

    model: keras.Model  # the run's network with its trained weights
    run: Run
    familiarity: Familiarity  # fitted on its training side
    image_dtype: str  # of the images in the prepared set


def write_saved_model(source: ExportSource, folder: Path) -> dict[str, list[tf.TensorSpec]]:
    """Writes every signature the task has into one SavedModel; returns their names and inputs."""
    functions = signatures(source)
    archive = ExportArchive()  # stores what the endpoints use; a tracked model would be stored twice
    for name, (call, specs) in functions.items():
        archive.add_endpoint(name, tf.function(call, input_signature=specs, autograph=False))
    archive.write_out(str(folder), verbose=False)
    if CLASSIFY in functions:
        _set_classify_method(folder)
    return {name: specs for name, (_, specs) in functions.items()}


def _set_classify_method(folder: Path) -> None:
    """Sets the method name by which TF Serving knows `classify`; Keras writes `predict` for all."""
    path = folder / "saved_model.pb"
    proto = saved_model_pb2.SavedModel.FromString(path.read_bytes())
    proto.meta_graphs[0].signature_def[CLASSIFY].method_name = "tensorflow/serving/classify"
    path.write_bytes(proto.SerializeToString(deterministic=True))
    (folder / "fingerprint.pb").unlink(missing_ok=True)  # it no longer fits, and nothing needs it


def signatures(source: ExportSource) -> dict[str, Signature]:
    """Returns name -> (function, its inputs) of the signatures that the run's task has."""
    task = source.run.task
    answer = _single_answer(source)
    functions = {DEFAULT: _arrays(source, answer)}
    if serves_image_bytes(task):
        functions[IMAGE_BYTES] = _image_bytes(source, answer)
    if task.bag:
        functions[SLICES] = _slices(source)
    if task.kind == "classification":
        functions[CLASSIFY] = _classify(task, functions[DEFAULT])
        if has_maps(explained_network(source)):
            functions[EXPLAIN] = _explain(source)
    return functions


def explained_network(source: ExportSource) -> keras.Model:
    """The network that maps are made of: where a task answers for patients, that of single slices."""
    return slice_classifier(source.model) if source.run.task.bag else source.model


def _specs(source: ExportSource) -> list[tf.TensorSpec]:
    shapes = array_shapes(source.run.task)
    return [tf.TensorSpec((None, *shape), tf.float32, name=name) for name, shape in shapes.items()]


def _single_answer(source: ExportSource) -> Callable[[tf.Tensor], dict[str, tf.Tensor]]:
    """Normalised images (batch, *network_shape, channels) -> the answers for them, one by one, with the
    distance of their features where single images are classified."""
    answer, task, fitted = answer_in_graph(source.run), source.run.task, source.familiarity.features
    if task.bag or fitted is None:
        network = single_network(source.model, task)
        return lambda images: answer(network(images))
    both = with_views(with_features(source.model), task)
    images = tf.TensorSpec((None, *both.inputs[0].shape[1:]), tf.float32, name="images")

    def answer_with_distance(images):
        outputs, features = both(images)
        return answer(tf.cast(outputs, tf.float32)) | _far(features, source)

    # Traced once for all signatures, whose graphs would hold the axes once each otherwise.
    return tf.function(answer_with_distance, input_signature=[images], autograph=False)


def _far(features: tf.Tensor, source: ExportSource) -> dict[str, tf.Tensor]:
    fitted = source.familiarity.features
    distances = distance_in_graph(tf.cast(features, tf.float32), fitted)
    return {FAR: flag_in_graph(distances, fitted.limit), DISTANCE: distances}


def _arrays(source: ExportSource, answer: Callable) -> Signature:
    """`serving_default`: a batch of the arrays that `inputs.array_shapes` names."""
    run, specs = source.run, _specs(source)

    def serving_default(*tensors):
        arrays = {spec.name: tensor for spec, tensor in zip(specs, tensors, strict=True)}
        images = network_input(arrays, run.task, run.values["fitted"])
        return answer(images) | _outside(arrays, source)

    return serving_default, specs


def _outside(arrays: dict[str, tf.Tensor], source: ExportSource) -> dict[str, tf.Tensor]:
    familiar = source.familiarity.images
    scores = score_in_graph(arrays["image"], arrays.get(SPACING), familiar)
    return {OUTSIDE: flag_in_graph(scores, familiar.graph_limits.records), OUTSIDE_SCORE: scores}


def _image_bytes(source: ExportSource, answer: Callable) -> Signature:
    task = source.run.task
    image_spec = tf.TensorSpec((*task.network_shape, len(task.channels)), tf.float32)

    def image_bytes(image_bytes):
        images = tf.map_fn(
            lambda data: grid_image(data, task, source.image_dtype),
            image_bytes,
            fn_output_signature=image_spec,
        )  # (batch, rows, columns, channels)
        normalised = normalize(images, stats_of(images), task.normalize)
        return answer(normalised) | _outside({"image": images}, source)

    return image_bytes, [tf.TensorSpec((None,), tf.string, name="image_bytes")]


def _slices(source: ExportSource) -> Signature:
    """slices (patients, slices, *grid, channels), mask (patients, slices), 1 for a slice and 0 for
    padding, and the other arrays that `inputs.array_shapes` names, for every slice.

    Beside a patient's answer it gives the network's probabilities of every slice, and which slices are
    unlike those of the training side (0 for padding).
    """
    run, model, familiar = source.run, source.model, source.familiarity.images
    task, answer = run.task, answer_in_graph(run)
    slice_layer = model.get_layer(SLICE_PROBABILITIES)
    network = keras.Model(model.inputs, [*with_features(model).outputs, slice_layer.output])
    network = with_views(network, task)
    shapes, image_shape = array_shapes(task), (*task.network_shape, len(task.channels))
    inputs = [
        tf.TensorSpec((None, None, *shape), tf.float32, name="slices" if name == "image" else name)
        for name, shape in shapes.items()
    ]
    inputs.insert(1, tf.TensorSpec((None, None), tf.float32, name="mask"))

    def slices(slices, mask, *others):
        flat = {
            name: tf.reshape(tensor, (-1, *shape))
            for (name, shape), tensor in zip(shapes.items(), (slices, *others), strict=True)
        }  # (patients * slices, *shape)
        # What padding becomes here is dropped before the network.
        images = network_input(flat, task, run.values["fitted"])
        padded = tf.reshape(images, tf.concat([tf.shape(mask), image_shape], axis=0))
        outputs, features, of_slices = network(
            [tf.ensure_shape(padded, (None, None, *image_shape)), mask]
        )
        present = mask > 0
        unlike = {name: tf.reshape(of, tf.shape(mask)) for name, of in _outside(flat, source).items()}
        total = tf.reduce_sum(tf.where(present, unlike[OUTSIDE_SCORE], 0.0), axis=1)
        scores = total / tf.reduce_sum(tf.cast(present, tf.float32), axis=1)
        return answer(tf.cast(outputs, tf.float32)) | _far(features, source) | {
            "slice_probabilities": tf.cast(of_slices, tf.float32),
            OUTSIDE: flag_in_graph(scores, familiar.graph_limits.patients),
            OUTSIDE_SCORE: scores,
            f"slice_{OUTSIDE}": tf.where(present, unlike[OUTSIDE], 0),
        }

    return slices, inputs


def _classify(task: Task, arrays: Signature) -> Signature:
    """Serialized tf.Example (batch,) with the arrays of `serving_default`, flattened, as float lists ->
    `classes` and `scores` (batch, classes): the name of every class and its reported probability."""
    default, specs = arrays
    features = {spec.name: tf.io.FixedLenFeature(spec.shape[1:], tf.float32) for spec in specs}

    def classify(inputs):
        parsed = tf.io.parse_example(inputs, features)
        scores = default(*(parsed[spec.name] for spec in specs))["probabilities"]
        classes = tf.tile([task.class_names], [tf.shape(scores)[0], 1])
        return {"classes": classes, "scores": scores}

    return classify, [tf.TensorSpec((None,), tf.string, name="inputs")]


def _explain(source: ExportSource) -> Signature:
    """The arrays and `class_index` (batch,) int32, -1 for the most probable class -> probabilities,
    the `class_index` that is explained, and its raw Grad-CAM `map` (batch, *grid) as `mri_tf.explain`
    makes it.

    Where a task averages over views, so are the probabilities, which choose the class for -1; the map is
    that of the unchanged image.
    """
    run, model, specs = source.run, explained_network(source), _specs(source)
    task, answer, layer = run.task, answer_in_graph(run), layer_to_explain(model, "")
    classes, averaged = len(task.class_names), with_views(model, task)

    def explain(*tensors):
        *tensors, class_index = tensors
        arrays = {spec.name: tensor for spec, tensor in zip(specs, tensors, strict=True)}
        check = tf.debugging.assert_less(
            class_index, classes, f"class_index must be less than {classes}"
        )
        with tf.control_dependencies([check]):  # before the gather, whose message names no input
            class_index = tf.identity(class_index)
        images = network_input(arrays, task, run.values["fitted"])
        if averaged is model:
            maps, outputs = grad_cam(model, images, class_index, layer)
            class_index = chosen(class_index, outputs)
        else:
            outputs = averaged(images)
            class_index = chosen(class_index, outputs)
            maps, _ = grad_cam(model, images, class_index, layer)
        return {
            "probabilities": answer(outputs)["probabilities"],
            "class_index": class_index,
            "map": resize_maps(maps, task.network_shape),
            **_outside(arrays, source),
        }

    return explain, [*specs, tf.TensorSpec((None,), tf.int32, name="class_index")]
