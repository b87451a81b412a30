"""A small convolutional classifier on the features of a frozen 3D segmentation network (recipe A)."""

import keras
from keras import layers

from mri_tf.models.layers import batch_norm, conv3d, dense_head, freeze, require_divisible
from mri_tf.models.mnet3d import pooled_features


def build(
    features: keras.Model,
    class_count: int,
    *,
    conv_filters: int = 32,
    dense_units: int = 200,
    repeats: int = 4,
    dropout: float = 0.5,
) -> keras.Model:
    """(batch, depth, rows, columns, channels) -> (batch, classes) probabilities; one flat graph.

    `features` is the segmentation network, mnet3d; its weights do not train and its BatchNorm
    and dropout stay in inference mode. The classifier's first max pooling is part of
    `pooled_features`. Then `repeats` x (3x3x3 convolution, BatchNorm, ReLU, max pooling) and two
    dense layers with BatchNorm, ReLU and dropout. Sizes divide by 2 ** (repeats + 1).
    """
    require_divisible(features.input_shape[1:], 2 ** (repeats + 1))
    freeze(features)
    trunk = pooled_features(features)
    x = trunk.output  # (batch, depth / 2, rows / 2, columns / 2, features)
    for number in range(1, repeats + 1):
        name = f"classifier_{number}"
        x = conv3d(x, conv_filters, 3, f"{name}_conv")
        x = batch_norm(f"{name}_bn")(x)
        x = layers.Activation("relu", name=f"{name}_relu")(x)
        x = layers.MaxPooling3D(name=f"{name}_pool")(x)
    x = dense_head(layers.Flatten(name="flatten")(x), class_count, dense_units, dropout)
    return keras.Model(trunk.input, x, name="feature_classifier3d")
