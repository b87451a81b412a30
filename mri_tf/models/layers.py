"""Layers and checks that several networks share."""

import keras
from keras import layers

from mri_tf.core.errors import InputError


def require_divisible(input_shape: tuple[int, ...], divisor: int) -> None:
    """Raises InputError unless every side of the grid can be halved as often as the network does."""
    if any(side % divisor for side in input_shape[:-1]):
        raise InputError(
            f"image_shape of this model divides by {divisor}.",
            tuple(input_shape[:-1]),
            "Change image_shape in the task.",
        )


def conv3d(x, filters: int, size: int, name: str, regularizer=None):
    """A convolution of `size` voxels a side without bias: (batch, depth, rows, columns, ...) stays.

    In float32 where the kernel is deeper than the volume: there TensorFlow 2.21's gradient of the
    filters is garbage in bfloat16 on a CPU (oneDNN), and ends a training as NaN or, worse, does not.
    """
    from keras import layers

    depth = x.shape[1]
    return layers.Conv3D(
        filters, size, padding="same", use_bias=False, kernel_regularizer=regularizer, name=name,
        dtype="float32" if depth is not None and depth < size else None,
    )(x)  # fmt: skip


def batch_norm(name: str):
    """BatchNorm as every network here has it: statistics over all devices, fit for small sets.

    Keras' momentum of 0.99 needs hundreds of steps before the running statistics mean anything;
    an epoch of a small set has a few dozen.
    """
    from keras import layers

    return layers.BatchNormalization(momentum=0.9, epsilon=1e-5, synchronized=True, name=name)


def freeze(features: keras.Model) -> None:
    """No weight of the network trains, and its BatchNorm and dropout stay in inference mode."""
    features.trainable = False  # BatchNorm then stays in inference mode by itself
    for layer in features.layers:
        if isinstance(layer, layers.Dropout):
            layer.rate = 0.0


def dense_head(x, class_count: int, dense_units: int, dropout: float):
    """Two dense layers of recipe A and the softmax: (batch, n) -> (batch, classes)."""
    for number in (1, 2):
        name = f"dense_{number}"
        x = layers.Dense(dense_units, use_bias=False, name=name)(x)
        x = batch_norm(f"{name}_bn")(x)
        x = layers.Activation("relu", name=f"{name}_relu")(x)
        x = layers.Dropout(dropout, name=f"{name}_dropout")(x)
    return layers.Dense(class_count, activation="softmax", dtype="float32", name="probabilities")(x)
