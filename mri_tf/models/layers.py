"""Layers and checks shared by several networks; those that take a tensor work in 2D and 3D."""

import keras
from keras import layers, ops

from mri_tf.core.errors import InputError
from mri_tf.models.batch_norm import BatchNormalization

NORMS = ("batch", "group")
POOLINGS = ("flatten", "max", "average")
GROUPS = 8  # of channels in GroupNorm, or as many as divide them


@keras.saving.register_keras_serializable("mri_tf")
class MirroredDifference(layers.Layer):
    """What a volume, or features of one, show on one side alone: less their mirror image.

    (batch, depth, rows, columns, channels) of the same shape. The mirror lies in the middle of the grid
    and swaps the columns, which run from the patient's right to the left in every prepared volume. Of a
    mirrored volume the difference is the mirrored difference, so that augmentation by flips of left and
    right changes both alike.
    """

    def call(self, images):
        return images - ops.flip(images, axis=-2)


def require_divisible(input_shape: tuple[int, ...], divisor: int) -> None:
    """Raises InputError unless every side of the grid can be halved as often as the network does."""
    if any(side % divisor for side in input_shape[:-1]):
        raise InputError(
            f"Every side of image_shape must be divisible by {divisor} for this model.",
            tuple(input_shape[:-1]),
            "Change image_shape in the task.",
        )


def conv(x, filters: int, size: int, name: str, regularizer=None):
    """A convolution with a kernel of `size` on each side, without bias; the grid keeps its size.

    In 3D it computes in float32 where the kernel is deeper than the volume: there TensorFlow 2.21
    computes a wrong gradient of the filters in bfloat16 on CPUs (oneDNN), which makes the training NaN
    or, worse, goes unnoticed.
    """
    if _is_2d(x):
        return layers.Conv2D(filters, size, padding="same", use_bias=False, name=name)(x)
    depth = x.shape[1]
    return layers.Conv3D(
        filters, size, padding="same", use_bias=False, kernel_regularizer=regularizer, name=name,
        dtype="float32" if depth is not None and depth < size else None,
    )(x)  # fmt: skip


def conv_norm_relu(x, filters: int, name: str, norm: str = "batch"):
    """A convolution with a kernel of 3 on each side, a normalisation and ReLU."""
    x = conv(x, filters, 3, f"{name}_conv")  # the shift of the normalisation is the bias
    x = normalized(x, name, norm)
    return layers.Activation("relu", name=f"{name}_relu")(x)


def max_pool(x, name: str):
    """Max pooling that halves every side."""
    return (layers.MaxPooling2D if _is_2d(x) else layers.MaxPooling3D)(name=name)(x)


def pool_whole(x, pooling: str):
    """Features of every position as features of the image: (batch, ..., channels) -> (batch, n).

    "flatten" keeps all of them, as recipe A does: what is learned at one place says nothing of another.
    "max" and "average" keep one number a channel, wherever in the image it was found, and need fewer
    images for things that may lie anywhere, such as a tumour.
    """
    if pooling not in POOLINGS:
        known = ", ".join(POOLINGS)
        raise InputError(f"pooling must be one of {known}.", pooling, "Change it in model_args.")
    if pooling == "flatten":
        return layers.Flatten(name="flatten")(x)
    if pooling == "max":
        layer = layers.GlobalMaxPooling2D if _is_2d(x) else layers.GlobalMaxPooling3D
    else:
        layer = layers.GlobalAveragePooling2D if _is_2d(x) else layers.GlobalAveragePooling3D
    return layer(name=f"global_{pooling}")(x)


def with_mirrored_difference(x):
    """A volume, or features of one, and their `MirroredDifference` as twice as many channels."""
    difference = MirroredDifference(name="mirrored_difference")(x)
    return layers.Concatenate(name="with_mirrored_difference")([x, difference])


def upsample(x, factor: int, name: str):
    """Upsampling that makes every side `factor` times as long by repeating values."""
    return (layers.UpSampling2D if _is_2d(x) else layers.UpSampling3D)(factor, name=name)(x)


def normalized(x, name: str, norm: str):
    """BatchNorm ("batch"), or GroupNorm ("group") where a batch has too few cases for statistics.

    GroupNorm's statistics are of one case and of each eighth of the channels, in training and afterwards
    (Wu and He 2018). Layers are called `name`_bn or `name`_gn.
    """
    if norm not in NORMS:
        raise InputError(f"norm must be {' or '.join(NORMS)}.", norm, "Change it in model_args.")
    if norm == "batch":
        return batch_norm(f"{name}_bn")(x)
    channels = x.shape[-1]
    most = GROUPS if len(x.shape) > 2 else channels // 2  # a group of one number would always be 0
    counts = range(1, max(1, min(GROUPS, most)) + 1)
    groups = max(count for count in counts if channels % count == 0)
    return layers.GroupNormalization(groups, epsilon=1e-5, name=f"{name}_gn")(x)


def batch_norm(name: str):
    """BatchNorm with statistics over all devices and a momentum that suits small data sets.

    With Keras' default of 0.99 the running statistics need hundreds of steps to settle; an epoch of
    a small set has a few dozen.
    """
    several = keras.backend.backend() == "tensorflow"  # other backends cannot synchronise
    return BatchNormalization(momentum=0.9, epsilon=1e-5, synchronized=several, name=name)


def freeze(features: keras.Model) -> None:
    """Freezes all weights of a network and keeps its BatchNorm and dropout in inference mode."""
    features.trainable = False  # this also keeps BatchNorm in inference mode
    for layer in features.layers:
        if isinstance(layer, layers.Dropout):
            layer.rate = 0.0


def dense_layers(x, dense_units: int, dropout: float, norm: str = "batch"):
    """The two dense layers of recipe A: (batch, n) -> (batch, dense_units)."""
    for number in (1, 2):
        name = f"dense_{number}"
        x = layers.Dense(dense_units, use_bias=False, name=name)(x)
        x = normalized(x, name, norm)
        x = layers.Activation("relu", name=f"{name}_relu")(x)
        x = layers.Dropout(dropout, name=f"{name}_dropout")(x)
    return x


def _is_2d(x) -> bool:
    return len(x.shape) == 4  # (batch, rows, columns, channels)
