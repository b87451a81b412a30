"""A pre-trained encoder that is never trained, and a logistic regression on its features."""

from collections.abc import Callable

import keras
from keras import layers, ops

from mri_tf.core.errors import InputError
from mri_tf.models.backbones import UNIT, ZSCORE
from mri_tf.models.encoders import PRETRAINED, TRANSFORMERS, Encoder, check_encoder, encoder_maps
from mri_tf.models.heads import SOFTMAX, Standardise, class_head
from mri_tf.models.resnet3d import ENCODERS, encoder3d_maps
from mri_tf.models.resnet3d import check as check_resnet3d

POOLINGS = ("mean", "attention")
STRENGTHS = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0)


def frozen_probe(
    input_shape: tuple[int, ...],
    class_count: int,
    *,
    encoder: str = "resnet18",
    weights: str = PRETRAINED,
    cut_after: str = "",
    intensities: str = UNIT,
    pooling: str = "mean",
    strengths: tuple[float, ...] = STRENGTHS,
    head: str = SOFTMAX,
) -> keras.Model:
    """(batch, rows, columns, channels), or with a depth, -> (batch, classes) probabilities.

    Only the last layer is fitted, without steps of training (`train/probe.py`): a logistic regression
    with an L2 penalty, whose strength is chosen by cross-validation within the training patients.

    Of a volume every slice goes through the encoder, and the features of the slices are averaged or
    weighed by attention, one learned direction for the whole set. A 3D encoder (resnet3d_10,
    resnet3d_18, resnet3d_34, resnet3d_50) sees the volume as a whole.

    Args:
        input_shape: rows, columns, channels; of volumes depth, rows, columns, channels.
        class_count: classes to tell apart.
        encoder: a backbone (resnet18, resnet34, resnet50, densenet121, convnext_tiny, inception_v3,
            vgg16), a vision transformer (dinov2_small, dinov2_base, dinov3_small, siglip_base), or a
            3D encoder.
        weights: `pretrained` (from the cache, or downloaded), `none`, a weights file, or the folder of
            a KerasHub preset; of a 3D encoder `none` or a file of `python -m mri_tf.convert`.
        cut_after: the last stage of a backbone to keep, as in `backbones.add_backbone`, of a 3D encoder
            `layer1` to `layer4`; empty for all.
        intensities: unit or zscore, what the task's `normalize` gives.
        pooling: of the slices of a volume: "mean" or "attention".
        strengths: of the penalty, from which one is chosen; in the sum of the mean cross entropy and
            half the squared weights times the strength, for features of SD 1.
        head: of the task; only "softmax".
    """
    require_softmax(frozen_probe.__name__, head)
    image = keras.Input(input_shape, name="image")
    if encoder in ENCODERS:
        return _of_whole_volumes(image, class_count, (encoder, weights, cut_after))
    frozen = encoder_maps(input_shape[-3:], Encoder(encoder, weights, cut_after, intensities))
    # Saliency maps cannot see into a nested network; in a transformer nothing is there for them to see.
    encode = frozen if encoder in TRANSFORMERS else frozen.call
    if len(input_shape) == 3:
        maps, *token = _listed(encode(image))
        maps = layers.Identity(name="maps")(maps)  # to explain at
        x = Standardise(name="standardised")(_averaged(maps, *token))  # (batch, features)
    else:
        x = _of_slices(image, encode, pooling)
    network = keras.Model(image, class_head(x, class_count, head), name="frozen_probe")
    return network if encoder in TRANSFORMERS else _with_one_call_a_layer(network)


@keras.saving.register_keras_serializable("mri_tf")
class SliceAttention(layers.Layer):
    """Features (batch, slices, n) -> (batch, n): a mean weighed by the softmax of one score a slice,
    which is the product of its features and a direction. At first all slices count alike."""

    def build(self, input_shape):
        self.direction = self.add_weight(
            name="direction", shape=(input_shape[-1], 1), initializer="zeros"
        )

    def call(self, features):
        shares = ops.softmax(ops.matmul(features, self.direction), axis=1)  # (batch, slices, 1)
        return ops.sum(shares * features, axis=1)

    def compute_output_spec(self, features):
        return keras.KerasTensor((features.shape[0], features.shape[-1]), dtype=features.dtype)


def check(arguments: dict) -> None:
    """Raises InputError for values that the builder would refuse, before any data is read."""
    if arguments["encoder"] in ENCODERS:
        check_resnet3d(
            dict(depth=ENCODERS[arguments["encoder"]], shortcut="", weights=arguments["weights"])
        )
    else:
        check_encoder(arguments["encoder"], arguments["weights"], arguments["cut_after"])
    if arguments["pooling"] not in POOLINGS:
        raise InputError(
            f"model_args.pooling must be {' or '.join(POOLINGS)}.", arguments["pooling"],
            "Change it in the task.",
        )  # fmt: skip
    if arguments["intensities"] not in (UNIT, ZSCORE):
        raise InputError(
            f"model_args.intensities must be {UNIT} or {ZSCORE}.", arguments["intensities"],
            "Change it in the task.",
        )  # fmt: skip
    check_strengths(arguments["strengths"])


def require_softmax(network: str, head: str) -> None:
    """Raises InputError for another head of a network whose last layer is a logistic regression."""
    if head != SOFTMAX:
        raise InputError(
            f"{network} fits a logistic regression, so that head must be softmax.", head,
            "Leave out head, or choose another network.",
        )  # fmt: skip


def check_strengths(strengths: tuple[float, ...]) -> None:
    """Raises InputError unless these can be penalties of a logistic regression."""
    if not strengths or min(strengths) <= 0:
        raise InputError(
            "model_args.strengths must be positive numbers.", strengths, "Change them in the task."
        )


def _of_whole_volumes(image, class_count: int, encoder: tuple[str, str, str]) -> keras.Model:
    """The probe of a 3D encoder: name, weights and last stage."""
    if len(image.shape) != 5:
        raise InputError(
            f"{encoder[0]} is an encoder of volumes.", f"images of {len(image.shape) - 2} axes",
            "Choose another model_args.encoder.",
        )  # fmt: skip
    maps = layers.Identity(name="maps")(encoder3d_maps(image, *encoder))
    x = layers.GlobalAveragePooling3D(name="average")(maps)  # (batch, features)
    x = Standardise(name="standardised")(x)
    return keras.Model(image, class_head(x, class_count, SOFTMAX), name="frozen_probe")


def _with_one_call_a_layer(network: keras.Model) -> keras.Model:
    """A copy whose layers are in no other graph, so that each has one input and one output."""
    copy = keras.models.clone_model(network)
    copy.set_weights(network.get_weights())
    return copy


def _of_slices(image, encode: Callable, pooling: str):
    """Volumes (batch, depth, rows, columns, channels) -> (batch, features), standardised."""
    depth = image.shape[1]
    slices = ops.reshape(image, (-1, *image.shape[2:]))
    outputs = _listed(encode(slices))  # (batch x depth, rows', columns', features), ...
    maps, *token = [ops.reshape(one, (-1, depth, *one.shape[1:])) for one in outputs]
    maps = layers.Identity(name="maps")(maps)  # with the axes of a volume, to explain at
    x = _averaged(maps, *token)  # (batch, depth, features)
    if pooling == "mean":
        return Standardise(name="standardised")(ops.mean(x, axis=1))
    x = Standardise(name="standardised")(x)
    return SliceAttention(name="attention", dtype="float32")(x)


def _averaged(maps, token=None):
    """Maps (..., rows, columns, n) -> their mean (..., n), followed by the class token's features."""
    x = ops.mean(maps, axis=(-3, -2))
    return x if token is None else ops.concatenate([x, token], axis=-1)


def _listed(outputs) -> list:
    return list(outputs) if isinstance(outputs, (list, tuple)) else [outputs]
