"""Pre-trained encoders of pictures that are used as they are: vision transformers, and the backbones.

A backbone (ResNet, DenseNet, ConvNeXt ...) takes images of any size. A transformer takes squares: other
images get a border of zeros, and are resampled to the nearest side that its patches divide.
"""

from dataclasses import dataclass, field
from pathlib import Path

import keras
import numpy as np
from keras import layers, ops

from mri_tf.core.errors import InputError
from mri_tf.models import backbones
from mri_tf.models.backbones import IMAGENET, MEAN, NO_WEIGHTS, SD, ZSCORE, add_backbone
from mri_tf.models.resnet3d import ENCODERS
from mri_tf.models.weights import load_file, load_preset, other_weights

PRETRAINED = "pretrained"  # the published weights of an encoder, from the cache or downloaded


@dataclass(frozen=True)
class Transformer:
    """A vision transformer of KerasHub."""

    backbone: str  # class of keras_hub.models
    preset: str  # name of its published weights
    patch: int  # pixels on a side of what becomes one token
    width: int  # numbers a token
    heads: int
    before: int  # tokens before those of the patches: of the class, and registers
    side: int = 0  # pixels of the only size that it takes; 0: any multiple of `patch`
    mean: tuple[float, ...] = tuple(MEAN)  # of the intensities in [0, 1] that it was trained on
    sd: tuple[float, ...] = tuple(SD)
    more: dict = field(default_factory=dict)  # arguments of the class


HALF = (0.5, 0.5, 0.5)
TRANSFORMERS = {
    # Oquab et al. 2023
    "dinov2_small": Transformer("DINOV2Backbone", "dinov2_small", 14, 384, 6, 1),
    "dinov2_base": Transformer("DINOV2Backbone", "dinov2_base", 14, 768, 12, 1),
    # Siméoni et al. 2025
    "dinov3_small": Transformer(
        "DINOV3Backbone", "dinov3_vit_small_lvd1689m", 16, 384, 6, 5,
        more=dict(num_register_tokens=4, use_key_bias=False),
    ),
    # Zhai et al. 2023
    "siglip_base": Transformer(
        "SigLIPVisionEncoder", "siglip_base_patch16_224", 16, 768, 12, 0, 224, HALF, HALF
    ),
}  # fmt: skip
LAYERS, WIDENED = 12, 4  # of all of them; width of the hidden layer of a block in tokens
NAMES = (*backbones.NAMES, *TRANSFORMERS)


@dataclass(frozen=True)
class Encoder:
    """What `encoder_maps` builds; the fields are arguments of `frozen_probe`."""

    name: str
    weights: str
    cut_after: str
    intensities: str


def encoder_maps(shape: tuple[int, int, int], encoder: Encoder) -> keras.Model:
    """A frozen encoder: (batch, rows, columns, channels) -> maps (batch, rows', columns', features), and
    of a transformer with a class token that token (batch, features) as a second output.

    `shape` is rows, columns and channels of the images. Raises InputError for too small images or
    weights that are not available.
    """
    image = keras.Input(shape, name="picture")
    if encoder.name in TRANSFORMERS:
        outputs = _transformer(image, encoder)
    else:
        weights = IMAGENET if encoder.weights == PRETRAINED else encoder.weights
        maps = add_backbone(image, encoder.name, weights, encoder.cut_after, encoder.intensities)
        outputs = [maps]
    outputs = outputs if len(outputs) > 1 else outputs[0]
    network = keras.Model(image, outputs, name=f"encoder_{encoder.name}")
    network.trainable = False
    return network


def check_encoder(encoder: str, weights: str, cut_after: str) -> None:
    """Raises InputError for an encoder that does not exist or weights that are not available."""
    if encoder not in NAMES:
        raise InputError(
            f"model_args.encoder must be one of {', '.join((*NAMES, *ENCODERS))}.", encoder,
            "Change it in the task.",
        )
    if cut_after and encoder in TRANSFORMERS:
        raise InputError(
            "model_args.cut_after is for backbones, not for transformers.", f"{cut_after} of {encoder}",
            "Leave it out.",
        )  # fmt: skip
    if weights not in (PRETRAINED, NO_WEIGHTS) and not Path(weights).exists():
        raise InputError(
            f"model_args.weights must be an existing file, a KerasHub preset folder, {PRETRAINED} or "
            f"{NO_WEIGHTS}.", weights, "Give the path of an existing file or folder.",
        )  # fmt: skip
    if weights == PRETRAINED and encoder in backbones.NAMES:
        backbones.check_weights(encoder, IMAGENET)  # downloads them before the data is prepared


def _transformer(image, encoder: Encoder) -> list:
    """The maps, and the class token where there is one."""
    kind = TRANSFORMERS[encoder.name]
    rows, columns = image.shape[1:3]
    longest = max(rows, columns)
    side = kind.side or max(2, round(longest / kind.patch)) * kind.patch
    x = _in_three_colours(image)
    if encoder.intensities != ZSCORE:
        mean, sd = np.array(kind.mean), np.array(kind.sd)
        x = layers.Rescaling((1 / sd).tolist(), (-mean / sd).tolist(), name="encoder_intensities")(x)
    if rows != columns:
        missing = [longest - rows, longest - columns]
        border = [(gap // 2, gap - gap // 2) for gap in missing]
        x = layers.ZeroPadding2D(border, name="square")(x)
    if side != longest:
        x = layers.Resizing(side, side, antialias=side < longest, name="whole_patches")(x)
    network = _with_weights(kind, side, encoder.weights)
    tokens = network(x)  # (batch, tokens, width)
    each = side // kind.patch
    # Not the layer Reshape: KerasHub states one token too many for SigLIP.
    maps = ops.reshape(tokens[:, kind.before :], (-1, each, each, kind.width))
    return [maps, tokens[:, 0]] if kind.before else [maps]


def _in_three_colours(image):
    """(batch, rows, columns, channels) -> 3 channels: channel i goes to colour i mod 3, as a mean."""
    channels = image.shape[-1]
    if channels == 3:
        return image
    if channels < 3:
        mean = ops.mean(image, axis=-1, keepdims=True)
        return ops.concatenate([image, *[mean] * (3 - channels)], axis=-1)
    colours = [ops.mean(image[..., colour::3], -1, keepdims=True) for colour in range(3)]
    return ops.concatenate(colours, axis=-1)


def _with_weights(kind: Transformer, side: int, weights: str) -> keras.Model:
    """Images (batch, side, side, 3) -> tokens (batch, tokens, width)."""
    import keras_hub  # takes seconds, and loads TensorFlow Text

    build = getattr(keras_hub.models, kind.backbone)
    shape = (side, side, 3)
    network = build(
        patch_size=kind.patch, num_layers=LAYERS, hidden_dim=kind.width, num_heads=kind.heads,
        intermediate_dim=WIDENED * kind.width, image_shape=shape, **kind.more,
    )  # fmt: skip
    if weights not in (NO_WEIGHTS, PRETRAINED) and Path(weights).is_file():
        load_file(network, weights, f"KerasHub's {kind.preset}")
    elif weights != NO_WEIGHTS:
        loaded = _preset(kind, weights, shape)
        if [v.shape for v in loaded.weights] != [v.shape for v in network.weights]:
            raise other_weights(f"KerasHub's {kind.preset}", f"{weights}, weights of another network")
        network.set_weights(loaded.get_weights())
    # SigLIP's last layer pools its tokens by attention of its own.
    tokens = network.output if kind.before else network.get_layer("post_layer_norm").output
    return keras.Model(network.inputs[0], tokens, name="transformer")


def _preset(kind: Transformer, weights: str, shape: tuple[int, int, int]) -> keras.Model:
    import keras_hub

    def load(preset: str) -> keras.Model:
        if kind.side:
            return keras_hub.models.SigLIPBackbone.from_preset(preset).vision_encoder
        return getattr(keras_hub.models, kind.backbone).from_preset(preset, image_shape=shape)

    published = kind.preset if weights == PRETRAINED else ""
    return load_preset(
        load, published, weights, f"KerasHub's {kind.preset}",
        f'On a machine with internet access, load it by from_preset("{published}"), write it by '
        "save_to_preset(FOLDER), copy that folder here and name it with --set "
        "model_args.weights=FOLDER.",
    )  # fmt: skip
