"""Layers and checks that several networks share; those that take a tensor work in 2D and in 3D."""

import keras
from keras import layers

from mri_tf.core.errors import InputError


def require_divisible(input_shape: tuple[int, ...], divisor: int) -> None:
    """Raises InputError unless every side of the grid can be halved as often as the network does."""
    if any(side % divisor for side in input_shape[:-1]):
        raise InputError(
            f"Every side of image_shape must be divisible by {divisor} for this model.",
            tuple(input_shape[:-1]),
            "Change image_shape in the task.",
        )


def conv(x, filters: int, size: int, name: str, regularizer=None):
    """A convolution of `size` pixels or voxels a side without bias; the grid keeps its size.

    In 3D it computes in float32 where the kernel is deeper than the volume: there TensorFlow 2.21's
    gradient of the filters is wrong in bfloat16 on a CPU (oneDNN), and ends a training as NaN or,
    worse, goes unnoticed.
    """
    if _is_2d(x):
        return layers.Conv2D(filters, size, padding="same", use_bias=False, name=name)(x)
    depth = x.shape[1]
    return layers.Conv3D(
        filters, size, padding="same", use_bias=False, kernel_regularizer=regularizer, name=name,
        dtype="float32" if depth is not None and depth < size else None,
    )(x)  # fmt: skip


def conv_norm_relu(x, filters: int, name: str):
    """A convolution of 3 pixels or voxels a side, BatchNorm and ReLU."""
    x = conv(x, filters, 3, f"{name}_conv")  # BatchNorm's shift is the bias
    x = batch_norm(f"{name}_bn")(x)
    return layers.Activation("relu", name=f"{name}_relu")(x)


def max_pool(x, name: str):
    """Max pooling that halves every side."""
    return (layers.MaxPooling2D if _is_2d(x) else layers.MaxPooling3D)(name=name)(x)


def upsample(x, factor: int, name: str):
    """Every side `factor` times as long, each value repeated."""
    return (layers.UpSampling2D if _is_2d(x) else layers.UpSampling3D)(factor, name=name)(x)


def batch_norm(name: str):
    """BatchNorm as every network here has it: statistics over all devices, fit for small sets.

    Keras' momentum of 0.99 needs hundreds of steps before the running statistics mean anything;
    an epoch of a small set has a few dozen.
    """
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


def _is_2d(x) -> bool:
    return len(x.shape) == 4  # (batch, rows, columns, channels)
