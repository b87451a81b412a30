"""Frozen ImageNet VGG16 features and dense layers trained on them: VGG of recipe A."""

import keras
from keras import layers

from mri_tf.models import require_divisible
from mri_tf.models.backbones import IMAGENET, vgg16
from mri_tf.models.feature_classifier import dense_head


def build(
    input_shape: tuple[int, int, int],
    class_count: int,
    *,
    dense_units: int = 100,
    dropout: float = 0.5,
    weights: str = IMAGENET,
) -> keras.Model:
    """(batch, rows, columns, 1 or 3) of 0..255 less 128 -> (batch, classes) probabilities.

    A grey image is taken three times. Only the dense layers train.
    """
    require_divisible(input_shape, 32)
    image = keras.Input(input_shape, name="image")
    colour = layers.Concatenate(name="colour")([image] * 3) if input_shape[-1] == 1 else image
    backbone = vgg16(colour, weights)
    for layer in backbone.layers:
        layer.trainable = False
    x = layers.Flatten(name="flatten")(backbone.output)
    x = dense_head(x, class_count, dense_units, dropout)
    return keras.Model(image, x, name="vgg_features")
