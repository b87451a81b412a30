"""VGG16-shaped networks with BatchNorm in 2D and 3D, trained from scratch (recipe A)."""

import keras
from keras import layers

from mri_tf.models.layers import conv_norm_relu, dense_head, max_pool, require_divisible

BLOCKS = ((1, 2), (2, 2), (4, 3), (8, 3), (8, 3))  # (width relative to the first, convolutions)


def vgg(
    input_shape: tuple[int, int, int],
    class_count: int,
    *,
    conv_filters: int = 16,
    dense_units: int = 100,
    dropout: float = 0.5,
) -> keras.Model:
    """(batch, rows, columns, channels) -> (batch, classes) probabilities.

    Args:
        input_shape: rows, columns (both divisible by 32), channels.
        class_count: classes to tell apart.
        conv_filters: width of the first block.
        dense_units: of both dense layers.
        dropout: after each dense layer.
    """
    require_divisible(input_shape, 2 ** len(BLOCKS))
    image = keras.Input(input_shape, name="image")
    x = dense_head(_blocks(image, conv_filters), class_count, dense_units, dropout)
    return keras.Model(image, x, name="vgg")


def vgg3d(
    input_shape: tuple[int, int, int, int],
    class_count: int,
    *,
    conv_filters: int = 16,
    dense_units: int = 200,
    dropout: float = 0.5,
) -> keras.Model:
    """(batch, depth, rows, columns, channels) -> (batch, classes) probabilities.

    As `vgg`; depth, rows and columns must be divisible by 32.
    """
    require_divisible(input_shape, 2 ** len(BLOCKS))
    image = keras.Input(input_shape, name="image")
    x = dense_head(_blocks(image, conv_filters), class_count, dense_units, dropout)
    return keras.Model(image, x, name="vgg3d")


def _blocks(x, conv_filters: int):
    """Five blocks of convolutions and max pooling, flattened to (batch, n)."""
    for block, (width, convolutions) in enumerate(BLOCKS, 1):
        for number in range(1, convolutions + 1):
            x = conv_norm_relu(x, conv_filters * width, f"block_{block}_{number}")
        x = max_pool(x, f"block_{block}_pool")
    return layers.Flatten(name="flatten")(x)
