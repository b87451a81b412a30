"""Losses of the recipes, on probabilities."""

import keras
import numpy as np
from keras import ops


def class_weights(counts: np.ndarray, scheme: str) -> np.ndarray:
    """A weight a class from how often it occurs (images, or pixels of a segmentation).

    `sqrt_inverse_frequency` is equation (2) of recipe A, w_l = sqrt(sum_k f_k / f_l);
    `inverse_frequency` leaves the root away; `none` is 1. A class that never occurs gets 0:
    it is in no loss anyway.
    """
    counts = np.asarray(counts, dtype=np.float64)
    if scheme == "none":
        return np.ones_like(counts, dtype=np.float32)
    ratio = np.divide(counts.sum(), counts, out=np.zeros_like(counts), where=counts > 0)
    return (np.sqrt(ratio) if scheme == "sqrt_inverse_frequency" else ratio).astype(np.float32)


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
