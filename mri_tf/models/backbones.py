"""Backbones with weights of other data; the only networks here that read a file or the network.

A backbone becomes part of the network's own flat graph, because Grad-CAM and guided backpropagation
see into no nested model. What turns a task's intensities into those that the weights were trained on
is a layer of the network as well, so that training and serving cannot differ in it.
"""

import re
from pathlib import Path

import keras
import numpy as np
from keras import layers

from mri_tf.core.errors import InputError, first_few

NO_WEIGHTS, IMAGENET = "none", "imagenet"
RESNETS = {  # blocks of the four stacks; He et al. 2015, as KerasHub builds them
    "resnet18": ("basic_block", (2, 2, 2, 2)),
    "resnet34": ("basic_block", (3, 4, 6, 3)),
    "resnet50": ("bottleneck_block", (3, 4, 6, 3)),
}
APPLICATIONS = {"densenet121": "DenseNet121", "inception_v3": "InceptionV3", "vgg16": "VGG16"}
NAMES = (*RESNETS, *APPLICATIONS)
FILE = "{}_weights_tf_dim_ordering_tf_kernels_notop.h5"  # of Keras Applications
SMALLEST_SIDE = {"inception_v3": 75}  # pixels; of the others 32
UNIT, ZSCORE, AS_THEY_ARE = "unit", "zscore", "as they are"
MEAN, SD = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])  # ImageNet, RGB in [0, 1]
AUTOMATIC = re.compile(r"(conv2d|batch_normalization|activation|concatenate|\w+_pooling2d)(_\d+)?")


def add_backbone(
    image, backbone: str, weights: str, cut_after: str = "", intensities: str = UNIT,
    channel: int | None = None,
):  # fmt: skip
    """(batch, rows, columns, channels) of `keras.Input` -> feature maps of the backbone.

    All of its layers are layers of the image's own graph.

    `weights` is `imagenet` (in the cache, or fetched), `none`, a weights file, or the folder of a
    KerasHub preset. `cut_after` names the last layer or stage that is kept: `stack0` to `stack3` of a
    ResNet, `conv2` to `conv5` of DenseNet, `mixed0` to `mixed10` of Inception, `block1` to `block5` of
    VGG; empty for all.

    One channel is taken three times. Of any other number of channels, channel i takes the place of
    colour i mod 3, and the first kernel is scaled by 3 / channels, so that sums stay as large; in a
    frozen first layer channels i and i + 3 are thereby added up.

    `intensities` says what the image holds: `unit`, [0, 1], is scaled as the backbone's own
    preprocessing does; `zscore`, mean 0 and SD 1, is taken for an image scaled by ImageNet's mean and
    SD; `as they are` scales nothing. With `channel`, the backbone sees that one alone, and the
    names of its layers begin with `channel<number>_`: a network may hold one a channel.

    BatchNorm has a momentum of 0.9 and statistics over all devices, as everywhere in this house, and
    the epsilon that the weights were trained with (1e-5 in a ResNet). Raises InputError.
    """
    _check_name(backbone)
    _check_size(image.shape[1:-1], backbone)
    source = _with_weights(backbone, weights)
    if cut_after:
        source = keras.Model(source.input, source.get_layer(_last_layer(source, cut_after)).output)
    seen = image if channel is None else image[..., channel : channel + 1]
    prefix = "" if channel is None else f"channel{channel}_"
    x = layers.Concatenate(name=f"{prefix}colour")([seen] * 3) if seen.shape[-1] == 1 else seen
    if intensities != AS_THEY_ARE:
        scale, offset = _scaling(backbone, intensities, x.shape[-1])
        x = layers.Rescaling(scale, offset, name=f"{prefix}imagenet_intensities")(x)
    names = {own: prefix + name for own, name in _names(source).items()}

    def copied(layer: keras.Layer) -> keras.Layer:
        config = layer.get_config() | {"name": names[layer.name]}
        if isinstance(layer, layers.BatchNormalization):
            config |= {"momentum": 0.9, "synchronized": True}
        return layer.__class__.from_config(config)

    def called(layer: keras.Layer, *inputs, **settings):
        return layer(*[x if one is image else one for one in inputs], **settings)

    copy = keras.models.clone_model(
        source, input_tensors=image, clone_function=copied, call_function=called
    )
    if weights != NO_WEIGHTS:
        blue_first = backbone == "vgg16" and intensities != AS_THEY_ARE
        for layer in source.layers:
            if layer.weights:
                there = copy.get_layer(names[layer.name])
                there.set_weights(_for_channels(layer, x.shape[-1], source, blue_first))
    return copy.output


def check_weights(backbone: str, weights: str) -> None:
    """Raises InputError for a backbone that does not exist or weights that cannot be had."""
    _check_name(backbone)
    if weights == IMAGENET:
        _with_weights(backbone, weights)  # fetched now, not after the data was prepared
    elif weights != NO_WEIGHTS and not Path(weights).exists():
        raise InputError(
            "model_args.weights names a file, a KerasHub preset folder, imagenet or none.",
            weights, "Name one that exists.",
        )  # fmt: skip


def _with_weights(backbone: str, weights: str) -> keras.Model:
    """The whole backbone on images of any size with three channels, its weights loaded."""
    if weights != IMAGENET:
        check_weights(backbone, weights)
    network = _resnet(backbone) if backbone in RESNETS else _application(backbone, weights)
    if weights == NO_WEIGHTS or (weights == IMAGENET and backbone in APPLICATIONS):
        return network
    if weights == IMAGENET or Path(weights).is_dir():
        return _from_preset(network, backbone, weights)
    try:
        network.load_weights(weights)
    except (OSError, ValueError, KeyError, IndexError) as error:
        raise _other_weights(backbone, f"{weights} ({type(error).__name__})") from None
    return network


def _resnet(backbone: str) -> keras.Model:
    from keras_hub.models import ResNetBackbone  # seconds and TensorFlow Text: only where needed

    block, blocks = RESNETS[backbone]
    return ResNetBackbone(
        input_conv_filters=[64], input_conv_kernel_sizes=[7], stackwise_num_filters=[64, 128, 256, 512],
        stackwise_num_blocks=list(blocks), stackwise_num_strides=[1, 2, 2, 2], block_type=block,
    )  # fmt: skip


def _application(backbone: str, weights: str) -> keras.Model:
    build = getattr(keras.applications, APPLICATIONS[backbone])
    wanted = IMAGENET if weights == IMAGENET else None
    try:
        return build(include_top=False, weights=wanted, input_shape=(None, None, 3))
    except Exception as error:  # Keras raises a plain Exception where it cannot fetch
        cache, file = Path("~/.keras/models").expanduser(), FILE.format(backbone)
        raise InputError(
            f"model_args.weights=imagenet needs Keras' weights of {backbone}.",
            f"no {file} in {cache} and no way to fetch it ({type(error).__name__})",
            f"Put the file there, or name it with --set model_args.weights=PATH, or use "
            f"--set model_args.weights={NO_WEIGHTS}.",
        ) from None


def _from_preset(network: keras.Model, backbone: str, weights: str) -> keras.Model:
    """The network with the weights of a KerasHub preset, by name or folder."""
    if backbone not in RESNETS:
        raise InputError(
            f"Weights of {backbone} are a file.", f"{weights}, a folder", "Name a .weights.h5 file."
        )
    from keras_hub.models import ResNetBackbone

    preset = backbone.replace("resnet", "resnet_") + "_imagenet" if weights == IMAGENET else weights
    try:
        found = ResNetBackbone.from_preset(preset)
    except Exception as error:  # whatever its four ways to fetch raise
        if weights != IMAGENET:
            raise _other_weights(backbone, f"{weights} ({type(error).__name__})") from None
        raise InputError(
            f"model_args.weights=imagenet needs KerasHub's preset {preset}.",
            f"none in its cache and no way to fetch it ({type(error).__name__})",
            f'Where there is a network, run keras_hub.models.ResNetBackbone.from_preset("{preset}")'
            f'.save_to_preset("{backbone}"), bring that folder here and name it (or a .weights.h5 '
            "file) with --set model_args.weights=PATH, or use --set model_args.weights="
            f"{NO_WEIGHTS}.",
        ) from None
    if [(v.path, v.shape) for v in found.weights] != [(v.path, v.shape) for v in network.weights]:
        raise _other_weights(backbone, f"{weights}, of another network")
    network.set_weights(found.get_weights())
    return network


def _other_weights(backbone: str, received: str) -> InputError:
    kind = "KerasHub's ResNetBackbone" if backbone in RESNETS else "Keras Applications, without top"
    return InputError(
        f"model_args.weights names a file with the weights of {backbone} ({kind}).",
        received, "Name another file or folder.",
    )  # fmt: skip


def _check_name(backbone: str) -> None:
    if backbone not in NAMES:
        raise InputError(
            f"model_args.backbone is one of {', '.join(NAMES)}.", backbone, "Change it in the task."
        )


def _check_size(sides: tuple[int, ...], backbone: str) -> None:
    least = SMALLEST_SIDE.get(backbone, 32)
    if len(sides) != 2 or min(sides) < least:
        raise InputError(
            f"{backbone} takes images of two axes and at least {least} pixels a side.", tuple(sides),
            "Change image_shape in the task, or model_args.backbone.",
        )  # fmt: skip


def _last_layer(network: keras.Model, stage: str) -> str:
    """The network's own name of the last layer of a stage, or of the layer that has this name."""
    names = _names(network)
    found = [own for own, name in names.items() if name == stage or name.startswith(f"{stage}_")]
    if not found:
        stages = dict.fromkeys(name.split("_")[0] for name in names.values())
        raise InputError(
            "model_args.cut_after names a stage or a layer of the backbone.", stage,
            f"Stages: {first_few(stages, 20)}.",
        )  # fmt: skip
    return found[-1]


def _scaling(backbone: str, intensities: str, channels: int) -> tuple[list[float], list[float]]:
    """Scale and offset a channel that give what the backbone's own preprocessing would."""
    if backbone == "vgg16":  # 0..255 less the mean
        scale, offset = np.full(3, 255.0), -np.array([123.68, 116.779, 103.939])
    elif backbone == "inception_v3":  # -1..1
        scale, offset = np.full(3, 2.0), np.full(3, -1.0)
    else:
        scale, offset = 1 / SD, -MEAN / SD
    if intensities == ZSCORE:
        scale, offset = scale * SD, offset + scale * MEAN
    colour = np.arange(channels) % 3
    return scale[colour].tolist(), offset[colour].tolist()


def _for_channels(
    layer: keras.Layer, channels: int, network: keras.Model, blue_first: bool
) -> list[np.ndarray]:
    """A layer's weights, the first kernel's as `inlined` describes; `blue_first` swaps to BGR."""
    values = layer.get_weights()
    first = next(one for one in network.layers if one.weights)
    if layer is first and (channels != 3 or blue_first):
        colour = np.arange(channels) % 3
        values[0] = np.take(values[0], 2 - colour if blue_first else colour, axis=2) * (3 / channels)
    return values


def _names(network: keras.Model) -> dict[str, str]:
    """Name in the source -> name here. Inception's layers are numbered on through the process and
    say nothing of their place: they get that of the block (`mixed3`) they lead to, and a number."""
    names: dict[str, str] = {}
    counts: dict[str, int] = {}
    own = [layer.name for layer in network.layers]
    for place, name in enumerate(own):
        automatic = AUTOMATIC.fullmatch(name)
        block = next((one for one in own[place:] if re.fullmatch(r"mixed\d+", one)), "")
        names[name] = name
        if automatic and block:
            kind = f"{block}_{automatic[1]}"
            counts[kind] = counts.get(kind, 0) + 1
            names[name] = f"{kind}_{counts[kind]}"
    return names
