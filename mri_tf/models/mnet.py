"""M-Net in 2D and 3D: a U-Net with a left leg of pooled inputs and a right leg of decoder outputs.

Mehta & Sivaswamy 2017, as modified in recipe A. The second convolution of a pair takes the
concatenation of the pair's input and the first one's output, which gives the parameter count that the
paper states. In 3D the right leg has only the three finest levels, both for the segmentation and for a
classifier ("only parts of the outputs from the decoding path are used").
"""

import itertools
from dataclasses import dataclass

import keras
from keras import layers

from mri_tf.core.errors import InputError
from mri_tf.models.layers import conv_norm_relu, max_pool, require_divisible, upsample

LEG_LEVELS_3D = 3  # levels of the right leg in 3D, the finest ones
LEG = "leg_{level}"  # layers whose outputs are the features; level 1 is the finest


def mnet(
    input_shape: tuple[int, int, int],
    class_count: int,
    *,
    start_filters: int = 16,
    levels: int = 5,
    dropout: float = 0.5,
) -> keras.Model:
    """(batch, rows, columns, channels) -> (batch, rows, columns, classes) probabilities.

    The paper's last 1x1 convolution, on 31 x start_filters channels of the right leg at full
    resolution, is computed as one 1x1 convolution at each level, upsampled and summed afterwards: the
    same numbers (a 1x1 convolution and nearest upsampling commute) without the widest tensor.

    Args:
        input_shape: rows, columns (both divisible by 2 ** (levels - 1)), channels.
        class_count: classes, with the background.
        start_filters: width of the finest level, doubled at each coarser one.
        levels: resolutions, at least 2; the paper has 5.
        dropout: before the coarsest level.
    """
    image, legs = _new_legs(input_shape, Trunk(start_filters, levels, dropout, levels, "batch"))
    # Each score is (batch, rows, columns, classes); only the finest level has a bias.
    scores = [layers.Conv2D(class_count, 1, name="score_1")(legs[0])]
    for level in range(2, levels + 1):
        score = layers.Conv2D(class_count, 1, use_bias=False, name=f"score_{level}")(legs[level - 1])
        scores.append(upsample(score, 2 ** (level - 1), f"score_up_{level}"))
    logits = layers.Add(name="scores")(scores)
    probabilities = layers.Softmax(dtype="float32", name="probabilities")(logits)
    return keras.Model(image, probabilities, name="mnet")


def mnet3d(
    input_shape: tuple[int, int, int, int],
    class_count: int,
    *,
    start_filters: int = 12,
    levels: int = 5,
    dropout: float = 0.5,
    norm: str = "batch",
) -> keras.Model:
    """(batch, depth, rows, columns, channels) -> (batch, depth, rows, columns, classes) probabilities.

    As `mnet`; depth, rows and columns must be divisible by 2 ** (levels - 1). The last convolution is on
    7 x start_filters channels and computed at each level, summed from the coarsest level up. `norm` is
    "batch" or "group"; see `layers.normalized`.
    """
    image, legs = _new_legs(input_shape, Trunk(start_filters, levels, dropout, LEG_LEVELS_3D, norm))
    total = None
    for level in range(len(legs), 0, -1):
        score = layers.Conv3D(class_count, 1, use_bias=level == 1, name=f"score_{level}")(
            legs[level - 1]
        )
        if total is not None:
            larger = upsample(total, 2, f"score_up_{level}")
            score = layers.Add(name=f"scores_{level}")([larger, score])
        total = score
    probabilities = layers.Softmax(dtype="float32", name="probabilities")(total)
    return keras.Model(image, probabilities, name="mnet3d")


def pooled_features(network: keras.Model) -> keras.Model:
    """The features of an M-Net after the first max pooling of a classifier.

    Equal to concatenating the right leg at full resolution and max pooling it, because
    maxpool2(upsample2(x)) == x, but several times faster and smaller.

    Args:
        network: of `mnet` or `mnet3d`.

    Returns:
        (batch, rows, columns, channels) -> (batch, rows / 2, columns / 2, 31 x start_filters); in 3D
        with a depth before the rows, and 7 x start_filters.
    """
    features = pooled_concatenation(_legs(network))
    return keras.Model(network.input, features, name=f"{network.name}_pooled_features")


def pooled_concatenation(legs: list):
    """Outputs of the right leg, finest first -> (batch, rows / 2, columns / 2, features); also in 3D."""
    parts = [max_pool(legs[0], "pooled_leg_1"), legs[1]]
    for level in range(3, len(legs) + 1):
        parts.append(upsample(legs[level - 1], 2 ** (level - 2), f"pooled_leg_{level}"))
    return layers.Concatenate(name="pooled_features")(parts)


def full_resolution_features(network: keras.Model) -> keras.Model:
    """The right leg concatenated at full resolution, as recipe A states it.

    (batch, rows, columns, channels) -> (batch, rows, columns, features), in 3D with a depth. Tests
    compare it with `pooled_features`.
    """
    features = full_concatenation(_legs(network))
    return keras.Model(network.input, features, name=f"{network.name}_full_resolution_features")


def full_concatenation(legs: list):
    """Outputs of the right leg, finest first -> (batch, rows, columns, features); also in 3D."""
    parts = [legs[0]]
    for level in range(2, len(legs) + 1):
        parts.append(upsample(legs[level - 1], 2 ** (level - 1), f"full_leg_{level}"))
    return layers.Concatenate(name="full_resolution_features")(parts)


def _legs(network: keras.Model) -> list:
    """Outputs of the right leg, finest first."""
    names = {layer.name for layer in network.layers}
    finest_first = (LEG.format(level=level) for level in itertools.count(1))
    present = itertools.takewhile(names.__contains__, finest_first)
    return [network.get_layer(name).output for name in present]


@dataclass(frozen=True)
class Trunk:
    """An M-Net up to its right leg; the fields are arguments of `mnet3d`."""

    start_filters: int
    levels: int
    dropout: float
    leg_levels: int  # levels of the right leg, the finest ones
    norm: str


def _new_legs(input_shape: tuple[int, ...], trunk: Trunk) -> tuple:
    """A new network up to the right leg: its input, and the outputs of the leg, finest first."""
    levels, norm = trunk.levels, trunk.norm
    leg_levels = min(trunk.leg_levels, levels)
    widths = {level: trunk.start_filters * 2 ** (level - 1) for level in range(1, levels + 1)}
    if levels < 2:
        raise InputError("M-Net needs at least 2 levels.", levels, "Change levels in model_args.")
    require_divisible(input_shape, 2 ** (levels - 1))
    image = keras.Input(input_shape, name="image")
    first = conv_norm_relu(image, widths[1], "down_1_a", norm)
    down = {1: _second_of_pair(image, first, "down_1", norm)}
    left = first
    for level in range(2, levels + 1):
        left = max_pool(left, f"left_{level}")
        pooled = max_pool(down[level - 1], f"pool_{level}")
        if level == levels:
            pooled = layers.Dropout(trunk.dropout, name="dropout")(pooled)
        merged = layers.Concatenate(name=f"left_leg_{level}")([pooled, left])
        down[level] = _pair(merged, widths[level], f"down_{level}", norm)
    legs = {levels: _leg(down[levels], levels, leg_levels)}
    for level in range(levels - 1, 0, -1):
        larger = upsample(legs[level + 1], 2, f"upsample_{level}")
        merged = layers.Concatenate(name=f"skip_{level}")([larger, down[level]])
        pair = _pair(merged, widths[level], f"up_{level}", norm)
        legs[level] = _leg(pair, level, leg_levels)
    return image, [legs[level] for level in range(1, leg_levels + 1)]


def _leg(x, level: int, leg_levels: int):
    """The output of a decoder level, under a name if it is part of the right leg."""
    return layers.Identity(name=LEG.format(level=level))(x) if level <= leg_levels else x


def _pair(inputs, filters: int, name: str, norm: str):
    return _second_of_pair(inputs, conv_norm_relu(inputs, filters, f"{name}_a", norm), name, norm)


def _second_of_pair(inputs, first, name: str, norm: str):
    merged = layers.Concatenate(name=f"{name}_skip")([inputs, first])
    return conv_norm_relu(merged, first.shape[-1], f"{name}_b", norm)
