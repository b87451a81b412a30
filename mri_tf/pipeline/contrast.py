"""Contrast and gamma of images and volumes: each is one number a record, drawn and then applied."""

import tensorflow as tf

from mri_tf.core.errors import InputError
from mri_tf.pipeline.known import Known


def random_contrast(
    uniforms: tf.Tensor, size: tuple[int, ...], low: float = 0.8, high: float = 1.25
) -> tf.Tensor:
    """Factor on how far intensities lie from their case's mean, uniforms (batch, 1) -> (batch,).

    Evenly in the logarithm. The same on any linear scale: on z-scores it is a factor. Of colour
    jitter this is all that MR images have: copied to three channels a grey pixel has no saturation,
    and neither hue nor saturation changes it.
    """
    return low * (high / low) ** uniforms[:, 0]


def random_gamma(
    uniforms: tf.Tensor,
    size: tuple[int, ...],
    low: float = 0.85,
    high: float = 1.15,
    value_range: tuple[float, float] | None = None,
) -> tf.Tensor:
    """The exponent of intensities scaled to [0, 1], in [low, high]; uniforms (batch, 1) -> (batch,).

    0 and 1 are the least and greatest value of each record and channel, or `value_range` in the
    task's unit; values beyond it stay.
    """
    return low + uniforms[:, 0] * (high - low)


@tf.function(jit_compile=True)
def apply_contrast(images: tf.Tensor, factors: tf.Tensor, means: tf.Tensor) -> tf.Tensor:
    """(batch, [depth,] rows, columns, channels) with factors (batch,) about means (batch, channels)."""
    ones = [1] * (images.shape.rank - 2)
    means = tf.reshape(means, (-1, *ones, means.shape[-1]))
    return means + tf.reshape(factors, (-1, *ones, 1)) * (images - means)


@tf.function(jit_compile=True)
def apply_gamma(
    images: tf.Tensor, exponent: tf.Tensor, value_range: tuple[float, float] | None = None,
    keep_zero: bool = False,
) -> tf.Tensor:  # fmt: skip
    """float32 (batch, ..., channels), exponents (batch,): ((x - low) / (high - low)) ** exponent.

    low and high are the least and greatest value of each record and channel, or `value_range`;
    the result is scaled back to them. Values beyond stay, with `keep_zero` also what is exactly 0 (the
    outside of standardised records); an exponent of 1 is exact.
    """
    if value_range is None:
        grid = list(range(1, images.shape.rank - 1))
        low = tf.reduce_min(images, axis=grid, keepdims=True)  # (batch, 1, ..., 1, channels)
        high = tf.reduce_max(images, axis=grid, keepdims=True)
    else:
        low, high = (tf.constant(end, images.dtype) for end in value_range)
    power = tf.reshape(exponent, (-1, *[1] * (images.shape.rank - 1)))
    inside = tf.clip_by_value(images, low, high)
    unit = tf.math.divide_no_nan(inside - low, high - low)
    # TensorFlow's pow costs several times exp and log; log(0) is -inf, whose exp is 0.
    bent = tf.exp(power * tf.math.log(unit)) * (high - low) + low
    unchanged = tf.logical_or(power == 1, images != inside)
    if keep_zero:
        unchanged = tf.logical_or(unchanged, images == 0)
    return tf.where(unchanged, images, bent)


def apply_intensities(
    images: tf.Tensor, drawn: dict[str, tf.Tensor], known: Known, augment: dict
) -> tf.Tensor:
    """Contrast, then gamma, where they were drawn.

    Args:
        images: float32 (batch, [depth,] rows, columns, channels).
        drawn: name of the operation -> (batch,); 1 changes nothing.
        known: of the batch.
        augment: the task's.
    """
    if "random_contrast" in drawn:
        changed = apply_contrast(images, drawn["random_contrast"], known.mean)
        images = tf.where(images == 0, images, changed) if known.keep_zero else changed
    if "random_gamma" in drawn:
        value_range = augment["random_gamma"].get("value_range")
        images = apply_gamma(images, drawn["random_gamma"], value_range, known.keep_zero)
    return images


def check_intensities(augment: dict) -> None:
    """Raises InputError for values of contrast and gamma that no image can be changed by."""
    for name, function in (("random_contrast", random_contrast), ("random_gamma", random_gamma)):
        low, high = (
            augment.get(name, {}).get(end, default)
            for end, default in zip(("low", "high"), function.__defaults__, strict=False)
        )
        if not 0 < low <= high:
            raise InputError(
                f"augment.{name} needs 0 < low <= high.", f"{low}, {high}", "Change it in the task."
            )
    low, high = augment.get("random_gamma", {}).get("value_range") or (0, 1)
    if not low < high:
        raise InputError(
            "augment.random_gamma.value_range is (low, high).", (low, high), "Change it in the task."
        )
