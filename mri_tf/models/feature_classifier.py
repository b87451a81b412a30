"""Small convolutional classifiers on the features of a frozen segmentation network (recipe A)."""

import keras

from mri_tf.models import mnet
from mri_tf.models.heads import SOFTMAX, class_head
from mri_tf.models.layers import (
    conv_norm_relu,
    dense_layers,
    freeze,
    max_pool,
    pool_whole,
    require_divisible,
    with_mirrored_difference,
)


def feature_classifier(
    features: keras.Model,
    class_count: int,
    *,
    conv_filters: int = 16,
    dense_units: int = 100,
    repeats: int = 3,
    dropout: float = 0.5,
    pooling: str = "flatten",
    head: str = SOFTMAX,
) -> keras.Model:
    """(batch, rows, columns, channels) -> (batch, classes) probabilities; one flat graph.

    The first max pooling is part of `mnet.pooled_features`. Then come `repeats` blocks of 3x3
    convolution, BatchNorm, ReLU and max pooling, what `pooling` leaves of the positions, and two dense
    layers with BatchNorm, ReLU and dropout.

    Args:
        features: a segmentation network, `mnet`. Its weights do not train; its BatchNorm and dropout
            stay in inference mode.
        class_count: classes to tell apart.
        conv_filters: of every convolution.
        dense_units: of both dense layers.
        repeats: number of convolutions.
        dropout: after each dense layer.
        pooling: "flatten" as in the recipe, "max" or "average"; see `layers.pool_whole`.
        head: of the task.
    """
    freeze(features)
    trunk = mnet.pooled_features(features)  # (batch, rows / 2, columns / 2, features)
    x = pool_whole(_blocks(trunk.output, conv_filters, repeats), pooling)
    x = dense_layers(x, dense_units, dropout)
    return keras.Model(trunk.input, class_head(x, class_count, head), name="feature_classifier")


def feature_classifier3d(
    features: keras.Model,
    class_count: int,
    *,
    conv_filters: int = 32,
    dense_units: int = 200,
    repeats: int = 4,
    dropout: float = 0.5,
    pooling: str = "flatten",
    mirrored_difference: bool = False,
    norm: str = "batch",
    head: str = SOFTMAX,
) -> keras.Model:
    """(batch, depth, rows, columns, channels) -> (batch, classes) probabilities; one flat graph.

    As `feature_classifier`, on `mnet3d`. Sides must be divisible by 2 ** (repeats + 1); `norm` is
    "batch" or "group" (see `layers.normalized`). With `mirrored_difference` the classifier also sees the
    features less their mirror image, left for right (see `layers.MirroredDifference`).
    """
    require_divisible(features.input_shape[1:], 2 ** (repeats + 1))
    freeze(features)
    trunk = mnet.pooled_features(features)  # (batch, depth / 2, rows / 2, columns / 2, features)
    x = with_mirrored_difference(trunk.output) if mirrored_difference else trunk.output
    x = pool_whole(_blocks(x, conv_filters, repeats, norm), pooling)
    x = dense_layers(x, dense_units, dropout, norm)
    return keras.Model(trunk.input, class_head(x, class_count, head), name="feature_classifier3d")


def _blocks(x, conv_filters: int, repeats: int, norm: str = "batch"):
    """`repeats` blocks of a convolution and max pooling, each of which halves every side."""
    for number in range(1, repeats + 1):
        x = conv_norm_relu(x, conv_filters, f"classifier_{number}", norm)
        x = max_pool(x, f"classifier_{number}_pool")
    return x
