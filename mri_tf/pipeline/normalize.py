"""Normalises intensities; the pipeline and the exported model use the same function."""

import tensorflow as tf

from mri_tf.core.arguments import check_arguments
from mri_tf.core.errors import InputError
from mri_tf.task.spec import WHITE_STRIPE

REGIONS = ("image", "mask")  # the order of a record's intensity_stats


def value_range(images: tf.Tensor, stats: tf.Tensor, *, low: float, high: float) -> tf.Tensor:
    """Linear from [low, high] in the task's unit to [0, 1], clipped; a CT window, or 0..255."""
    return tf.clip_by_value((images - low) / (high - low), 0.0, 1.0)


def zscore(images: tf.Tensor, stats: tf.Tensor, *, region: str = "image") -> tf.Tensor:
    """(x - mean) / SD a channel, by the record's statistics of the whole `image` or the `mask`.

    With `mask`, 0 is what lies outside of it and stays 0. Preparation has standardised such records, so
    that their mean is 0 and their SD 1; intensities with 0 outside give the same.
    """
    own = stats[:, REGIONS.index(region)]  # (batch, channels, 2)
    own = tf.reshape(own, [tf.shape(own)[0], *[1] * (images.shape.rank - 2), own.shape[1], 2])
    scores = (images - own[..., 0]) / tf.maximum(own[..., 1], 1e-6)
    return scores if region == "image" else tf.where(images == 0, images, scores)


def shift(images: tf.Tensor, stats: tf.Tensor, *, offset: float) -> tf.Tensor:
    """Less `offset`: 128 for recipe A's VGG, of images in 0..255."""
    return images - offset


def white_stripe(images: tf.Tensor, stats: tf.Tensor) -> tf.Tensor:
    """As they are: preparation has made z-scores by the mean and SD of white matter (Shinohara et al.
    2014), with 0 outside the brain (`data_prep.ops.white_stripe`)."""
    return images


METHODS = {"range": value_range, "zscore": zscore, "shift": shift, WHITE_STRIPE: white_stripe}


def check_normalize(settings: dict) -> None:
    """Raises InputError for a method or argument that does not exist."""
    method = settings.get("method")
    if not isinstance(method, str) or method not in METHODS:
        raise InputError(
            f"normalize.method must be one of {', '.join(METHODS)}.", method, "Change it in the task."
        )
    check_arguments("normalize", METHODS[method], _arguments(settings))
    if settings.get("region", "image") not in REGIONS:
        raise InputError(
            f"normalize.region must be {' or '.join(REGIONS)}.",
            settings["region"],
            "Change it in the task.",
        )


def needs_stats(settings: dict) -> bool:
    """Whether the record's intensity_stats decide the result; then they are a served input too."""
    return settings["method"] == "zscore"


def normalize(images: tf.Tensor, stats: tf.Tensor, settings: dict) -> tf.Tensor:
    """(batch, ..., channels) in the task's unit, stats (batch, 2, channels, 2) -> float32."""
    method = METHODS[settings["method"]]
    return method(tf.cast(images, tf.float32), stats, **_arguments(settings))


def _arguments(settings: dict) -> dict:
    return {key: value for key, value in settings.items() if key != "method"}
