"""One backbone a channel, their probabilities averaged: sequences that are not looked at together."""

import keras
from keras import layers

from mri_tf.models.backbone_classifier import answer, check
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
        x = inlined(image, backbone, weights, cut_after, intensities, channel)
        members.append(answer(x, class_count, dropout, f"channel{channel}_"))  # (batch, classes)
    if len(members) > 1:
        members = [layers.Average(name="probabilities", dtype="float32")(members)]
    return keras.Model(image, members[0], name="backbone_ensemble")
