"""A small convolutional classifier on the features of a frozen segmentation network (recipe A)."""

import keras
from keras import layers

from mri_tf.models.layers import batch_norm, dense_head, freeze
from mri_tf.models.mnet import pooled_features


def build(
    features: keras.Model,
    class_count: int,
    *,
    conv_filters: int = 16,
    dense_units: int = 100,
    repeats: int = 3,
    dropout: float = 0.5,
) -> keras.Model:
    """(batch, rows, columns, channels) -> (batch, classes) probabilities; one flat graph.

    `features` is the segmentation network; its weights do not train and its BatchNorm and
    dropout stay in inference mode. The classifier's first max pooling is part of
    `pooled_features`. Then `repeats` x (3x3 convolution, BatchNorm, ReLU, max pooling) and two
    dense layers with BatchNorm, ReLU and dropout.
    """
    freeze(features)
    trunk = pooled_features(features)
    x = trunk.output  # (batch, rows / 2, columns / 2, features)
    for number in range(1, repeats + 1):
        name = f"classifier_{number}"
        x = layers.Conv2D(conv_filters, 3, padding="same", use_bias=False, name=f"{name}_conv")(x)
        x = batch_norm(f"{name}_bn")(x)
        x = layers.Activation("relu", name=f"{name}_relu")(x)
        x = layers.MaxPooling2D(name=f"{name}_pool")(x)
    x = dense_head(layers.Flatten(name="flatten")(x), class_count, dense_units, dropout)
    return keras.Model(trunk.input, x, name="feature_classifier")
