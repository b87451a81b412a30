"""Weights of MedicalNet's 3D ResNets in PyTorch's layout as a weights file of `models/resnet3d.py`."""

from dataclasses import dataclass

import keras
import numpy as np

from mri_tf.core.errors import InputError, first_few
from mri_tf.models.resnet3d import (
    BLOCKS,
    BOTTLENECKS,
    PADDED,
    PROJECTED,
    SHORTCUTS,
    SMALLEST_SIDE,
    resnet3d_maps,
)

NOT_OF_THE_MAPS = ("conv_seg.", "fc.")  # heads of what the network was trained for
BATCH_NORM = ("weight", "bias", "running_mean", "running_var")  # in the order of Keras


@dataclass(frozen=True)
class Layout:
    """What a network is, read from the names and shapes of its tensors."""

    depth: int
    shortcut: str
    width: int

    @property
    def published(self) -> bool:
        """Whether its shortcuts are those of MedicalNet's files of this depth."""
        return self.shortcut == SHORTCUTS[self.depth]


def convert(tensors: dict[str, np.ndarray]) -> tuple[keras.Model, Layout]:
    """The network without a head that has these weights, for images of one channel.

    Args:
        tensors: name -> array, as `torch_file.read_tensors` reads them.

    Raises:
        InputError: they are not those of such a network.
    """
    named = _of_the_maps(tensors)
    layout = _layout(named)
    sides = (SMALLEST_SIDE,) * 3  # every side will do: no weight depends on it
    image = keras.Input((*sides, 1), name="image")
    network = keras.Model(image, resnet3d_maps(image, layout.depth, layout.shortcut, layout.width))
    used = set()
    for layer in network.layers:
        if not layer.weights:
            continue
        names = _names(layer)
        values = [named.get(name) for name in names]
        missing = [name for name, value in zip(names, values, strict=True) if value is None]
        if missing:
            raise _no_medicalnet(f"no tensor {first_few(missing)}")
        if isinstance(layer, keras.layers.Conv3D):
            values = [values[0].transpose(2, 3, 4, 1, 0)]  # (depth, rows, columns, channels, filters)
        shapes = [weight.shape for weight in layer.weights]
        if [value.shape for value in values] != shapes:
            raise _no_medicalnet(f"{names[0]} of shape {named[names[0]].shape}")
        layer.set_weights(values)
        used |= set(names)
    if left := sorted(set(named) - used):
        raise _no_medicalnet(f"also {first_few(left)}")
    return network, layout


def _of_the_maps(tensors: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The tensors of the maps, without what checkpoints and parallel training put before their names."""
    named = {}
    for name, value in tensors.items():
        short = name.removeprefix("state_dict.").removeprefix("module.")
        counts_batches = short.endswith("num_batches_tracked")
        if value.ndim and not counts_batches and not short.startswith(NOT_OF_THE_MAPS):
            named[short] = value
    return named


def _layout(named: dict[str, np.ndarray]) -> Layout:
    """Depth, shortcut and width by the names and shapes; raises InputError."""
    kernel = named.get("conv1.weight")
    if kernel is None or kernel.ndim != 5:
        raise _no_medicalnet("no tensor conv1.weight of five axes")
    if kernel.shape[1] != 1:
        raise _no_medicalnet(f"a first convolution over {kernel.shape[1]} channels")
    blocks = tuple(
        len({name.split(".")[1] for name in named if name.startswith(f"layer{stage}.")})
        for stage in range(1, 5)
    )
    bottleneck = any(name.endswith("conv3.weight") for name in named)
    depths = [d for d, count in BLOCKS.items() if count == blocks and (d in BOTTLENECKS) == bottleneck]
    if not depths:
        kind = "with bottlenecks" if bottleneck else "without bottlenecks"
        raise _no_medicalnet(f"stages of {blocks} blocks {kind}")
    shortcut = PROJECTED if "layer2.0.downsample.0.weight" in named else PADDED
    return Layout(depths[0], shortcut, kernel.shape[0])


def _names(layer: keras.Layer) -> list[str]:
    """The names of a layer's weights in PyTorch: `layer1_0_conv1` is layer1.0.conv1 there."""
    dotted = layer.name.replace("_", ".")
    if isinstance(layer, keras.layers.Conv3D):
        return [f"{dotted}.weight"]
    return [f"{dotted}.{part}" for part in BATCH_NORM]


def _no_medicalnet(received: str) -> InputError:
    return InputError(
        "These are not the weights of a 3D ResNet in MedicalNet's layout.", received,
        f"Give one of depth {', '.join(map(str, BLOCKS))} for images of one channel.",
    )  # fmt: skip
