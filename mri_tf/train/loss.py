"""Losses of the recipes, on probabilities."""

import keras
import numpy as np
from keras import ops


def weighted_cross_entropy(weights: np.ndarray, smoothing: float = 0.0):
    """Cross entropy times the weight of the true class, averaged over the pixels: one value a record.

    Takes labels (batch, ...) and probabilities (batch, ..., classes); gives (batch,), so that a
    record's weight means the same in classification and segmentation. The labels of mixed images are
    the share of each class, (batch, classes), and the loss is that of the classes by their shares.

    Args:
        weights: (classes,) of the true class.
        smoothing: share of the target that is spread evenly over all classes.

    Source: Szegedy et al. 2016 (label smoothing).
    """
    constant = np.asarray(weights, dtype=np.float32)

    def loss(labels, probabilities):
        if has_shares(labels, probabilities):
            return of_shares(labels * constant, probabilities)
        labels = ops.cast(labels, "int32")
        entropy = keras.losses.sparse_categorical_crossentropy(labels, probabilities)
        if smoothing:
            entropy = (1 - smoothing) * entropy + smoothing * of_all(probabilities)
        weighted = entropy * ops.take(constant, labels)  # (batch, ...)
        pixels = tuple(range(1, len(weighted.shape)))
        return ops.mean(weighted, axis=pixels) if pixels else weighted

    def of_shares(shares, probabilities):  # (batch, classes), times the weights
        entropy = keras.losses.categorical_crossentropy(shares, probabilities)
        if smoothing:
            spread = ops.sum(shares, axis=-1) * of_all(probabilities)
            entropy = (1 - smoothing) * entropy + smoothing * spread
        return entropy

    def of_all(probabilities):
        """The mean cross entropy of all classes."""
        logs = ops.log(ops.maximum(probabilities, keras.config.epsilon()))
        return -ops.mean(logs, axis=-1)

    return loss


def has_shares(labels, probabilities) -> bool:
    """Whether labels are the share of each class, as those of mixed images are."""
    return len(labels.shape) == len(probabilities.shape)


def right_answers(labels, probabilities):
    """1 where the most likely class is the label, or the one with the largest share of it: (batch,)."""
    if has_shares(labels, probabilities):
        labels = ops.argmax(labels, axis=-1)
    most_likely = ops.argmax(probabilities, axis=-1)
    return ops.cast(ops.cast(labels, "int32") == ops.cast(most_likely, "int32"), "float32")


def with_soft_dice(entropy, share: float):
    """A loss of segmentation: `entropy` and one minus the soft Dice, one value a record.

    The Dice of a class in a record is 2 sum(p t) / (sum(p) + sum(t)) over its pixels, with a pixel added
    to both parts, so that a class that is neither there nor predicted costs nothing; the mean is over
    the classes after the first one, the background.

    Args:
        entropy: a loss of `weighted_cross_entropy`.
        share: of the Dice in the sum; 0 gives `entropy` itself.

    Source: Milletari et al. 2016, arXiv:1606.04797; the sum of both as in nnU-Net (Isensee et al. 2021).
    """
    if not share:
        return entropy

    def loss(labels, probabilities):
        classes = probabilities.shape[-1]
        pixels = tuple(range(1, len(probabilities.shape) - 1))
        predicted = ops.cast(probabilities, "float32")  # (batch, ..., classes)
        truth = ops.one_hot(ops.cast(labels, "int32"), classes, dtype="float32")
        both = ops.sum(predicted * truth, axis=pixels)  # (batch, classes)
        either = ops.sum(predicted, axis=pixels) + ops.sum(truth, axis=pixels)
        dice = (2 * both + 1) / (either + 1)
        missed = 1 - ops.mean(dice[:, 1:], axis=-1)  # (batch,)
        return (1 - share) * entropy(labels, probabilities) + share * missed

    return loss
