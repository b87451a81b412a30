"""A VGG16-shaped network with BatchNorm, trained from nothing: SCRATCH of recipe A."""

import keras
from keras import layers

from mri_tf.models.layers import batch_norm, dense_head, require_divisible

BLOCKS = ((1, 2), (2, 2), (4, 3), (8, 3), (8, 3))  # (width in first widths, convolutions)


def build(
    input_shape: tuple[int, int, int],
    class_count: int,
    *,
    conv_filters: int = 16,
    dense_units: int = 100,
    dropout: float = 0.5,
) -> keras.Model:
    """(batch, rows, columns, channels) -> (batch, classes) probabilities; sizes divide by 32."""
    require_divisible(input_shape, 2 ** len(BLOCKS))
    image = keras.Input(input_shape, name="image")
    x = image
    for block, (width, convolutions) in enumerate(BLOCKS, 1):
        for number in range(1, convolutions + 1):
            name = f"block_{block}_{number}"
            filters = conv_filters * width
            x = layers.Conv2D(filters, 3, padding="same", use_bias=False, name=f"{name}_conv")(x)
            x = batch_norm(f"{name}_bn")(x)
            x = layers.Activation("relu", name=f"{name}_relu")(x)
        x = layers.MaxPooling2D(name=f"block_{block}_pool")(x)
    x = dense_head(layers.Flatten(name="flatten")(x), class_count, dense_units, dropout)
    return keras.Model(image, x, name="vgg")
