"""Dense layers trained on frozen ImageNet features of VGG16: variant VGG of recipe A."""

import keras
from keras import layers

from mri_tf.models.backbones import IMAGENET, UNSCALED, add_backbone, check_weights
from mri_tf.models.heads import SOFTMAX, class_head
from mri_tf.models.layers import dense_layers, require_divisible


def vgg_features(
    input_shape: tuple[int, int, int],
    class_count: int,
    *,
    dense_units: int = 100,
    dropout: float = 0.5,
    weights: str = IMAGENET,
    head: str = SOFTMAX,
) -> keras.Model:
    """(batch, rows, columns, 1 or 3) -> (batch, classes) probabilities; only the dense layers train.

    Args:
        input_shape: rows, columns (both divisible by 32), channels; the image holds 0 to 255 less 128,
            and one channel is repeated three times.
        class_count: classes to tell apart.
        dense_units: of both dense layers.
        dropout: after each dense layer.
        weights: of VGG16, as in `backbones.add_backbone`.
        head: of the task.
    """
    require_divisible(input_shape, 32)
    image = keras.Input(input_shape, name="image")
    features = add_backbone(image, "vgg16", weights, intensities=UNSCALED)
    for layer in keras.Model(image, features).layers:
        layer.trainable = False
    x = layers.Flatten(name="flatten")(features)
    x = dense_layers(x, dense_units, dropout)
    return keras.Model(image, class_head(x, class_count, head), name="vgg_features")


def check(arguments: dict) -> None:
    """Raises InputError for weights that are not available, before any data is read."""
    check_weights("vgg16", arguments["weights"])
