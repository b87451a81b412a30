"""A 3D ResNet in the layout of MedicalNet, whose weights were trained on volumes (Chen et al. 2019).

Convolutions, paddings and names are those of MedicalNet's PyTorch network: the first convolution and
the pooling behind it halve every side, and so does the second stage; the third and fourth are dilated
instead, so that maps have an eighth of the sides. `python -m mri_tf.convert` turns such a network's
weights into a file for `weights`. Its axes are called depth, rows and columns here.
"""

from dataclasses import dataclass
from pathlib import Path

import keras
from keras import layers

from mri_tf.core.errors import InputError
from mri_tf.models.heads import SOFTMAX, Standardise, class_head
from mri_tf.models.layers import batch_norm
from mri_tf.models.weights import load_file

NO_WEIGHTS = "none"
BLOCKS = {10: (1, 1, 1, 1), 18: (2, 2, 2, 2), 34: (3, 4, 6, 3), 50: (3, 4, 6, 3)}  # of each stage
BOTTLENECKS = (50,)  # depths whose blocks have three convolutions
STAGES = ((1, 1), (2, 1), (1, 2), (1, 4))  # stride and dilation
PADDED, PROJECTED = "A", "B"  # shortcuts between stages: zeros for new channels, or a convolution
SHORTCUTS = {10: PROJECTED, 18: PADDED, 34: PADDED, 50: PROJECTED}  # of the published weights
SMALLEST_SIDE = 16  # voxels
WIDTH = 64  # channels of the first stage of the published weights
ENCODERS = {f"resnet3d_{depth}": depth for depth in BLOCKS}  # names for a frozen probe


def resnet3d(
    input_shape: tuple[int, int, int, int],
    class_count: int,
    *,
    depth: int = 18,
    shortcut: str = "",
    weights: str = NO_WEIGHTS,
    width: int = WIDTH,
    dropout: float = 0.2,
    head: str = SOFTMAX,
) -> keras.Model:
    """(batch, depth, rows, columns, channels) -> (batch, classes) probabilities.

    The maps of the last stage are averaged, brought to one scale and classified. Layers are called
    `conv1`, `layer1_0_conv1` and so on; the task's `fine_tune` names those that train, for example
    "layer4_.*".

    Args:
        input_shape: depth, rows, columns (each at least 16), channels.
        class_count: classes to tell apart.
        depth: layers of the ResNet: 10, 18, 34 or 50.
        shortcut: "A" or "B", as MedicalNet calls them; empty for that of the published weights.
        weights: "none", or a file that `python -m mri_tf.convert` wrote.
        width: channels of the first stage; 64 in all published weights.
        dropout: before the dense layer.
        head: of the task.
    """
    check(dict(depth=depth, shortcut=shortcut, weights=weights))
    image = keras.Input(input_shape, name="image")
    maps = resnet3d_maps(image, depth, shortcut, width)
    if weights != NO_WEIGHTS:
        load_converted(keras.Model(image, maps), weights, depth)
    x = layers.GlobalAveragePooling3D(name="average")(maps)  # (batch, features)
    x = Standardise(name="standardised")(x)
    x = layers.Dropout(dropout, name="classifier_dropout")(x)
    return keras.Model(image, class_head(x, class_count, head), name="resnet3d")


def check(arguments: dict) -> None:
    """Raises InputError for values that the builder would refuse, before any data is read."""
    depth, shortcut, weights = (arguments[name] for name in ("depth", "shortcut", "weights"))
    if depth not in BLOCKS:
        raise InputError(
            f"model_args.depth must be one of {', '.join(map(str, BLOCKS))}.", depth,
            "Change it in the task.",
        )  # fmt: skip
    if shortcut not in ("", PADDED, PROJECTED):
        raise InputError(
            f"model_args.shortcut must be {PADDED} or {PROJECTED}.", shortcut, "Change it in the task."
        )
    if weights != NO_WEIGHTS and not Path(weights).is_file():
        raise InputError(
            f"model_args.weights must be a file of python -m mri_tf.convert, or {NO_WEIGHTS}.", weights,
            "Give the path of an existing file.",
        )  # fmt: skip


def resnet3d_maps(image, depth: int, shortcut: str = "", width: int = WIDTH):
    """Adds the ResNet without a head to the graph of an image.

    Args:
        image: (batch, depth, rows, columns, channels).
        depth: a key of BLOCKS.
        shortcut: PADDED, PROJECTED, or empty for that of the published weights.
        width: channels of the first stage.

    Returns:
        (batch, depth / 8, rows / 8, columns / 8, features): 8 times `width` features, or 32 times with
        bottlenecks. A side that 8 does not divide is rounded up.
    """
    if min(image.shape[1:-1]) < SMALLEST_SIDE:
        raise InputError(
            f"resnet3d needs volumes of at least {SMALLEST_SIDE} voxels on each side.",
            tuple(image.shape[1:-1]), "Change image_shape in the task.",
        )  # fmt: skip
    shortcut = shortcut or SHORTCUTS[depth]
    block = _bottleneck if depth in BOTTLENECKS else _basic
    x = _convolution(image, width, 7, "conv1", stride=2)  # (batch, depth / 2, ...)
    x = _activated(x, "bn1")
    # After a ReLU a border of zeros gives the same maximum as PyTorch's border of minus infinity.
    x = layers.ZeroPadding3D(1, name="maxpool_pad")(x)
    x = layers.MaxPooling3D(3, 2, name="maxpool")(x)  # (batch, depth / 4, ...)
    for stage, (count, (stride, dilation)) in enumerate(zip(BLOCKS[depth], STAGES, strict=True)):
        for number in range(count):
            first = stride if number == 0 else 1
            name = f"layer{stage + 1}_{number}"
            x = block(x, _Block(name, width * 2**stage, first, dilation, shortcut))
    return x


def load_converted(network: keras.Model, file: str, depth: int) -> None:
    """Gives a network whose output are the maps the weights of a converted file; raises InputError.

    A file was trained on one channel. Of an image with several every channel gets the first kernel
    divided by their number, so that sums keep their size.
    """
    channels = network.input_shape[-1]
    if channels == 1:
        load_file(network, file, f"resnet3d of depth {depth}")
        return
    image = keras.Input((*network.input_shape[1:-1], 1))
    one = keras.models.clone_model(network, input_tensors=image)
    load_file(one, file, f"resnet3d of depth {depth}")
    for layer in network.layers:
        values = one.get_layer(layer.name).get_weights() if layer.weights else []
        if layer.name == "conv1":
            values = [values[0].repeat(channels, axis=3) / channels]  # (7, 7, 7, channels, filters)
        if values:
            layer.set_weights(values)


def encoder3d_maps(image, encoder: str, weights: str, cut_after: str = ""):
    """A frozen ResNet of whole volumes, added to the graph of an image.

    Args:
        image: (batch, depth, rows, columns, channels).
        encoder: a key of ENCODERS.
        weights: "none", or a converted file.
        cut_after: the last stage to keep, `layer1` to `layer4`; empty for all.

    Returns:
        Maps (batch, depth', rows', columns', features).
    """
    depth = ENCODERS[encoder]
    check(dict(depth=depth, shortcut="", weights=weights))
    network = keras.Model(image, resnet3d_maps(image, depth))
    if weights != NO_WEIGHTS:
        load_converted(network, weights, depth)
    network.trainable = False
    stage = [layer for layer in network.layers if layer.name.startswith(cut_after or "layer4")]
    if cut_after and (not cut_after.startswith("layer") or not stage):
        raise InputError(
            "model_args.cut_after must be layer1, layer2, layer3 or layer4.", cut_after,
            "Change it in the task.",
        )  # fmt: skip
    return stage[-1].output


@dataclass(frozen=True)
class _Block:
    """A residual block: its name, channels, stride, dilation and the kind of its shortcut."""

    name: str
    width: int
    stride: int
    dilation: int
    shortcut: str


def _basic(x, block: _Block):
    """Two convolutions of 3 on each side and a shortcut."""
    y = _convolution(x, block.width, 3, f"{block.name}_conv1", block.stride, block.dilation)
    y = _activated(y, f"{block.name}_bn1")
    y = _convolution(y, block.width, 3, f"{block.name}_conv2", 1, block.dilation)
    y = batch_norm(f"{block.name}_bn2")(y)
    return _joined(y, x, block)


def _bottleneck(x, block: _Block):
    """A convolution of 1, of 3 and of 1 on each side, the last with four times the channels."""
    y = _convolution(x, block.width, 1, f"{block.name}_conv1")
    y = _activated(y, f"{block.name}_bn1")
    y = _convolution(y, block.width, 3, f"{block.name}_conv2", block.stride, block.dilation)
    y = _activated(y, f"{block.name}_bn2")
    y = _convolution(y, 4 * block.width, 1, f"{block.name}_conv3")
    y = batch_norm(f"{block.name}_bn3")(y)
    return _joined(y, x, block)


def _joined(y, x, block: _Block):
    """The sum of a block's convolutions and its shortcut, and a ReLU."""
    channels, name = y.shape[-1], f"{block.name}_downsample"
    if block.stride != 1 or x.shape[-1] != channels:
        if block.shortcut == PROJECTED:
            x = _convolution(x, channels, 1, f"{name}_0", block.stride)
            x = batch_norm(f"{name}_1")(x)
        else:
            if block.stride > 1:
                x = layers.AveragePooling3D(1, block.stride, name=f"{name}_pool")(x)
            x = _MoreChannels(channels, name=f"{name}_zeros")(x)
    x = layers.Add(name=f"{block.name}_add")([y, x])
    return layers.Activation("relu", name=f"{block.name}_relu")(x)


@keras.saving.register_keras_serializable("mri_tf")
class _MoreChannels(layers.Layer):
    """(..., channels) -> (..., `channels`), the new ones 0."""

    def __init__(self, channels: int, *, name=None, dtype=None, trainable=True):
        super().__init__(name=name, dtype=dtype, trainable=trainable)
        self.channels = channels

    def call(self, x):
        border = [(0, 0)] * (len(x.shape) - 1) + [(0, self.channels - x.shape[-1])]
        return keras.ops.pad(x, border)

    def get_config(self) -> dict:
        return super().get_config() | {"channels": self.channels}


def _convolution(x, filters: int, size: int, name: str, stride: int = 1, dilation: int = 1):
    """A convolution without bias with PyTorch's border: as wide on both ends of each side."""
    border = dilation * (size // 2)
    if border:
        x = layers.ZeroPadding3D(border, name=f"{name}_pad")(x)
    return layers.Conv3D(
        filters, size, stride, dilation_rate=dilation, use_bias=False, name=name
    )(x)  # fmt: skip


def _activated(x, name: str):
    """BatchNorm and ReLU; `name` is that of the BatchNorm."""
    return layers.Activation("relu", name=f"{name}_relu")(batch_norm(name)(x))
