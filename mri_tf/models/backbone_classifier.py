"""A backbone with weights of ImageNet, global average pooling and one dense layer: recipes B, C, D."""

import keras
from keras import layers

from mri_tf.core.errors import InputError
from mri_tf.models.backbones import IMAGENET, UNIT, ZSCORE, check_weights, inlined


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

    `backbone` is resnet18, resnet34, resnet50, densenet121, inception_v3 or vgg16. `weights`,
    `cut_after`, `intensities` (unit or zscore: what the task's `normalize` gives) and how other
    numbers of channels than three are taken: `backbones.inlined`. All layers train; a task's
    `fine_tune` says which do not.
    """
    image = keras.Input(input_shape, name="image")
    x = inlined(image, backbone, weights, cut_after, intensities)
    return keras.Model(image, answer(x, class_count, dropout), name="backbone_classifier")


def answer(features, class_count: int, dropout: float, prefix: str = ""):
    """Feature maps (batch, rows, columns, channels) -> (batch, classes) probabilities: their averages
    through one dense layer. `prefix` is put before the layers' names."""
    x = layers.GlobalAveragePooling2D(name=f"{prefix}average")(features)
    x = layers.Dropout(dropout, name=f"{prefix}dropout")(x)
    dense = layers.Dense(
        class_count, activation="softmax", dtype="float32", name=f"{prefix}probabilities"
    )
    return dense(x)


def check(arguments: dict) -> None:
    """Raises InputError, before data is read, for values that `build` would refuse."""
    check_weights(arguments["backbone"], arguments["weights"])
    if arguments["intensities"] not in (UNIT, ZSCORE):
        raise InputError(
            f"model_args.intensities is {UNIT}, [0, 1], or {ZSCORE}.", arguments["intensities"],
            "Change it in the task.",
        )  # fmt: skip
    if not 0 <= arguments["dropout"] < 1:
        raise InputError("model_args.dropout lies in 0 to 1.", arguments["dropout"], "Change it.")
