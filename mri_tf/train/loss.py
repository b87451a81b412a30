"""Losses of the recipes, on probabilities."""

import keras
import numpy as np
from keras import ops


def weighted_cross_entropy(weights: np.ndarray):
    """Cross entropy times the weight of the true class, averaged over the pixels: one value a record.

    Takes labels (batch, ...) and probabilities (batch, ..., classes); gives (batch,), so that a
    record's weight means the same in classification and segmentation.
    """
    constant = np.asarray(weights, dtype=np.float32)

    def loss(labels, probabilities):
        labels = ops.cast(labels, "int32")
        entropy = keras.losses.sparse_categorical_crossentropy(labels, probabilities)
        weighted = entropy * ops.take(constant, labels)  # (batch, ...)
        pixels = tuple(range(1, len(weighted.shape)))
        return ops.mean(weighted, axis=pixels) if pixels else weighted

    return loss
