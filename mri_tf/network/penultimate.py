"""What the last layer of a classifier reads: the features by which it tells images apart."""

import keras
from keras import ops

from mri_tf.network.bags import SLICE_NETWORK, ScatterSlices, WeightedMean, read_by_last


def with_features(model: keras.Model) -> keras.Model:
    """A model with two outputs: the classifier's own, and the features behind it.

    Features are (batch, features): the input of the layer that gives the probabilities, one after the
    other where a network averages several classifiers. Of a network that answers for patients it is
    the mean over a patient's slices.
    """
    if any(layer.name == SLICE_NETWORK for layer in model.layers):
        return keras.Model(model.inputs, [model.outputs[0], _of_patients(model)])
    read = [ops.cast(tensor, "float32") for tensor in read_by_last(model.outputs[0])]
    return keras.Model(model.inputs, [model.outputs[0], ops.concatenate(read, axis=-1)])


def _of_patients(model: keras.Model):
    """(patients, features) means over the slices that are present."""
    present = model.inputs[-1]  # (patients, slices), 1 for a slice and 0 for padding
    _, of_slices = model.get_layer(SLICE_NETWORK)._inbound_nodes[-1].output_tensors
    padded = ScatterSlices(name="features_of_slices", dtype="float32")(of_slices, present)
    alike = ops.zeros_like(padded[..., :1])  # (patients, slices, 1) scores
    return WeightedMean(name="features_of_patients", dtype="float32")(padded, alike, present)
