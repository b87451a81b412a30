"""The SavedModel of a run: every signature its task has, as TF Serving loads it.

serving_default  the arrays of a record (`record_arrays`)
image_bytes      PNG or JPEG files of 2D tasks
slices           all slices of a patient, padded, where the task answers for patients
classify         TF Serving's classify: serialized tf.Example with the arrays as float lists
explain          the arrays and a class: where the network looked

Outputs have the batch first. Beside the answers stands `out_of_distribution` (batch,): 1 where what was
given is unlike the training side, else 0 (but in `classify`, whose outputs TF Serving's rules name).
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import keras
import tensorflow as tf
from keras.export import ExportArchive
from tensorflow.core.protobuf import saved_model_pb2

from mri_tf.explain.saliency import check_layer, chosen, grad_cam, has_maps, on_grid
from mri_tf.export.graph import answer_in_graph, grid_image, serves_image_bytes, single_network, stats_of
from mri_tf.export.inputs import array_shapes, seen_by_network
from mri_tf.export.out_of_distribution import OUTSIDE, SPACING, outside_in_graph
from mri_tf.network.bags import SLICE_PROBABILITIES, slice_classifier
from mri_tf.pipeline.normalize import normalize
from mri_tf.store.run import Run

OUTSIDE_SHARE = 0.5  # a patient is outside where at least so many slices are
DEFAULT, IMAGE_BYTES, SLICES = "serving_default", "image_bytes", "slices"
CLASSIFY, EXPLAIN = "classify", "explain"
CLASSIFY_METHOD = "tensorflow/serving/classify"
Signature = tuple[Callable[..., dict], list[tf.TensorSpec]]


@dataclass(frozen=True)
class ExportSource:
    """What an export is made of: a run's network, the ranges of its training side (`fit_ranges`) and
    the dtype of its records' images."""

    model: keras.Model
    run: Run
    ranges: dict
    image_dtype: str


def write_saved_model(served: ExportSource, folder: Path) -> dict[str, list[tf.TensorSpec]]:
    """Writes every signature the task has into one SavedModel; returns their names and inputs."""
    found = signatures(served)
    archive = ExportArchive()  # stores what the endpoints use; a tracked model is stored once more
    for name, (call, specs) in found.items():
        archive.add_endpoint(name, tf.function(call, input_signature=specs, autograph=False))
    archive.write_out(str(folder), verbose=False)
    if CLASSIFY in found:
        _set_method(folder, CLASSIFY, CLASSIFY_METHOD)
    return {name: specs for name, (_, specs) in found.items()}


def _set_method(folder: Path, signature: str, method: str) -> None:
    """Gives a signature of a SavedModel the method name by which TF Serving knows it; what writes
    SavedModels calls all of them predict."""
    path = folder / "saved_model.pb"
    proto = saved_model_pb2.SavedModel.FromString(path.read_bytes())
    proto.meta_graphs[0].signature_def[signature].method_name = method
    path.write_bytes(proto.SerializeToString(deterministic=True))
    (folder / "fingerprint.pb").unlink(missing_ok=True)  # of the file as it was; nothing needs it


def signatures(served: ExportSource) -> dict[str, Signature]:
    """Name -> (function, its inputs) of those the task has."""
    task = served.run.task
    found = {DEFAULT: _arrays(served)}
    if serves_image_bytes(task):
        found[IMAGE_BYTES] = _image_bytes(served)
    if task.bag:
        found[SLICES] = _slices(served)
    if task.kind == "classification":
        found[CLASSIFY] = _classify(served)
        if has_maps(explained_network(served)):
            found[EXPLAIN] = _explain(served)
    return found


def explained_network(served: ExportSource) -> keras.Model:
    """What maps are made of: of a task for patients the network of single slices."""
    return slice_classifier(served.model) if served.run.task.bag else served.model


def _specs(served: ExportSource) -> list[tf.TensorSpec]:
    shapes = array_shapes(served.run.task)
    return [tf.TensorSpec((None, *shape), tf.float32, name=name) for name, shape in shapes.items()]


def _arrays(served: ExportSource) -> Signature:
    """A batch of the arrays that `record_arrays` names."""
    run, specs = served.run, _specs(served)
    answer, network = answer_in_graph(run), single_network(served.model, run.task)

    def serving_default(*given):
        arrays = {spec.name: array for spec, array in zip(specs, given, strict=True)}
        seen = seen_by_network(arrays, run.task, run.values["fitted"])
        return answer(network(seen)) | {OUTSIDE: _outside(arrays, served)}

    return serving_default, specs


def _outside(arrays: dict[str, tf.Tensor], served: ExportSource) -> tf.Tensor:
    return outside_in_graph(arrays["image"], served.ranges, arrays.get(SPACING))


def _image_bytes(served: ExportSource) -> Signature:
    task, answer = served.run.task, answer_in_graph(served.run)
    network = single_network(served.model, task)
    image_spec = tf.TensorSpec((*task.network_shape, len(task.channels)), tf.float32)

    def image_bytes(image_bytes):
        image = tf.map_fn(
            lambda data: grid_image(data, task, served.image_dtype),
            image_bytes,
            fn_output_signature=image_spec,
        )
        normalised = normalize(image, stats_of(image), task.normalize)
        return answer(network(normalised)) | {OUTSIDE: outside_in_graph(image, served.ranges)}

    return image_bytes, [tf.TensorSpec((None,), tf.string, name="image_bytes")]


def _slices(served: ExportSource) -> Signature:
    """slices (patients, slices, *grid) and mask (patients, slices), 1 for a slice, 0 for padding, and
    the other arrays that `record_arrays` names, as long.

    Beside a patient's answer, the network's own probabilities of every slice, and which are outside
    the ranges; 0 for padding.
    """
    run, model = served.run, served.model
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
        present = tf.cast(mask > 0, tf.int32)
        outside = tf.reshape(_outside(flat, served), tf.shape(mask)) * present
        share = tf.reduce_sum(outside, axis=1) / tf.reduce_sum(present, axis=1)
        return answer(tf.cast(outputs, tf.float32)) | {
            "slice_probabilities": tf.cast(by_slice, tf.float32),
            OUTSIDE: tf.cast(share >= OUTSIDE_SHARE, tf.int32),
            f"slice_{OUTSIDE}": outside,
        }

    return slices, inputs


def _classify(served: ExportSource) -> Signature:
    """Serialized tf.Example (batch,) with the arrays of `record_arrays`, flattened, as float lists ->
    `classes` and `scores` (batch, classes): every class by name, and its probability as reported."""
    task, (default, specs) = served.run.task, _arrays(served)
    features = {spec.name: tf.io.FixedLenFeature(spec.shape[1:], tf.float32) for spec in specs}

    def classify(inputs):
        parsed = tf.io.parse_example(inputs, features)
        scores = default(*(parsed[spec.name] for spec in specs))["probabilities"]
        classes = tf.tile([task.class_names], [tf.shape(scores)[0], 1])
        return {"classes": classes, "scores": scores}

    return classify, [tf.TensorSpec((None,), tf.string, name="inputs")]


def _explain(served: ExportSource) -> Signature:
    """The arrays and `class_index` (batch,) int32, -1 for the most probable class -> probabilities,
    the `class_index` that is explained, and its raw Grad-CAM `map` (batch, *grid) as `mri_tf.explain`
    makes it."""
    run, model, specs = served.run, explained_network(served), _specs(served)
    task, answer, layer = run.task, answer_in_graph(run), check_layer(model, "")

    def explain(*given):
        *given, class_index = given
        arrays = {spec.name: array for spec, array in zip(specs, given, strict=True)}
        known = len(task.class_names)
        rule = tf.debugging.assert_less(class_index, known, f"class_index is less than {known}")
        with tf.control_dependencies([rule]):  # before the gather, whose message names no input
            class_index = tf.identity(class_index)
        seen = seen_by_network(arrays, task, run.values["fitted"])
        maps, outputs = grad_cam(model, seen, class_index, layer)
        return {
            "probabilities": answer(outputs)["probabilities"],
            "class_index": chosen(class_index, outputs),
            "map": on_grid(maps, task.network_shape),
            OUTSIDE: _outside(arrays, served),
        }

    return explain, [*specs, tf.TensorSpec((None,), tf.int32, name="class_index")]
