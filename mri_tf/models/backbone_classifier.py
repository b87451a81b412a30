"""Classifiers of a pre-trained backbone, global average pooling and one dense layer: recipes B, C, D."""

from dataclasses import dataclass

import keras
from keras import layers

from mri_tf.core.errors import InputError
from mri_tf.models.backbones import IMAGENET, UNIT, ZSCORE, add_backbone, check_weights
from mri_tf.models.heads import SOFTMAX, Standardise, class_head


def backbone_classifier(
    input_shape: tuple[int, int, int],
    class_count: int,
    *,
    backbone: str = "resnet18",
    weights: str = IMAGENET,
    cut_after: str = "",
    intensities: str = UNIT,
    dropout: float = 0.0,
    standardise: bool = False,
    head: str = SOFTMAX,
) -> keras.Model:
    """(batch, rows, columns, channels) -> (batch, classes) probabilities; one flat graph.

    All layers train unless the task's `fine_tune` freezes some.

    Args:
        input_shape: rows, columns, channels.
        class_count: classes to tell apart.
        backbone: one of `backbones.NAMES`.
        weights, cut_after, intensities: as in `backbones.add_backbone`; intensities unit or zscore,
            what the task's `normalize` gives.
        dropout: before the dense layer.
        standardise: bring the averaged features to mean 0 and SD 1 on the training side, as they are
            before the training. Without it a dense layer on pre-trained features learns slowly.
        head: of the task.
    """
    image = keras.Input(input_shape, name="image")
    x = add_backbone(image, backbone, weights, cut_after, intensities)
    answer = _answer(x, class_count, Head(head, dropout, standardise))
    return keras.Model(image, answer, name="backbone_classifier")


def backbone_ensemble(
    input_shape: tuple[int, int, int],
    class_count: int,
    *,
    backbone: str = "resnet18",
    weights: str = IMAGENET,
    cut_after: str = "",
    intensities: str = UNIT,
    dropout: float = 0.0,
    standardise: bool = False,
    head: str = SOFTMAX,
) -> keras.Model:
    """(batch, rows, columns, channels) -> (batch, classes) probabilities; one flat graph.

    Each channel has a separate classifier, whose layers begin with `channel<number>_`; the network
    answers the mean of their probabilities. Arguments: as in `backbone_classifier`.
    """
    image = keras.Input(input_shape, name="image")
    members, kind = [], Head(head, dropout, standardise)
    for channel in range(input_shape[-1]):
        x = add_backbone(image, backbone, weights, cut_after, intensities, channel)
        members.append(_answer(x, class_count, kind, f"channel{channel}_"))
    if len(members) > 1:
        members = [layers.Average(name="probabilities", dtype="float32")(members)]
    return keras.Model(image, members[0], name="backbone_ensemble")


def check(arguments: dict) -> None:
    """Raises InputError for values that the builders would refuse, before any data is read."""
    check_weights(arguments["backbone"], arguments["weights"])
    if arguments["intensities"] not in (UNIT, ZSCORE):
        raise InputError(
            f"model_args.intensities must be {UNIT} (images in [0, 1]) or {ZSCORE} (mean 0, SD 1).",
            arguments["intensities"], "Change it in the task.",
        )  # fmt: skip
    if not 0 <= arguments["dropout"] < 1:
        raise InputError(
            "model_args.dropout must be at least 0 and below 1.", arguments["dropout"],
            "Change it in the task.",
        )  # fmt: skip


@dataclass(frozen=True)
class Head:
    """What comes behind the feature maps; the fields are arguments of `backbone_classifier`."""

    head: str
    dropout: float
    standardise: bool


def _answer(features, class_count: int, kind: Head, prefix: str = ""):
    """Feature maps (batch, rows, columns, channels) -> (batch, classes) probabilities.

    `prefix` is put before the names of the layers.
    """
    x = layers.GlobalAveragePooling2D(name=f"{prefix}average")(features)  # (batch, channels)
    if kind.standardise:
        x = Standardise(name=f"{prefix}standardised")(x)
    x = layers.Dropout(kind.dropout, name=f"{prefix}dropout")(x)
    return class_head(x, class_count, kind.head, f"{prefix}probabilities")
