"""M-Net, a U-Net with a left leg of pooled inputs and a right leg of decoder outputs (recipe A).

Mehta & Sivaswamy's M-Net as modified in recipe A. The second convolution of a pair reads the
concatenation of the pair's input and the first one's output: that reading gives the parameter
count the paper states.
"""

import keras
from keras import layers

from mri_tf.models.layers import batch_norm, require_divisible

LEVELS = 5
LEG = "leg_{level}"  # names of the layers whose outputs are the features, level 1 the finest


def build(
    input_shape: tuple[int, int, int],
    class_count: int,
    *,
    start_filters: int = 16,
    dropout: float = 0.5,
) -> keras.Model:
    """(batch, rows, columns, channels) -> (batch, rows, columns, classes) probabilities.

    Rows and columns divide by 16. The last 1x1 convolution on the concatenated right leg,
    31 x start_filters channels at full resolution, is computed as a 1x1 convolution a level that
    is upsampled and summed afterwards: the same numbers (a 1x1 convolution and nearest
    upsampling commute) without the widest tensor of the network.
    """
    require_divisible(input_shape, 2 ** (LEVELS - 1))
    image = keras.Input(input_shape, name="image")
    first = _conv(image, start_filters, "down_1_a")
    down = {1: _second_of_pair(image, first, start_filters, "down_1")}
    left = first
    for level in range(2, LEVELS + 1):
        left = layers.MaxPooling2D(name=f"left_{level}")(left)
        pooled = layers.MaxPooling2D(name=f"pool_{level}")(down[level - 1])
        if level == LEVELS:
            pooled = layers.Dropout(dropout, name="dropout")(pooled)
        merged = layers.Concatenate(name=f"left_leg_{level}")([pooled, left])
        down[level] = _pair(merged, start_filters * 2 ** (level - 1), f"down_{level}")
    up = {LEVELS: layers.Identity(name=LEG.format(level=LEVELS))(down[LEVELS])}
    for level in range(LEVELS - 1, 0, -1):
        larger = layers.UpSampling2D(name=f"upsample_{level}")(up[level + 1])
        merged = layers.Concatenate(name=f"skip_{level}")([larger, down[level]])
        pair = _pair(merged, start_filters * 2 ** (level - 1), f"up_{level}")
        up[level] = layers.Identity(name=LEG.format(level=level))(pair)
    # (batch, rows, columns, classes) a level
    scores = [
        layers.UpSampling2D(2 ** (level - 1), name=f"score_up_{level}")(
            layers.Conv2D(class_count, 1, use_bias=level == 1, name=f"score_{level}")(up[level])
        )
        if level > 1
        else layers.Conv2D(class_count, 1, name="score_1")(up[1])
        for level in range(1, LEVELS + 1)
    ]
    logits = layers.Add(name="scores")(scores)
    probabilities = layers.Softmax(dtype="float32", name="probabilities")(logits)
    return keras.Model(image, probabilities, name="mnet")


def pooled_features(network: keras.Model) -> keras.Model:
    """The network's 31 x start_filters features as a classifier's first max pooling leaves them.

    (batch, rows, columns, channels) -> (batch, rows / 2, columns / 2, features). Equal to
    concatenating the right leg at full resolution and max pooling it, because
    maxpool2(upsample2(x)) == x; several times faster and smaller.
    """
    features = pooled_concatenation(_legs(network))
    return keras.Model(network.input, features, name="mnet_pooled_features")


def pooled_concatenation(legs: list):
    """Leg outputs, finest first, -> (batch, rows / 2, columns / 2, features)."""
    parts = [layers.MaxPooling2D(name="pooled_leg_1")(legs[0]), legs[1]]
    for level in range(3, LEVELS + 1):
        scale = layers.UpSampling2D(2 ** (level - 2), name=f"pooled_leg_{level}")
        parts.append(scale(legs[level - 1]))
    return layers.Concatenate(name="pooled_features")(parts)


def full_resolution_features(network: keras.Model) -> keras.Model:
    """The plain graph of recipe A: the right leg concatenated at full resolution.

    (batch, rows, columns, channels) -> (batch, rows, columns, features); what `pooled_features`
    is compared with.
    """
    features = full_concatenation(_legs(network))
    return keras.Model(network.input, features, name="mnet_full_resolution_features")


def full_concatenation(legs: list):
    """Leg outputs, finest first, -> (batch, rows, columns, features)."""
    parts = [legs[0]]
    for level in range(2, LEVELS + 1):
        scale = layers.UpSampling2D(2 ** (level - 1), name=f"full_leg_{level}")
        parts.append(scale(legs[level - 1]))
    return layers.Concatenate(name="full_resolution_features")(parts)


def _legs(network: keras.Model) -> list:
    return [network.get_layer(LEG.format(level=level)).output for level in range(1, LEVELS + 1)]


def _pair(inputs, filters: int, name: str):
    return _second_of_pair(inputs, _conv(inputs, filters, f"{name}_a"), filters, name)


def _second_of_pair(inputs, first, filters: int, name: str):
    merged = layers.Concatenate(name=f"{name}_skip")([inputs, first])
    return _conv(merged, filters, f"{name}_b")


def _conv(inputs, filters: int, name: str):
    # The bias is BatchNorm's shift.
    conv = layers.Conv2D(filters, 3, padding="same", use_bias=False, name=f"{name}_conv")(inputs)
    normed = batch_norm(f"{name}_bn")(conv)
    return layers.Activation("relu", name=f"{name}_relu")(normed)
