"""Matches the histograms of images to those of the training side (Nyul and Udupa 1999; Nyul, Udupa and
Zhang 2000).

Of each image and channel the landmarks are percentiles over the foreground. The standard landmarks are
their mean over the training patients, fitted once a training; a piecewise linear map takes an image's
own landmarks onto them. One TensorFlow function of a batch for training, evaluation and the exported
model.

All values are in the unit of `normalize`: z-scores of an image where it is a z-score, else the task's
unit. What comes out is in the image's own units again, so that augmentation and normalisation behind it
stay what they are.
"""

from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from mri_tf.core.errors import InputError, first_few
from mri_tf.pipeline.normalize import REGIONS, normalize
from mri_tf.task import Task
from mri_tf.task.harmonise import NYUL, harmonise_of
from mri_tf.task.spec import PRESENCE

PERCENTILES = (1, 10, 20, 30, 40, 50, 60, 70, 80, 90, 99)
MOST_VOXELS = 2**14  # of an image, evenly spread, from which its landmarks are taken
LEAST_VOXELS = 50  # of the foreground among them; with fewer a channel stays as it is
LEAST_PATIENTS = 2
LANDMARKS, BACKGROUND = "landmarks", "background"  # in what a run fitted


def match_histograms(images: tf.Tensor, stats: tf.Tensor | None, task: Task, fitted: dict) -> tf.Tensor:
    """Images as they are without `harmonise`; else with the histograms of the training side.

    What is exactly 0 becomes the training side's background, which is 0 where preparation has set it so.
    Beyond the outermost landmarks the map goes on as a line. A channel without foreground, such as that
    of a missing sequence, and one that says whether a sequence is there are not changed.

    Args:
        images: (batch, *grid, channels), whole records before augmentation.
        stats: their intensity_stats (batch, 2, channels, 2); None where `normalize` needs none.
        task: names the method and the normalisation.
        fitted: on the training side, by `fit_standard`.

    Returns:
        float32 of the same shape.
    """
    images = tf.cast(images, tf.float32)
    if not matches_histograms(task):
        return images
    centre, scale = _unit(stats, task, tf.shape(images)[0], len(task.image_channels))
    own, count = landmarks(images, task)
    to_own = lambda values: values * scale[..., None] + centre[..., None]  # noqa: E731
    standard = to_own(tf.constant(fitted[LANDMARKS], tf.float32)[None])  # (batch, channels, landmarks)
    background = to_own(tf.constant(fitted[BACKGROUND], tf.float32)[None, :, None])[..., 0]
    axes = (tf.shape(images)[0], *[1] * (images.shape.rank - 2), images.shape[-1])
    over_grid = lambda values: tf.reshape(values, axes)  # noqa: E731
    mapped = _piecewise(
        images,
        [over_grid(own[..., place]) for place in range(len(PERCENTILES))],
        [over_grid(standard[..., place]) for place in range(len(PERCENTILES))],
    )
    mapped = tf.where(images == 0, over_grid(background), mapped)
    return tf.where(over_grid(count >= LEAST_VOXELS), mapped, images)


def matched_and_normalised(
    images: tf.Tensor, stats: tf.Tensor | None, task: Task, fitted: dict
) -> tf.Tensor:
    """What a network is given of whole images that nothing augments, arguments as `match_histograms`."""
    return normalize(match_histograms(images, stats, task, fitted), stats, task.normalize)


def matches_histograms(task: Task) -> bool:
    """Whether the task asks for this."""
    settings = harmonise_of(task)
    return settings is not None and settings.method == NYUL


def says_presence(task: Task) -> list[bool]:
    """(channels,) of an image: which say whether a sequence is there, and are no images."""
    own = [place in task.presence.values() for place in range(len(task.channels))]
    return own * len(task.slice_offsets)


def landmarks(images: tf.Tensor, task: Task) -> tuple[tf.Tensor, tf.Tensor]:
    """(batch, channels, landmarks) percentiles of the foreground of each channel, in its own unit, and
    (batch, channels) how many voxels they are taken from, 0 of a channel that says whether a sequence is
    there.

    Foreground is what preparation did not set to 0, or without a mask what is brighter than the mean of
    the channel, as Nyul and Udupa have it.
    """
    chosen = [place for place, says in enumerate(says_presence(task)) if not says]
    back = [chosen.index(place) if place in chosen else len(chosen) for place in range(images.shape[-1])]
    voxels = tf.reshape(images, (tf.shape(images)[0], -1, images.shape[-1]))
    voxels = tf.gather(voxels, chosen, axis=-1)  # (batch, voxels, channels that are images)
    inside = voxels != 0
    if not task.standardised:
        inside &= voxels > tf.reduce_mean(voxels, axis=1, keepdims=True)
    # An odd step, so that the voxels are of all columns.
    step = int(np.prod(images.shape[1:-1])) // MOST_VOXELS | 1
    voxels, inside = voxels[:, ::step], inside[:, ::step]
    last = tf.where(inside, voxels, voxels.dtype.max)
    ordered = tf.sort(tf.transpose(last, (0, 2, 1)), axis=-1)  # (batch, channels, voxels)
    count = tf.reduce_sum(tf.cast(inside, tf.int32), axis=1)  # (batch, channels)
    # In whole numbers: a rounded place would part landmarks that are equal, and the map jumps there.
    last_place = tf.maximum(count - 1, 0)[..., None]
    hundredths = last_place * np.int32(PERCENTILES)
    first = hundredths // 100
    second = tf.minimum(first + 1, last_place)
    low, high = (tf.gather(ordered, at, batch_dims=2) for at in (first, second))
    found = low + tf.cast(hundredths % 100, tf.float32) / 100 * (high - low)
    found = tf.where(count[..., None] > 0, found, 0.0)
    found, count = (tf.pad(one, [[0, 0], [0, 1], [0, 0]]) for one in (found, count[..., None]))
    return tf.gather(found, back, axis=1), tf.gather(count[..., 0], back, axis=1)


def in_units_of_fit(
    images: tf.Tensor, stats: tf.Tensor, task: Task
) -> tuple[np.ndarray, np.ndarray]:
    """What `fit_standard` takes of a batch: landmarks (batch, channels, landmarks), NaN where a channel
    has no foreground, and (batch, channels) where 0 lies."""
    images = tf.cast(images, tf.float32)
    centre, scale = _unit(stats, task, tf.shape(images)[0], len(task.image_channels))
    own, count = landmarks(images, task)
    found = ((own - centre[..., None]) / scale[..., None]).numpy().astype(np.float64)
    found[(count < LEAST_VOXELS).numpy()] = np.nan
    return found, (-centre / scale).numpy().astype(np.float64)


def fit_standard(
    found: np.ndarray, zeros: np.ndarray, patients: np.ndarray, channels: Sequence[str]
) -> dict:
    """The standard landmarks of a training side; every patient counts once.

    The first and last landmark are means over the patients. Each patient's own are then brought onto
    these two by a line, and the landmarks between them are the means of what that gives.

    Args:
        found: (records, channels, landmarks) of `in_units_of_fit`.
        zeros: (records, channels) where 0 lies.
        patients: (records,) ids.
        channels: their names.

    Returns:
        `landmarks` (channels, landmarks) and `background` (channels,), as lists for run.json. A channel
        that says whether a sequence is there has the percentiles for landmarks, which are not used.

    Raises:
        InputError: fewer than two patients have a channel, or its landmarks do not rise.
    """
    standard = np.tile(np.array(PERCENTILES, float), (len(channels), 1))
    background = np.zeros(len(channels))
    for channel, name in enumerate(channels):
        if name.startswith(PRESENCE):
            continue
        known = np.isfinite(found[:, channel, 0])
        own = _means_of_patients(found[known, channel], patients[known])  # (patients, landmarks)
        if len(own) < LEAST_PATIENTS:
            raise InputError(
                f"harmonise.method {NYUL} needs {LEAST_PATIENTS} training patients with each channel.",
                f"{len(own)} with {name}", "Add patients, or set harmonise={}.",
            )  # fmt: skip
        low, high = own[:, :1], own[:, -1:]
        flat = (high <= low).any()
        if not flat:
            ends = low.mean(), high.mean()
            standard[channel] = (ends[0] + (own - low) / (high - low) * (ends[1] - ends[0])).mean(axis=0)
        if flat or (np.diff(standard[channel]) <= 0).any():
            shown = first_few([f"{value:.3g}" for value in standard[channel]], len(PERCENTILES))
            raise InputError(
                f"harmonise.method {NYUL} needs images whose percentiles differ.",
                f"channel {name} with " + ("an image of one value" if flat else shown),
                "Set harmonise={}: images of few different values have no histogram to match.",
            )  # fmt: skip
        background[channel] = _means_of_patients(zeros[known, channel, None], patients[known]).mean()
    return {LANDMARKS: standard.tolist(), BACKGROUND: background.tolist()}


def _means_of_patients(values: np.ndarray, patients: np.ndarray) -> np.ndarray:
    """(records, n) -> (patients, n)."""
    names, owner = np.unique(patients.astype(str), return_inverse=True)
    return np.array([values[owner == place].mean(axis=0) for place in range(len(names))])


def _unit(
    stats: tf.Tensor | None, task: Task, count: tf.Tensor, channels: int
) -> tuple[tf.Tensor, tf.Tensor]:
    """(batch, channels) zero and width of the unit of `normalize`, in that of the images."""
    if task.normalize["method"] != "zscore":
        return tf.zeros((count, channels)), tf.ones((count, channels))
    own = stats[:, REGIONS.index(task.normalize.get("region", REGIONS[0]))]  # (batch, channels, 2)
    return own[..., 0], tf.maximum(own[..., 1], 1e-6)


def _piecewise(images: tf.Tensor, own: list[tf.Tensor], standard: list[tf.Tensor]) -> tf.Tensor:
    """The line through the points (own, standard), and its first and last piece beyond them.

    Two of an image's landmarks may be equal, of an image of few values: the line jumps there, and that
    value itself comes to the middle of the jump.
    """
    mapped, slopes = standard[0], []
    for place in range(len(own) - 1):
        width, rise = own[place + 1] - own[place], standard[place + 1] - standard[place]
        slopes.append(tf.math.divide_no_nan(rise, width))
        part = tf.where(
            width > 0,
            tf.clip_by_value(images - own[place], 0.0, tf.maximum(width, 0.0)) * slopes[-1],
            rise * (tf.sign(images - own[place]) + 1) / 2,
        )
        mapped += part
    mapped += tf.minimum(images - own[0], 0.0) * slopes[0]
    return mapped + tf.maximum(images - own[-1], 0.0) * slopes[-1]
