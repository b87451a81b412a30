"""A 3D classifier that begins with the encoder of a segmentation network and trains on from there."""

import re

import keras
from keras import layers

from mri_tf.core.errors import InputError
from mri_tf.models.heads import SOFTMAX, Standardise, class_head

OF_ENCODER = re.compile(r"down_\d+(_b_relu)?")  # the last layer of a level in `mnet3d` and `unet3d`


def encoder_classifier3d(
    features: keras.Model, class_count: int, *, dropout: float = 0.2, head: str = SOFTMAX
) -> keras.Model:
    """(batch, depth, rows, columns, channels) -> (batch, classes) probabilities; one flat graph.

    The encoder down to its coarsest level, global average pooling, the pooled features brought to one
    scale, and one dense layer. All of it trains unless the task's `fine_tune` freezes some or gives
    parts other learning rates: layers of the encoder begin with `stem` or `down_`.

    Args:
        features: a segmentation network, `mnet3d` or `unet3d`, with the weights to begin with.
        class_count: classes to tell apart.
        dropout: before the dense layer.
        head: of the task.
    """
    levels = [layer.name for layer in features.layers if OF_ENCODER.fullmatch(layer.name)]
    if not levels:
        raise InputError(
            "encoder_classifier3d takes the encoder of mnet3d or unet3d.", features.name,
            "Change model, or features_from.",
        )  # fmt: skip
    coarsest = features.get_layer(levels[-1]).output  # (batch, depth', rows', columns', n)
    x = layers.GlobalAveragePooling3D(name="average")(coarsest)
    x = Standardise(name="standardised")(x)
    x = layers.Dropout(dropout, name="classifier_dropout")(x)
    return keras.Model(features.input, class_head(x, class_count, head), name="encoder_classifier3d")
