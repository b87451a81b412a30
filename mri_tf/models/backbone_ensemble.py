"""One backbone a channel, their probabilities averaged: sequences that are not looked at together."""

import keras
from keras import layers

from mri_tf.models.backbone_classifier import check
from mri_tf.models.backbones import IMAGENET, UNIT, inlined

__all__ = ["build", "check"]


def build(
    input_shape: tuple[int, int, int],
    class_count: int,
    *,
    backbone: str = "resnet18",
    weights: str = IMAGENET,
    cut_after: str = "",
    intensities: str = UNIT,
    dropout: float = 0.0,
) -> keras.Model:
    """(batch, rows, columns, channels) -> (batch, classes) probabilities; one flat graph.

    Channel k goes through a classifier of its own, whose variables begin with `channel<k>_`; they share
    nothing but the loss, which is of the mean. Arguments: as `backbone_classifier.build`.
    """
    image = keras.Input(input_shape, name="image")
    members = []
    for channel in range(input_shape[-1]):
        own = f"channel{channel}_"
        x = inlined(image, backbone, weights, cut_after, intensities, channel)
        x = layers.GlobalAveragePooling2D(name=f"{own}average")(x)
        x = layers.Dropout(dropout, name=f"{own}dropout")(x)
        dense = layers.Dense(
            class_count, activation="softmax", dtype="float32", name=f"{own}probabilities"
        )
        members.append(dense(x))  # (batch, classes)
    if len(members) > 1:
        members = [layers.Average(name="probabilities", dtype="float32")(members)]
    return keras.Model(image, members[0], name="backbone_ensemble")
