"""A 3D classifier of pre-activation residual blocks with global average pooling: grading of recipe E.

Convolutions are `same` and every halving is a 2x2x2 max pooling, so that voxel i of block k covers
voxels i x 2 ** k to (i + 1) x 2 ** k - 1 of the image, and saliency maps of a block can be placed
exactly. The paper does not state filters and dense units.
"""

from dataclasses import dataclass

import keras
from keras import layers

from mri_tf.models.heads import SOFTMAX, class_head
from mri_tf.models.layers import require_divisible
from mri_tf.models.unet3d import Block, activated, convolution, decay, residual_block

BLOCKS = 4
BLOCK = "block_{number}"  # layers to explain; the paper explains the third and fourth
DENSE_LAYERS = 2


def grader3d(
    input_shape: tuple[int, int, int, int],
    class_count: int,
    *,
    filters: int = 16,
    dense_units: int = 64,
    dropout: float = 0.4,
    weight_decay: float = 1e-4,
    norm: str = "batch",
    head: str = SOFTMAX,
) -> keras.Model:
    """(batch, depth, rows, columns, channels) -> (batch, classes) probabilities.

    The paper's 1x1x1 convolutions after global average pooling are dense layers here.

    Args:
        input_shape: depth, rows, columns (each divisible by 16), channels.
        class_count: classes to tell apart.
        filters: width of the first block, doubled at each further one.
        dense_units: of both dense layers.
        dropout: after each dense layer.
        weight_decay: of every kernel; see `unet3d.decay`.
        norm: "batch" or "group"; see `layers.normalized`.
        head: of the task.
    """
    image = keras.Input(input_shape, name="image")
    x = graded(image, Grader(filters, dense_units, dropout, weight_decay, norm))
    probabilities = class_head(x, class_count, head, regularizer=decay(weight_decay))
    return keras.Model(image, probabilities, name="grader3d")


@dataclass(frozen=True)
class Grader:
    """Sizes of a grading network; the fields are arguments of `grader3d`."""

    filters: int
    dense_units: int
    dropout: float
    weight_decay: float
    norm: str


def graded(x, sizes: Grader, prefix: str = ""):
    """What the last layer reads: (batch, depth, rows, columns, channels) -> (batch, dense_units).

    `prefix` is put before the names of the layers. Raises InputError for a grid that is not divisible
    by 2 ** BLOCKS.
    """
    require_divisible(x.shape[1:], 2**BLOCKS)
    weight_decay, norm = sizes.weight_decay, sizes.norm
    x = convolution(x, sizes.filters, 3, f"{prefix}stem", weight_decay)
    for number in range(1, BLOCKS + 1):
        x = layers.MaxPooling3D(name=f"{prefix}pool_{number}")(x)
        name, width = prefix + BLOCK.format(number=number), sizes.filters * 2 ** (number - 1)
        x = residual_block(x, width, name, Block(0.0, weight_decay, norm))
    x = activated(x, f"{prefix}last", norm)
    x = layers.GlobalAveragePooling3D(name=f"{prefix}average")(x)  # (batch, channels)
    for number in range(1, DENSE_LAYERS + 1):
        name = f"{prefix}dense_{number}"
        x = layers.Dense(sizes.dense_units, kernel_regularizer=decay(weight_decay), name=name)(x)
        x = layers.Activation("relu", name=f"{name}_relu")(x)
        x = layers.Dropout(sizes.dropout, name=f"{name}_dropout")(x)
    return x
