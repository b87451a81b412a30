"""A 3D U-Net whose skips are sums, of pre-activation residual blocks: segmentation of recipe E.

The paper convolves without padding and crops skips before summing, in both of its networks or in
one: it does not say. Here every convolution is `same`: probabilities come on the grid of the
image, so windows need no margin (their overlap and blending take care of borders), and a map of a
block lies on the grid of the image too. Filters, levels and patch size are silent in the paper.
"""

import keras
from keras import layers

from mri_tf.models.layers import batch_norm, conv, require_divisible


def unet3d(
    input_shape: tuple[int, int, int, int],
    class_count: int,
    *,
    filters: int = 16,
    levels: int = 4,
    dropout: float = 0.05,
    weight_decay: float = 1e-6,
) -> keras.Model:
    """(batch, depth, rows, columns, channels) -> (batch, depth, rows, columns, classes).

    Gives probabilities. `input_shape` is that of a patch; its sides divide by 2 ** (levels - 1).
    `filters` is the width of the finest level, doubled at each coarser one; `dropout` drops whole
    channels inside every residual block.
    """
    require_divisible(input_shape, 2 ** (levels - 1))
    image = keras.Input(input_shape, name="image")
    x = convolution(image, filters, 3, "stem", weight_decay)
    down = {}
    for level in range(1, levels + 1):
        if level > 1:
            x = layers.MaxPooling3D(name=f"pool_{level}")(x)
        width = filters * 2 ** (level - 1)
        x = down[level] = residual_block(x, width, f"down_{level}", dropout, weight_decay)
    for level in range(levels - 1, 0, -1):
        width = filters * 2 ** (level - 1)
        # The sum needs equal widths; narrowing before the upsampling gives the same numbers.
        x = convolution(x, width, 1, f"narrow_{level}", weight_decay)
        x = layers.UpSampling3D(name=f"upsample_{level}")(x)
        x = layers.Add(name=f"skip_{level}")([x, down[level]])
        x = residual_block(x, width, f"up_{level}", dropout, weight_decay)
    x = activated(x, "last")
    logits = layers.Conv3D(
        class_count, 1, kernel_regularizer=decay(weight_decay), name="logits"
    )(x)  # fmt: skip
    probabilities = layers.Softmax(dtype="float32", name="probabilities")(logits)
    return keras.Model(image, probabilities, name="unet3d")


def residual_block(x, filters: int, name: str, dropout: float, weight_decay: float):
    """x + two convolutions, BatchNorm and ReLU before each (He et al. 2016, arXiv:1603.05027).

    Spatial dropout, if any, sits between the convolutions. Where the width changes, x passes
    through a 1x1x1 convolution of its own activation, as in the paper. The layer of the sum has
    the block's `name`.
    """
    active = activated(x, f"{name}_a")
    inner = convolution(active, filters, 3, f"{name}_a_conv", weight_decay)
    inner = activated(inner, f"{name}_b")
    if dropout:
        inner = layers.SpatialDropout3D(dropout, name=f"{name}_dropout")(inner)
    inner = convolution(inner, filters, 3, f"{name}_b_conv", weight_decay)
    if x.shape[-1] != filters:
        x = convolution(active, filters, 1, f"{name}_widen", weight_decay)
    return layers.Add(name=name)([x, inner])


def activated(x, name: str):
    """BatchNorm and ReLU; an Activation, which guided backpropagation finds (not a ReLU layer)."""
    return layers.Activation("relu", name=f"{name}_relu")(batch_norm(f"{name}_bn")(x))


def convolution(x, filters: int, size: int, name: str, weight_decay: float):
    """A convolution of `size` a side, without bias: BatchNorm follows wherever it is used."""
    return conv(x, filters, size, name, decay(weight_decay))


def decay(weight_decay: float) -> keras.regularizers.Regularizer | None:
    """The regulariser whose gradient is weight_decay x kernel, as the paper's Adam (PyTorch) has it.

    Coupled: it passes through Adam's moments, unlike AdamW's decay.
    """
    return keras.regularizers.L2(weight_decay / 2) if weight_decay else None
