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
from pathlib import Path

import keras
import tensorflow as tf
from keras.export import ExportArchive
from tensorflow.core.protobuf import saved_model_pb2

from mri_tf.engines.requests import DEFAULT_SIGNATURE, SAVED_MODEL
from mri_tf.explain.saliency import has_maps, layer_to_explain
from mri_tf.export.explained import explained_in_graph, explained_networks
from mri_tf.export.graph import answer_in_graph, grid_image, stats_of
from mri_tf.export.inputs import array_shapes
from mri_tf.export.out_of_distribution import (
    OUTSIDE,
    OUTSIDE_SCORE,
    SPACING,
    flag_in_graph,
    score_in_graph,
)
from mri_tf.export.source import ExportSource, answer_of_images, far, images_of_members, together
from mri_tf.network.bags import SLICE_PROBABILITIES
from mri_tf.network.penultimate import with_features
from mri_tf.network.views import with_views
from mri_tf.task import Task

IMAGE_BYTES, SLICES = "image_bytes", "slices"
CLASSIFY, EXPLAIN = "classify", "explain"
Signature = tuple[Callable[..., dict], list[tf.TensorSpec]]


def write_saved_model(
    source: ExportSource, folder: Path, only: str = ""
) -> dict[str, list[tf.TensorSpec]]:
    """Writes every signature the task has, or `only` one, into a SavedModel; returns their names and
    inputs."""
    functions = {
        name: signature for name, signature in signatures(source).items() if only in ("", name)
    }
    archive = ExportArchive()  # stores what the endpoints use; a tracked model would be stored twice
    for name, (call, specs) in functions.items():
        archive.add_endpoint(name, _traced_once(call, specs))
    archive.write_out(str(folder), verbose=False)
    if CLASSIFY in functions:
        _set_classify_method(folder)
    return {name: specs for name, (_, specs) in functions.items()}


def _traced_once(call: Callable[..., dict], specs: list[tf.TensorSpec]) -> Callable:
    """A function of these inputs, for an endpoint.

    TensorFlow traces an endpoint twice, the first time to see whether it makes variables. Behind a
    function that is traced already, that is one operation instead of the graphs of all networks.
    """
    traced = tf.function(call, input_signature=specs, autograph=False).get_concrete_function()
    return tf.function(lambda *tensors: traced(*tensors), input_signature=specs, autograph=False)


def _set_classify_method(folder: Path) -> None:
    """Sets the method name by which TF Serving knows `classify`; Keras writes `predict` for all."""
    path = folder / SAVED_MODEL
    proto = saved_model_pb2.SavedModel.FromString(path.read_bytes())
    proto.meta_graphs[0].signature_def[CLASSIFY].method_name = "tensorflow/serving/classify"
    path.write_bytes(proto.SerializeToString(deterministic=True))
    (folder / "fingerprint.pb").unlink(missing_ok=True)  # it no longer fits, and nothing needs it


def signatures(source: ExportSource) -> dict[str, Signature]:
    """Returns name -> (function, its inputs) of the signatures that the run's task has."""
    task = source.run.task
    answer = answer_of_images(source)
    functions = {DEFAULT_SIGNATURE: _arrays(source, answer)}
    if source.serves_image_bytes:
        functions[IMAGE_BYTES] = _image_bytes(source, answer)
    if task.bag:
        functions[SLICES] = _slices(source)
    if task.kind == "classification":
        functions[CLASSIFY] = _classify(task, functions[DEFAULT_SIGNATURE])
        if has_maps(explained_networks(source)[0]):
            functions[EXPLAIN] = _explain(source)
    return functions


def _specs(source: ExportSource) -> list[tf.TensorSpec]:
    shapes = array_shapes(source.run.task)
    return [tf.TensorSpec((None, *shape), tf.float32, name=name) for name, shape in shapes.items()]


def _arrays(source: ExportSource, answer: Callable) -> Signature:
    """`serving_default`: a batch of the arrays that `inputs.array_shapes` names."""
    specs = _specs(source)

    def serving_default(*tensors):
        arrays = {spec.name: tensor for spec, tensor in zip(specs, tensors, strict=True)}
        return answer(images_of_members(arrays, source)) | _outside(arrays, source)

    return serving_default, specs


def _outside(arrays: dict[str, tf.Tensor], source: ExportSource) -> dict[str, tf.Tensor]:
    familiar = source.familiarity.images
    scores = score_in_graph(arrays["image"], arrays.get(SPACING), familiar)
    return {OUTSIDE: flag_in_graph(scores, familiar.graph_limits.records), OUTSIDE_SCORE: scores}


def _image_bytes(source: ExportSource, answer: Callable) -> Signature:
    task = source.run.task
    image_spec = tf.TensorSpec((*task.network_shape, len(task.image_channels)), tf.float32)

    def image_bytes(image_bytes):
        images = tf.map_fn(
            lambda data: grid_image(data, task, source.image_dtype),
            image_bytes,
            fn_output_signature=image_spec,
        )  # (batch, rows, columns, channels)
        arrays = {"image": images, "intensity_stats": stats_of(images)}
        return answer(images_of_members(arrays, source)) | _outside(arrays, source)

    return image_bytes, [tf.TensorSpec((None,), tf.string, name="image_bytes")]


def _slices(source: ExportSource) -> Signature:
    """slices (patients, slices, *grid, channels), mask (patients, slices), 1 for a slice and 0 for
    padding, and the other arrays that `inputs.array_shapes` names, for every slice.

    Beside a patient's answer it gives the network's probabilities of every slice (of several members,
    their mean), and which slices are unlike those of the training side (0 for padding).
    """
    run, familiar = source.run, source.familiarity.images
    task, answer = run.task, answer_in_graph(run)
    networks = [with_views(_with_slices(member.model), task) for member in source.members]
    shapes, image_shape = array_shapes(task), (*task.network_shape, len(task.image_channels))
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
        found = []
        for network, images in zip(networks, images_of_members(flat, source), strict=True):
            padded = tf.reshape(images, tf.concat([tf.shape(mask), image_shape], axis=0))
            found.append(network([tf.ensure_shape(padded, (None, None, *image_shape)), mask]))
        outputs, features, of_slices = zip(*found, strict=True)
        outputs = together([tf.cast(one, tf.float32) for one in outputs], run)
        present = mask > 0
        unlike = {name: tf.reshape(of, tf.shape(mask)) for name, of in _outside(flat, source).items()}
        total = tf.reduce_sum(tf.where(present, unlike[OUTSIDE_SCORE], 0.0), axis=1)
        scores = total / tf.reduce_sum(tf.cast(present, tf.float32), axis=1)
        return answer(outputs) | far(list(features), source) | {
            "slice_probabilities": tf.add_n([tf.cast(one, tf.float32) for one in of_slices])
            / len(of_slices),
            OUTSIDE: flag_in_graph(scores, familiar.graph_limits.patients),
            OUTSIDE_SCORE: scores,
            f"slice_{OUTSIDE}": tf.where(present, unlike[OUTSIDE], 0),
        }

    return slices, inputs


def _with_slices(model: keras.Model) -> keras.Model:
    """A model of patients with the outputs: answer, features, and probabilities of every slice."""
    slice_layer = model.get_layer(SLICE_PROBABILITIES)
    return keras.Model(model.inputs, [*with_features(model).outputs, slice_layer.output])


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
    specs, task = _specs(source), source.run.task
    layer, classes = layer_to_explain(explained_networks(source)[0], ""), len(task.class_names)
    explained = explained_in_graph(source, layer)

    def explain(*tensors):
        *tensors, class_index = tensors
        arrays = {spec.name: tensor for spec, tensor in zip(specs, tensors, strict=True)}
        check = tf.debugging.assert_less(
            class_index, classes, f"class_index must be less than {classes}"
        )
        with tf.control_dependencies([check]):  # before the gather, whose message names no input
            class_index = tf.identity(class_index)
        return explained(images_of_members(arrays, source), class_index) | _outside(arrays, source)

    return explain, [*specs, tf.TensorSpec((None,), tf.int32, name="class_index")]
