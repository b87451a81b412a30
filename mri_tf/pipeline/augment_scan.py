"""Changes of intensities as scanners make them, of images and volumes alike: draws, and applies them.

Bias field, then blur, thick slices and ghosts, then noise, then erased boxes. They come after the
geometry, so that noise is not smoothed by interpolation. Each operation changes a record with its own
`probability`, and only a record that is changed at all. Every number follows from the record's own
stateless seed.
"""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import tensorflow as tf

from mri_tf.core.errors import InputError
from mri_tf.pipeline.augment_ops import other_seeds, record_uniforms
from mri_tf.pipeline.axis_filters import (
    apply_along,
    blur_matrices,
    ghost_matrices,
    thick_slice_matrices,
)
from mri_tf.pipeline.intensity_changes import (
    FILLS,
    MEAN,
    NOISES,
    RICIAN,
    apply_bias_field,
    apply_erasing,
    apply_noise,
    bias_terms,
    normal_numbers,
)
from mri_tf.pipeline.known import Known

OWN_SEEDS, NOISE_SEEDS = 0x5CA7, 0x7015E  # keep these numbers apart from those of the geometry


class ScanChanges(NamedTuple):
    """What is done to each record of a batch; None where the task asks for nothing of the kind."""

    bias: tf.Tensor | None  # (batch, terms)
    filters: tuple[tf.Tensor | None, ...]  # (batch, length, length) of each axis
    noise: tuple[tf.Tensor, tf.Tensor] | None  # (batch, channels) SD, (batch, 2, *grid, channels)
    erased: tuple[tf.Tensor, tf.Tensor] | None  # start and stop, (batch, axes)


def random_bias_field(
    uniforms: tf.Tensor, known: Known, max_coefficient: float = 0.3, probability: float = 0.5
) -> tf.Tensor:
    """Coefficients of the field's exponent, evenly in both directions: (batch, terms)."""
    drawn = (2 * uniforms[:, 1:] - 1) * max_coefficient
    return _gated(uniforms, probability, drawn, 0.0)


def random_blur(
    uniforms: tf.Tensor, known: Known, max_mm: float = 1.0, probability: float = 0.5
) -> tf.Tensor:
    """SD of a Gaussian in voxels of each axis, (batch, axes), evenly up to `max_mm` along each."""
    sd = uniforms[:, 1:] * max_mm / known.spacing_mm
    return _gated(uniforms, probability, sd, 0.0)


def random_low_resolution(
    uniforms: tf.Tensor, known: Known, max_factor: float = 3.0, probability: float = 0.5
) -> tf.Tensor:
    """How many voxels thick the slices along one axis, drawn of all, become: (batch, axes)."""
    axes = len(known.size)
    axis = tf.one_hot(tf.cast(uniforms[:, 1] * axes, tf.int32), axes)
    factor = 1 + axis * uniforms[:, 2:3] * (max_factor - 1)
    return _gated(uniforms, probability, factor, 1.0)


def random_ghosting(
    uniforms: tf.Tensor, known: Known, fewest: int = 4, most: int = 10, max_intensity: float = 0.5,
    probability: float = 0.5,
) -> tf.Tensor:  # fmt: skip
    """How many ghosts along one axis, drawn of all, and how strong: (batch, axes, 2)."""
    axes = len(known.size)
    axis = tf.one_hot(tf.cast(uniforms[:, 1] * axes, tf.int32), axes)  # (batch, axes)
    ghosts = tf.floor(fewest + uniforms[:, 2:3] * (most + 1 - fewest)) + 0 * axis
    intensity = _gated(uniforms, probability, axis * uniforms[:, 3:] * max_intensity, 0.0)
    return tf.stack([ghosts, intensity], axis=-1)


def random_noise(
    uniforms: tf.Tensor, known: Known, max_sd: float = 0.1, kind: str = RICIAN, probability: float = 0.5
) -> tf.Tensor:
    """SD of the noise, (batch, channels), evenly up to `max_sd` of the SD of the record's channel."""
    sd = uniforms[:, 1:] * max_sd * known.sd
    return _gated(uniforms, probability, sd, 0.0)


def random_erasing(
    uniforms: tf.Tensor, known: Known, max_fraction: float = 0.3, fill: str = MEAN,
    probability: float = 0.5,
) -> tf.Tensor:  # fmt: skip
    """First voxel and the one after the last of a box, (batch, axes, 2).

    Each side is evenly up to `max_fraction` of the grid's, and the box lies anywhere inside the grid.
    """
    axes = len(known.size)
    length = tf.constant(known.size, tf.float32)
    side = tf.math.ceil(uniforms[:, 1 : 1 + axes] * max_fraction * length)
    start = tf.floor(uniforms[:, 1 + axes :] * (length - side + 1))
    return tf.stack([start, _gated(uniforms, probability, start + side, 0.0)], axis=-1)


# name -> (function, how many uniforms a record with so many axes needs)
OPERATIONS: dict[str, tuple[Callable, Callable[[int], int]]] = {
    "random_bias_field": (random_bias_field, lambda axes: 1 + len(bias_terms(axes))),
    "random_blur": (random_blur, lambda axes: 1 + axes),
    "random_low_resolution": (random_low_resolution, lambda axes: 3),
    "random_ghosting": (random_ghosting, lambda axes: 4),
    "random_noise": (random_noise, lambda axes: 2),
    "random_erasing": (random_erasing, lambda axes: 1 + 2 * axes),
}


def change_scan(
    images: tf.Tensor, seeds: tf.Tensor, known: Known, augment: dict, changed: tf.Tensor
) -> tf.Tensor:
    """Images as they are seen once: drawn, then applied; see both for the arguments."""
    if not OPERATIONS.keys() & augment.keys():
        return images
    changes = draw_scan_changes(seeds, known, augment, changed)
    return apply_scan_changes(images, changes, augment, known.keep_zero)


def draw_scan_changes(
    seeds: tf.Tensor, known: Known, augment: dict, changed: tf.Tensor
) -> ScanChanges:
    """The changes of each record from its seed.

    Args:
        seeds: (batch, 2).
        known: of the batch.
        augment: the task's; operations of other kinds are passed over.
        changed: (batch,) whether a record is changed at all.
    """
    axes, own = len(known.size), [name for name in augment if name in OPERATIONS]
    counts = [OPERATIONS[name][1](axes) for name in own]
    # A gate of 1 is never below a probability, so that a record that stays as it is has the identity.
    uniforms = record_uniforms(other_seeds(seeds, OWN_SEEDS), sum(counts))
    drawn = {}
    for name, numbers in zip(own, tf.split(uniforms, counts, axis=1), strict=True):
        gate = tf.where(changed[:, None], numbers[:, :1], 1.0)
        settings = partial(OPERATIONS[name][0], **augment[name])
        drawn[name] = settings(tf.concat([gate, numbers[:, 1:]], axis=1), known)
    noise = erased = None
    if "random_noise" in drawn:
        shape = (2, *known.size, known.sd.shape[-1])
        noise = drawn["random_noise"], _normals(other_seeds(seeds, NOISE_SEEDS), shape)
    if "random_erasing" in drawn:
        erased = tuple(tf.unstack(drawn["random_erasing"], axis=-1))
    filters = tuple(_filter(drawn, axis, length) for axis, length in enumerate(known.size))
    return ScanChanges(drawn.get("random_bias_field"), filters, noise, erased)


def apply_scan_changes(
    images: tf.Tensor, changes: ScanChanges, augment: dict, keep_zero: bool = False
) -> tf.Tensor:
    """Bias field, filters, noise and erased boxes of float32 (batch, [depth,] rows, columns, channels).

    With `keep_zero` what is exactly 0, the outside of standardised records, stays 0.
    """
    changed = images
    if changes.bias is not None:
        changed = apply_bias_field(changed, changes.bias)
    for axis, matrices in enumerate(changes.filters):
        if matrices is not None:
            changed = apply_along(changed, matrices, axis)
    if changes.noise is not None:
        kind = augment["random_noise"].get("kind", RICIAN)
        changed = apply_noise(changed, *changes.noise, kind)
    if changes.erased is not None:
        changed = apply_erasing(changed, *changes.erased, augment["random_erasing"].get("fill", MEAN))
    return tf.where(images == 0, images, changed) if keep_zero else changed


def check_scan_changes(augment: dict) -> None:
    """Raises InputError for values that no image can be changed by."""
    for name, (rule, is_right) in _RULES.items():
        operation, _, setting = name.partition(".")
        value = augment.get(operation, {}).get(setting)
        if value is not None and not is_right(value):
            raise InputError(f"augment.{name} must be {rule}.", value, "Change it in the task.")
    for operation in OPERATIONS:
        chance = augment.get(operation, {}).get("probability", 0.5)
        if not 0 <= chance <= 1:
            raise InputError(
                f"augment.{operation}.probability must be from 0 to 1.", chance, "Change it in the task."
            )
    ghosts = {"fewest": 4, "most": 10, **augment.get("random_ghosting", {})}
    if not 2 <= ghosts["fewest"] <= ghosts["most"]:
        raise InputError(
            "augment.random_ghosting needs 2 <= fewest <= most.",
            f"{ghosts['fewest']}, {ghosts['most']}", "Change it in the task.",
        )  # fmt: skip


_RULES: dict[str, tuple[str, Callable]] = {
    "random_bias_field.max_coefficient": ("0 or more", lambda value: value >= 0),
    "random_blur.max_mm": ("0 or more", lambda value: value >= 0),
    "random_low_resolution.max_factor": ("1 or more", lambda value: value >= 1),
    "random_ghosting.max_intensity": ("from 0 to 1", lambda value: 0 <= value <= 1),
    "random_noise.max_sd": ("0 or more", lambda value: value >= 0),
    "random_noise.kind": (" or ".join(NOISES), lambda value: value in NOISES),
    "random_erasing.max_fraction": ("from 0 to 1", lambda value: 0 <= value <= 1),
    "random_erasing.fill": (" or ".join(FILLS), lambda value: value in FILLS),
}


def _filter(drawn: dict, axis: int, length: int) -> tf.Tensor | None:
    """The product of what is done along an axis, (batch, length, length); None where nothing is."""
    found = []
    if "random_blur" in drawn:
        found.append(blur_matrices(drawn["random_blur"][:, axis], length))
    if "random_low_resolution" in drawn:
        found.append(thick_slice_matrices(drawn["random_low_resolution"][:, axis], length))
    if "random_ghosting" in drawn:
        ghosts, intensity = tf.unstack(drawn["random_ghosting"][:, axis], axis=-1)
        found.append(ghost_matrices(tf.cast(ghosts, tf.int32), intensity, length))
    product = None
    for matrices in found:
        product = matrices if product is None else tf.matmul(matrices, product)
    return product


def _gated(uniforms: tf.Tensor, probability: float, drawn: tf.Tensor, otherwise: float) -> tf.Tensor:
    """What was drawn where the record's first uniform says so, else what changes nothing."""
    gate = uniforms[:, 0] < probability
    return tf.where(tf.reshape(gate, (-1, *[1] * (drawn.shape.rank - 1))), drawn, otherwise)


def _normals(seeds: tf.Tensor, shape: tuple[int, ...]) -> tf.Tensor:
    """Standard normal numbers (batch, *shape), each record's from its own seed."""
    uniforms = tf.map_fn(
        lambda seed: tf.random.stateless_uniform(shape, seed, alg="philox"), seeds,
        fn_output_signature=tf.TensorSpec(shape, tf.float32),
    )  # fmt: skip
    return normal_numbers(uniforms)
