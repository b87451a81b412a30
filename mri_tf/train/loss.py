"""Losses of the recipes, on probabilities."""

import keras
import numpy as np
from keras import ops


def weighted_cross_entropy(weights: np.ndarray, smoothing: float = 0.0):
    """Cross entropy times the weight of the true class, averaged over the pixels: one value a record.

    Takes labels (batch, ...) and probabilities (batch, ..., classes); gives (batch,), so that a
    record's weight means the same in classification and segmentation.

    Args:
        weights: (classes,) of the true class.
        smoothing: share of the target that is spread evenly over all classes.

    Source: Szegedy et al. 2016 (label smoothing).
    """
    constant = np.asarray(weights, dtype=np.float32)

    def loss(labels, probabilities):
        labels = ops.cast(labels, "int32")
        entropy = keras.losses.sparse_categorical_crossentropy(labels, probabilities)
        if smoothing:
            logs = ops.log(ops.maximum(probabilities, keras.config.epsilon()))
            entropy = (1 - smoothing) * entropy - smoothing * ops.mean(logs, axis=-1)
        weighted = entropy * ops.take(constant, labels)  # (batch, ...)
        pixels = tuple(range(1, len(weighted.shape)))
        return ops.mean(weighted, axis=pixels) if pixels else weighted

    return loss
