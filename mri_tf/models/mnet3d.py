"""M-Net in 3D, a U-Net with a left leg of pooled inputs and a right leg of decoder outputs (recipe A).

The same reading of the paper as mri_tf/models/mnet.py. In 3D the right leg has the three finest
levels only, for the segmentation as for a classifier ("only parts of the outputs from the
decoding path are used"): 7 x start_filters channels.
"""

import keras
from keras import layers

from mri_tf.models.layers import batch_norm, conv3d, require_divisible

LEVELS = 5
LEG_LEVELS = 3  # levels of the right leg, the finest ones
LEG = "leg_{level}"  # names of the layers whose outputs are the features, level 1 the finest


def build(
    input_shape: tuple[int, int, int, int],
    class_count: int,
    *,
    start_filters: int = 12,
    dropout: float = 0.5,
) -> keras.Model:
    """(batch, depth, rows, columns, channels) -> (batch, depth, rows, columns, classes).

    Gives probabilities. Depth, rows and columns divide by 16.
    """
    require_divisible(input_shape, 2 ** (LEVELS - 1))
    image = keras.Input(input_shape, name="image")
    first = _conv(image, start_filters, "down_1_a")
    down = {1: _second_of_pair(image, first, start_filters, "down_1")}
    left = first
    for level in range(2, LEVELS + 1):
        left = layers.MaxPooling3D(name=f"left_{level}")(left)
        pooled = layers.MaxPooling3D(name=f"pool_{level}")(down[level - 1])
        if level == LEVELS:
            pooled = layers.Dropout(dropout, name="dropout")(pooled)
        merged = layers.Concatenate(name=f"left_leg_{level}")([pooled, left])
        down[level] = _pair(merged, start_filters * 2 ** (level - 1), f"down_{level}")
    x, legs = down[LEVELS], []
    for level in range(LEVELS - 1, 0, -1):
        larger = layers.UpSampling3D(name=f"upsample_{level}")(x)
        merged = layers.Concatenate(name=f"skip_{level}")([larger, down[level]])
        x = _pair(merged, start_filters * 2 ** (level - 1), f"up_{level}")
        if level <= LEG_LEVELS:
            x = layers.Identity(name=LEG.format(level=level))(x)
            legs.insert(0, x)
    probabilities = layers.Softmax(dtype="float32", name="probabilities")(_scores(legs, class_count))
    return keras.Model(image, probabilities, name="mnet3d")


def _scores(legs: list, class_count: int):
    """Leg outputs, finest first, -> (batch, depth, rows, columns, classes).

    The last 1x1x1 convolution on the concatenated right leg, computed as one a level, summed
    from the coarsest level up: the same numbers (a 1x1x1 convolution and nearest upsampling
    commute) without the widest tensor of the network.
    """
    total = None
    for level in range(LEG_LEVELS, 0, -1):
        # The one convolution has one bias; it sits at the finest level.
        score = layers.Conv3D(class_count, 1, use_bias=level == 1, name=f"score_{level}")(
            legs[level - 1]
        )
        if total is not None:
            larger = layers.UpSampling3D(name=f"score_up_{level}")(total)
            score = layers.Add(name=f"scores_{level}")([larger, score])
        total = score
    return total


def pooled_features(network: keras.Model) -> keras.Model:
    """The network's 7 x start_filters features as a classifier's first max pooling leaves them.

    (batch, depth, rows, columns, channels) -> (batch, depth / 2, rows / 2, columns / 2, features).
    Equal to concatenating the right leg at full resolution and max pooling it, because
    maxpool2(upsample2(x)) == x; several times faster and smaller.
    """
    legs = _legs(network)
    parts = [layers.MaxPooling3D(name="pooled_leg_1")(legs[0]), legs[1]]
    for level in range(3, LEG_LEVELS + 1):
        scale = layers.UpSampling3D(2 ** (level - 2), name=f"pooled_leg_{level}")
        parts.append(scale(legs[level - 1]))
    features = layers.Concatenate(name="pooled_features")(parts)
    return keras.Model(network.input, features, name="mnet3d_pooled_features")


def full_resolution_features(network: keras.Model) -> keras.Model:
    """The plain graph of recipe A: the right leg concatenated at full resolution.

    (batch, depth, rows, columns, channels) -> (batch, depth, rows, columns, features); what
    `pooled_features` is compared with.
    """
    legs = _legs(network)
    parts = [legs[0]]
    for level in range(2, LEG_LEVELS + 1):
        scale = layers.UpSampling3D(2 ** (level - 1), name=f"full_leg_{level}")
        parts.append(scale(legs[level - 1]))
    features = layers.Concatenate(name="full_resolution_features")(parts)
    return keras.Model(network.input, features, name="mnet3d_full_resolution_features")


def _legs(network: keras.Model) -> list:
    return [network.get_layer(LEG.format(level=level)).output for level in range(1, LEG_LEVELS + 1)]


def _pair(inputs, filters: int, name: str):
    return _second_of_pair(inputs, _conv(inputs, filters, f"{name}_a"), filters, name)


def _second_of_pair(inputs, first, filters: int, name: str):
    merged = layers.Concatenate(name=f"{name}_skip")([inputs, first])
    return _conv(merged, filters, f"{name}_b")


def _conv(inputs, filters: int, name: str):
    # The bias is BatchNorm's shift.
    normed = batch_norm(f"{name}_bn")(conv3d(inputs, filters, 3, f"{name}_conv"))
    return layers.Activation("relu", name=f"{name}_relu")(normed)
