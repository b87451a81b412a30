"""Frozen ImageNet VGG16 features and dense layers trained on them: VGG of recipe A."""

import keras
from keras import layers

from mri_tf.models.backbones import AS_THEY_ARE, IMAGENET, add_backbone, check_weights
from mri_tf.models.layers import dense_head, require_divisible


def vgg_features(
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
    features = add_backbone(image, "vgg16", weights, intensities=AS_THEY_ARE)
    for layer in keras.Model(image, features).layers:
        layer.trainable = False
    x = layers.Flatten(name="flatten")(features)
    x = dense_head(x, class_count, dense_units, dropout)
    return keras.Model(image, x, name="vgg_features")


def check(arguments: dict) -> None:
    """Raises InputError, before data is read, for weights that cannot be had."""
    check_weights("vgg16", arguments["weights"])
