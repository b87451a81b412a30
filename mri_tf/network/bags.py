"""Wraps a network of single slices into one that gives one answer for all slices of a patient.

Slices are padded to (patients, slices, ...) at the border of a batch and the padding is dropped
before the network sees anything, so that BatchNorm's statistics and a patient's answer do not
depend on who else is in the batch. Probabilities are averaged, not logits (recipe B).
"""

import keras
from keras import layers, ops

from mri_tf.task.settings import Bag

SLICE_NETWORK = "slice_network"  # name of the layer that is the network of single slices
SLICE_PROBABILITIES = "slice_probabilities"  # name of the layer with (patients, slices, classes)


@keras.saving.register_keras_serializable("mri_tf")
class DropPadding(layers.Layer):
    """(patients, slices, ...) and which are present (patients, slices) -> (slices present, ...)."""

    def call(self, padded, present):
        flat = ops.reshape(padded, (-1, *padded.shape[2:]))
        return ops.take(flat, _places(present), axis=0)

    def compute_output_spec(self, padded, present):
        return keras.KerasTensor((None, *padded.shape[2:]), dtype=padded.dtype)


@keras.saving.register_keras_serializable("mri_tf")
class ScatterSlices(layers.Layer):
    """(slices present, n) and which are present -> (patients, slices, n), zero for padding."""

    def call(self, values, present):
        patients, slices = ops.shape(present)[0], ops.shape(present)[1]
        width = values.shape[-1]
        flat = ops.scatter(_places(present)[:, None], values, (patients * slices, width))
        return ops.reshape(flat, (patients, slices, width))

    def compute_output_spec(self, values, present):
        return keras.KerasTensor((*present.shape, values.shape[-1]), dtype=values.dtype)


@keras.saving.register_keras_serializable("mri_tf")
class WeightedMean(layers.Layer):
    """Slices (patients, slices, n), scores (patients, slices, 1), present -> (patients, n).

    Weights are the softmax of the scores over a patient's slices: equal scores give the mean.
    """

    def call(self, values, scores, present):
        scores = ops.where(ops.expand_dims(present, -1) > 0, scores, -1e9)
        return ops.sum(ops.softmax(scores, axis=1) * values, axis=1)

    def compute_output_spec(self, values, scores, present):
        return keras.KerasTensor((values.shape[0], values.shape[-1]), dtype=values.dtype)


def scorer(bag: Bag) -> keras.Sequential | None:
    """Features of a slice (slices, n) -> its score (slices, 1); None where all slices count alike.

    Attention after Ilse, Tomczak and Welling (2018), tanh, without their gate.
    """
    if bag.pooling == "mean":
        return None
    hidden = layers.Dense(bag.attention_units, activation="tanh", name="attention_hidden")
    return keras.Sequential([hidden, layers.Dense(1, name="attention_score")], name="attention")


def bag_network(network: keras.Model, score: keras.Sequential | None = None) -> keras.Model:
    """A network of slices -> one of patients with the same layers.

    Inputs: each input of `network` with an axis of slices behind the patients', and `present`
    (patients, slices), 1 for a slice and 0 for padding. Output: (patients, classes) probabilities.
    `score` reads what the network's last layer reads.
    """
    present = keras.Input((None,), name="present", dtype="float32")
    padded = [
        keras.Input((None, *tensor.shape[1:]), name=f"slices_{number}" if number else "slices",
                    dtype=tensor.dtype)
        for number, tensor in enumerate(network.inputs)
    ]  # fmt: skip
    flat = [DropPadding(name=f"{tensor.name}_present")(tensor, present) for tensor in padded]
    read = read_by_last(network.outputs[0])
    read = read[0] if len(read) == 1 else ops.concatenate(read, axis=-1)
    inner = keras.Model(network.inputs, [network.outputs[0], read], name=SLICE_NETWORK)
    probabilities, features = inner(flat if len(flat) > 1 else flat[0])
    by_slice = ScatterSlices(name=SLICE_PROBABILITIES, dtype="float32")(probabilities, present)
    scores = score(features) if score else ops.zeros_like(probabilities[:, :1])
    scores = ScatterSlices(name="slice_scores", dtype="float32")(scores, present)
    answer = WeightedMean(name="probabilities", dtype="float32")(by_slice, scores, present)
    return keras.Model([*padded, present], answer, name=f"{network.name}_of_patients")


def read_by_last(output) -> list:
    """The inputs (batch, n) of the layer that makes `output`; of an average, those of its members."""
    history = output._keras_history  # not layer.input: a layer may be in two graphs
    inputs = history.operation._inbound_nodes[history.node_index].input_tensors
    if not isinstance(history.operation, layers.Average):
        return list(inputs)
    return [tensor for member in inputs for tensor in read_by_last(member)]


def slice_classifier(model: keras.Model) -> keras.Model:
    """The network of single slices within one of patients, with the same layers."""
    inner = model.get_layer(SLICE_NETWORK)
    return keras.Model(inner.inputs, inner.outputs[0], name=inner.name)


def _places(present):
    return ops.nonzero(ops.reshape(present, (-1,)))[0]
