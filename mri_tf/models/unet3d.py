"""A 3D U-Net whose skips are sums, of pre-activation residual blocks: segmentation of recipe E.

The paper convolves without padding and crops skips before summing; it does not say whether in both of
its networks or in one. Here every convolution is `same`, so that probabilities and saliency maps are
on the grid of the image and windows need no margin (overlap and blending take care of their borders).
The paper does not state filters, levels and patch size.
"""

from dataclasses import dataclass

import keras
from keras import layers

from mri_tf.models.layers import conv, normalized, require_divisible


def unet3d(
    input_shape: tuple[int, int, int, int],
    class_count: int,
    *,
    filters: int = 16,
    levels: int = 4,
    dropout: float = 0.05,
    weight_decay: float = 1e-6,
    norm: str = "batch",
) -> keras.Model:
    """(batch, depth, rows, columns, channels) -> (batch, depth, rows, columns, classes) probabilities.

    Args:
        input_shape: of a patch: depth, rows, columns (divisible by 2 ** (levels - 1)), channels.
        class_count: classes, with the background.
        filters: width of the finest level, doubled at each coarser one.
        levels: number of resolutions.
        dropout: share of whole channels that is dropped inside every residual block.
        weight_decay: of every kernel; see `decay`.
        norm: "batch" or "group"; see `layers.normalized`.
    """
    require_divisible(input_shape, 2 ** (levels - 1))
    block = Block(dropout, weight_decay, norm)
    image = keras.Input(input_shape, name="image")
    x = convolution(image, filters, 3, "stem", weight_decay)
    down = {}
    for level in range(1, levels + 1):
        if level > 1:
            x = layers.MaxPooling3D(name=f"pool_{level}")(x)
        width = filters * 2 ** (level - 1)
        x = down[level] = residual_block(x, width, f"down_{level}", block)
    for level in range(levels - 1, 0, -1):
        width = filters * 2 ** (level - 1)
        # The sum needs equal widths; narrowing before the upsampling gives the same numbers.
        x = convolution(x, width, 1, f"narrow_{level}", weight_decay)
        x = layers.UpSampling3D(name=f"upsample_{level}")(x)
        x = layers.Add(name=f"skip_{level}")([x, down[level]])
        x = residual_block(x, width, f"up_{level}", block)
    x = activated(x, "last", norm)
    logits = layers.Conv3D(
        class_count, 1, kernel_regularizer=decay(weight_decay), name="logits"
    )(x)  # fmt: skip
    probabilities = layers.Softmax(dtype="float32", name="probabilities")(logits)
    return keras.Model(image, probabilities, name="unet3d")


@dataclass(frozen=True)
class Block:
    """What the residual blocks of a network have in common; the fields are arguments of `unet3d`."""

    dropout: float
    weight_decay: float
    norm: str


def residual_block(x, filters: int, name: str, block: Block):
    """x + two convolutions, normalisation and ReLU before each (He et al. 2016, arXiv:1603.05027).

    Spatial dropout, if any, is between the convolutions. Where the width changes, the activated x
    passes through a 1x1x1 convolution before the sum, as in the paper. The layer of the sum is
    called `name`.
    """
    active = activated(x, f"{name}_a", block.norm)
    inner = convolution(active, filters, 3, f"{name}_a_conv", block.weight_decay)
    inner = activated(inner, f"{name}_b", block.norm)
    if block.dropout:
        inner = layers.SpatialDropout3D(block.dropout, name=f"{name}_dropout")(inner)
    inner = convolution(inner, filters, 3, f"{name}_b_conv", block.weight_decay)
    if x.shape[-1] != filters:
        x = convolution(active, filters, 1, f"{name}_widen", block.weight_decay)
    return layers.Add(name=name)([x, inner])


def activated(x, name: str, norm: str):
    """Normalisation and ReLU, as an Activation layer, which guided backpropagation can replace."""
    return layers.Activation("relu", name=f"{name}_relu")(normalized(x, name, norm))


def convolution(x, filters: int, size: int, name: str, weight_decay: float):
    """A convolution with a kernel of `size` on each side, without bias: a normalisation follows."""
    return conv(x, filters, size, name, decay(weight_decay))


def decay(weight_decay: float) -> keras.regularizers.Regularizer | None:
    """The regulariser whose gradient is weight_decay x kernel, as in the paper's Adam (PyTorch).

    Unlike the decay of AdamW it passes through Adam's moments.
    """
    return keras.regularizers.L2(weight_decay / 2) if weight_decay else None
