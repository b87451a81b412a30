"""VGG16-shaped networks with BatchNorm in 2D and 3D, trained from scratch (recipe A)."""

import keras

from mri_tf.core.errors import InputError
from mri_tf.models.heads import SOFTMAX, class_head
from mri_tf.models.layers import (
    conv_norm_relu,
    dense_layers,
    max_pool,
    pool_whole,
    require_divisible,
    with_mirrored_difference,
)

BLOCKS = ((1, 2), (2, 2), (4, 3), (8, 3), (8, 3))  # (width relative to the first, convolutions)


def vgg(
    input_shape: tuple[int, int, int],
    class_count: int,
    *,
    conv_filters: int = 16,
    dense_units: int = 100,
    blocks: int = 5,
    dropout: float = 0.5,
    pooling: str = "flatten",
    head: str = SOFTMAX,
) -> keras.Model:
    """(batch, rows, columns, channels) -> (batch, classes) probabilities.

    Args:
        input_shape: rows, columns (both divisible by 2 ** blocks), channels.
        class_count: classes to tell apart.
        conv_filters: width of the first block.
        dense_units: of both dense layers.
        blocks: how many of the five blocks of convolutions, from the first.
        dropout: after each dense layer.
        pooling: "flatten" as in the recipe, "max" or "average"; see `layers.pool_whole`.
        head: of the task.
    """
    image = keras.Input(input_shape, name="image")
    x = pool_whole(_blocks(image, conv_filters, blocks), pooling)
    x = dense_layers(x, dense_units, dropout)
    return keras.Model(image, class_head(x, class_count, head), name="vgg")


def vgg3d(
    input_shape: tuple[int, int, int, int],
    class_count: int,
    *,
    conv_filters: int = 16,
    dense_units: int = 200,
    blocks: int = 5,
    dropout: float = 0.5,
    pooling: str = "flatten",
    mirrored_difference: bool = False,
    norm: str = "batch",
    head: str = SOFTMAX,
) -> keras.Model:
    """(batch, depth, rows, columns, channels) -> (batch, classes) probabilities.

    As `vgg`; depth, rows and columns must be divisible by 2 ** blocks, and `norm` is "batch" or "group"
    (see `layers.normalized`). With `mirrored_difference` the first convolution also sees the image less
    its mirror image, left for right (see `layers.MirroredDifference`).
    """
    image = keras.Input(input_shape, name="image")
    x = with_mirrored_difference(image) if mirrored_difference else image
    x = pool_whole(_blocks(x, conv_filters, blocks, norm), pooling)
    x = dense_layers(x, dense_units, dropout, norm)
    return keras.Model(image, class_head(x, class_count, head), name="vgg3d")


def _blocks(x, conv_filters: int, blocks: int, norm: str = "batch"):
    """Blocks of convolutions and max pooling, each of which halves every side."""
    if not 1 <= blocks <= len(BLOCKS):
        raise InputError(f"blocks must be 1 to {len(BLOCKS)}.", blocks, "Change it in model_args.")
    require_divisible(x.shape[1:], 2**blocks)
    for block, (width, convolutions) in enumerate(BLOCKS[:blocks], 1):
        for number in range(1, convolutions + 1):
            x = conv_norm_relu(x, conv_filters * width, f"block_{block}_{number}", norm)
        x = max_pool(x, f"block_{block}_pool")
    return x
