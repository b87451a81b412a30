"""Backbones with pre-trained weights: ResNet, DenseNet, ConvNeXt, Inception and VGG16.

A backbone becomes part of the network's flat graph, because Grad-CAM and guided backpropagation
cannot see into a nested model. The scaling from a task's intensities to those that the weights were
trained on is a layer of the network too, so that training and serving cannot differ in it.
"""

import re
from pathlib import Path

import keras
import numpy as np
from keras import layers

from mri_tf.core.errors import InputError, first_few
from mri_tf.models.batch_norm import BatchNormalization
from mri_tf.models.weights import load_file, load_preset, other_weights

NO_WEIGHTS, IMAGENET = "none", "imagenet"
RESNETS = {  # block and number of blocks in each of the four stacks; He et al. 2015
    "resnet18": ("basic_block", (2, 2, 2, 2)),
    "resnet34": ("basic_block", (3, 4, 6, 3)),
    "resnet50": ("bottleneck_block", (3, 4, 6, 3)),
}
APPLICATIONS = {
    "densenet121": "DenseNet121", "inception_v3": "InceptionV3", "vgg16": "VGG16",
    "convnext_tiny": "ConvNeXtTiny",
}  # fmt: skip
NAMES = (*RESNETS, *APPLICATIONS)
FILE = "{}_weights_tf_dim_ordering_tf_kernels_notop.h5"  # of Keras Applications
FILES = {"convnext_tiny": "{}_notop.h5"}  # of the others
SMALLEST_SIDE = {"inception_v3": 75}  # pixels; 32 for the others
UNIT, ZSCORE, UNSCALED = "unit", "zscore", "unscaled"
MEAN, SD = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])  # ImageNet, RGB in [0, 1]
AUTOMATIC = re.compile(r"(conv2d|batch_normalization|activation|concatenate|\w+_pooling2d)(_\d+)?")


def add_backbone(
    image, backbone: str, weights: str, cut_after: str = "", intensities: str = UNIT,
    channel: int | None = None,
):  # fmt: skip
    """Adds a backbone to the graph of an image; none of its layers is a nested model.

    BatchNorm has a momentum of 0.9 and statistics over all devices, as in the other networks, and the
    epsilon that the weights were trained with (1e-5 in a ResNet).

    Args:
        image: `keras.Input`, (batch, rows, columns, channels). A single channel is repeated three
            times. Of any other number, channel i takes the place of colour i mod 3, and the first
            kernel is scaled by 3 / channels, so that sums keep their size; in a frozen first layer
            channels i and i + 3 are thereby added up.
        backbone: one of NAMES.
        weights: `imagenet` (from the cache, or downloaded), `none`, a weights file, or the folder of a
            KerasHub preset.
        cut_after: the last layer or stage to keep: `stack0` to `stack3` of a ResNet, `conv2` to
            `conv5` of DenseNet, `mixed0` to `mixed10` of Inception, `block1` to `block5` of VGG; empty
            for all.
        intensities: what the image holds. `unit`: [0, 1], scaled as in the backbone's preprocessing.
            `zscore`: mean 0 and SD 1, treated as an image that was scaled by ImageNet's mean and SD.
            `unscaled`: passed on without scaling.
        channel: the only channel to use; the names of the layers then begin with `channel<number>_`.

    Returns:
        The feature maps of the last layer, (batch, rows, columns, channels).

    Raises:
        InputError: for an unknown backbone or layer, too small an image, or unavailable weights.
    """
    _check_name(backbone)
    _check_size(image.shape[1:-1], backbone)
    source = _with_weights(backbone, weights)
    if cut_after:
        source = keras.Model(source.input, source.get_layer(_last_layer(source, cut_after)).output)
    x = image if channel is None else image[..., channel : channel + 1]
    prefix = "" if channel is None else f"channel{channel}_"
    if x.shape[-1] == 1:
        x = layers.Concatenate(name=f"{prefix}colour")([x] * 3)
    if intensities != UNSCALED:
        scale, offset = _scaling(backbone, intensities, x.shape[-1])
        x = layers.Rescaling(scale, offset, name=f"{prefix}imagenet_intensities")(x)
    names = {name: prefix + stable for name, stable in _stable_names(source).items()}

    def copied(layer: keras.Layer) -> keras.Layer:
        if not isinstance(layer, keras.Layer):
            return layer  # an operation such as the sum of two tensors, without a state
        config = layer.get_config() | {"name": names[layer.name]}
        if isinstance(layer, layers.BatchNormalization):
            return BatchNormalization.from_config(config | {"momentum": 0.9, "synchronized": True})
        return layer.__class__.from_config(config)

    def called(layer: keras.Layer, *inputs, **settings):
        return layer(*[x if tensor is image else tensor for tensor in inputs], **settings)

    copy = keras.models.clone_model(
        source, input_tensors=image, clone_function=copied, call_function=called
    )
    if weights != NO_WEIGHTS:
        blue_first = backbone == "vgg16" and intensities != UNSCALED
        for layer in source.layers:
            if layer.weights:
                values = _for_channels(layer, x.shape[-1], source, blue_first)
                copy.get_layer(names[layer.name]).set_weights(values)
    return copy.output


def check_weights(backbone: str, weights: str) -> None:
    """Raises InputError for a backbone that does not exist or weights that are not available."""
    _check_name(backbone)
    if weights == IMAGENET:
        _with_weights(backbone, weights)  # downloads them before the data is prepared
    elif weights != NO_WEIGHTS and not Path(weights).exists():
        raise InputError(
            "model_args.weights must be an existing file, a KerasHub preset folder, imagenet or none.",
            weights, "Give the path of an existing file or folder.",
        )  # fmt: skip


def _with_weights(backbone: str, weights: str) -> keras.Model:
    """The whole backbone for images of any size with three channels, with its weights."""
    if weights != IMAGENET:
        check_weights(backbone, weights)
    network = _resnet(backbone) if backbone in RESNETS else _application(backbone, weights)
    if weights == NO_WEIGHTS or (weights == IMAGENET and backbone in APPLICATIONS):
        return network
    if weights == IMAGENET or Path(weights).is_dir():
        return _from_preset(network, backbone, weights)
    load_file(network, weights, _whose(backbone))
    return network


def _resnet(backbone: str) -> keras.Model:
    from keras_hub.models import ResNetBackbone  # takes seconds, and loads TensorFlow Text

    block, blocks = RESNETS[backbone]
    return ResNetBackbone(
        input_conv_filters=[64], input_conv_kernel_sizes=[7], stackwise_num_filters=[64, 128, 256, 512],
        stackwise_num_blocks=list(blocks), stackwise_num_strides=[1, 2, 2, 2], block_type=block,
    )  # fmt: skip


def _application(backbone: str, weights: str) -> keras.Model:
    build = getattr(keras.applications, APPLICATIONS[backbone])
    source = IMAGENET if weights == IMAGENET else None
    # ConvNeXt would scale intensities itself, from 0 to 255.
    unscaled = {"include_preprocessing": False} if backbone == "convnext_tiny" else {}
    try:
        return build(include_top=False, weights=source, input_shape=(None, None, 3), **unscaled)
    except Exception as error:  # Keras raises a plain Exception when a download fails
        cache, file = Path("~/.keras/models").expanduser(), FILES.get(backbone, FILE).format(backbone)
        raise InputError(
            f"Keras' ImageNet weights of {backbone} are not available.",
            f"no {file} in {cache}, and the download failed ({type(error).__name__})",
            f"Put the file there, or name it with --set model_args.weights=PATH, or use "
            f"--set model_args.weights={NO_WEIGHTS}.",
        ) from None


def _from_preset(network: keras.Model, backbone: str, weights: str) -> keras.Model:
    """The network with the weights of a KerasHub preset, by name or folder."""
    if backbone not in RESNETS:
        raise InputError(
            f"The weights of {backbone} must be a file.", f"{weights}, a folder",
            "Give a .weights.h5 file.",
        )
    from keras_hub.models import ResNetBackbone

    published = backbone.replace("resnet", "resnet_") + "_imagenet" if weights == IMAGENET else ""
    loaded = load_preset(
        ResNetBackbone.from_preset, published, weights, _whose(backbone),
        "On a machine with internet access, run keras_hub.models.ResNetBackbone."
        f'from_preset("{published}").save_to_preset("{backbone}"), copy that folder here and name it '
        "(or a .weights.h5 file) with --set model_args.weights=PATH, or use --set "
        f"model_args.weights={NO_WEIGHTS}.",
    )  # fmt: skip
    if [(v.path, v.shape) for v in loaded.weights] != [(v.path, v.shape) for v in network.weights]:
        raise other_weights(_whose(backbone), f"{weights}, weights of another network")
    network.set_weights(loaded.get_weights())
    return network


def _whose(backbone: str) -> str:
    """What a weights file or folder must hold."""
    kind = "KerasHub's ResNetBackbone" if backbone in RESNETS else "Keras Applications, without top"
    return f"{backbone} ({kind})"


def _check_name(backbone: str) -> None:
    if backbone not in NAMES:
        raise InputError(
            f"model_args.backbone must be one of {', '.join(NAMES)}.", backbone, "Change it in the task."
        )


def _check_size(sides: tuple[int, ...], backbone: str) -> None:
    least = SMALLEST_SIDE.get(backbone, 32)
    if len(sides) != 2 or min(sides) < least:
        raise InputError(
            f"{backbone} needs 2D images of at least {least} pixels on each side.", tuple(sides),
            "Change image_shape in the task, or model_args.backbone.",
        )  # fmt: skip


def _last_layer(network: keras.Model, stage: str) -> str:
    """The name in `network` of the last layer of a stage, or of the layer called `stage`."""
    names = _stable_names(network)
    matches = [
        name for name, stable in names.items() if stable == stage or stable.startswith(f"{stage}_")
    ]
    if not matches:
        stages = dict.fromkeys(stable.split("_")[0] for stable in names.values())
        raise InputError(
            "model_args.cut_after must name a stage or a layer of the backbone.", stage,
            f"Stages: {first_few(stages, 20)}.",
        )  # fmt: skip
    return matches[-1]


def _scaling(backbone: str, intensities: str, channels: int) -> tuple[list[float], list[float]]:
    """Scale and offset of each channel that have the effect of the backbone's preprocessing."""
    if backbone == "vgg16":  # 0 to 255, less the mean
        scale, offset = np.full(3, 255.0), -np.array([123.68, 116.779, 103.939])
    elif backbone == "inception_v3":  # -1 to 1
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
    """Weights of a layer; the first kernel fits the channels of `add_backbone`, BGR if `blue_first`."""
    values = layer.get_weights()
    first = next(candidate for candidate in network.layers if candidate.weights)
    if layer is first and (channels != 3 or blue_first):
        colour = np.arange(channels) % 3
        values[0] = np.take(values[0], 2 - colour if blue_first else colour, axis=2) * (3 / channels)
    return values


def _stable_names(network: keras.Model) -> dict[str, str]:
    """Name of each layer -> a name that does not depend on what else the process has built.

    Keras numbers the layers of Inception through the whole process; here they get the name of the
    block (`mixed3`) they lead to, and a number within it.
    """
    names: dict[str, str] = {}
    counts: dict[str, int] = {}
    all_names = [layer.name for layer in network.layers]
    for place, name in enumerate(all_names):
        automatic = AUTOMATIC.fullmatch(name)
        block = next((later for later in all_names[place:] if re.fullmatch(r"mixed\d+", later)), "")
        names[name] = name
        if automatic and block:
            kind = f"{block}_{automatic[1]}"
            counts[kind] = counts.get(kind, 0) + 1
            names[name] = f"{kind}_{counts[kind]}"
    return names
