"""Stacks a case's sequences as channels on one grid, and checks that a label map fits its image."""

import dataclasses
import itertools
from dataclasses import dataclass

import numpy as np

from data_prep.case import Unreadable
from data_prep.ops.resample import covered_share, resample_like
from data_prep.volume import Volume, require_3d
from mri_tf.task.spec import PRESENCE

MISSING = ("fail", "skip", "zero_fill")
MIN_COVERED = 0.25  # of the reference's voxels; with less, it shows another part of the body
NEARLY_WHOLE, FARTHEST_WHOLE = 0.02, 0.25  # distance of a label from the whole number that it means


@dataclass(frozen=True)
class Stacked:
    """Sequences on one grid."""

    volume: Volume  # (x, y, z, channels) float32
    names: tuple[str, ...]  # of the channels
    missing: tuple[str, ...]  # sequences that the case lacks
    presence: tuple[int, ...]  # indices of has_<sequence> channels, for `region_stats(unscaled=...)`


def channel_names(order: tuple[str, ...], missing: str = "fail") -> tuple[str, ...]:
    """Names of the channels of `stack_channels`.

    >>> channel_names(("t1", "t2"), "zero_fill")
    ('t1', 't2', 'has_t1', 'has_t2')
    """
    if missing not in MISSING:
        raise ValueError(f"missing must be one of {', '.join(MISSING)}, not {missing!r}")
    presence = tuple(f"{PRESENCE}{name}" for name in order) if missing == "zero_fill" else ()
    return (*order, *presence)


def stack_channels(
    volumes: dict[str, Volume],
    order: tuple[str, ...],
    missing: str = "fail",
    reference: Volume | None = None,
) -> Stacked | None:
    """Stacks sequences as channels, resampled to one grid.

    Args:
        volumes: sequence name -> (x, y, z).
        order: the sequences, in the order of the channels.
        missing: what to do if one is missing. "fail" raises Unreadable; "skip" returns None, to leave
            the case out; "zero_fill" puts 0 in its place, and gives every case one more channel per
            sequence that is 1 where the case has it, else 0.
        reference: the grid; default: that of the first sequence in `order` that the case has.

    Raises:
        Unreadable: all are missing, one has channels, or one covers too little of the grid.
    """
    names = channel_names(order, missing)
    present = [name for name in order if name in volumes]
    absent = tuple(name for name in order if name not in volumes)
    if not present or (absent and missing == "fail"):
        raise Unreadable(f"missing sequences: {', '.join(absent)}")
    if absent and missing == "skip":
        return None
    grid = volumes[present[0]] if reference is None else reference
    channels = np.zeros((*grid.array.shape[:3], len(names)), np.float32)
    for number, name in enumerate(order):
        if name in volumes:
            channels[..., number] = _on_grid(volumes[name], grid, name)
    presence = tuple(range(len(order), len(names)))
    for number, name in zip(presence, order, strict=False):
        channels[..., number] = float(name in volumes)
    return Stacked(dataclasses.replace(grid, array=channels), names, absent, presence)


def _on_grid(volume: Volume, grid: Volume, name: str) -> np.ndarray:
    """(x, y, z) resampled to the grid; unchanged if it is on that grid already."""
    volume = require_3d(volume)
    same_shape = volume.array.shape == grid.array.shape[:3]
    if same_shape and np.allclose(volume.affine, grid.affine, rtol=0, atol=1e-4):
        return volume.array
    covered = covered_share(volume, grid)
    if covered < MIN_COVERED:
        raise Unreadable(f"{name} shows another place: it covers {covered:.0%} of the reference image")
    return resample_like(volume, grid).array


def whole_labels(labels: Volume) -> Volume:
    """A label map with its values rounded where they are nearly whole numbers; others stay.

    Labels that a program saved as scaled integers come back as 1.000015 or 0.996: never farther
    from the label than half a step of the scale.
    """
    if labels.array.dtype.kind != "f":
        return labels
    nearest = np.round(labels.array)
    half_step = labels.value_step / 2 * (1 + 1e-3)  # values are rounded to single precision
    tolerance = min(max(NEARLY_WHOLE, half_step), FARTHEST_WHOLE)
    near = np.abs(labels.array - nearest) <= tolerance
    return dataclasses.replace(labels, array=np.where(near, nearest, labels.array))


def fits_grid(labels: Volume, image: Volume) -> bool:
    """Whether a label map has an image's shape and position, to a quarter of the finest spacing."""
    return labels.array.shape == image.array.shape[:3] and (
        _largest_shift_mm(labels, image) <= min(image.spacing_mm) / 4
    )


def _largest_shift_mm(labels: Volume, image: Volume) -> float:
    """How far the corners of two grids of one shape are apart."""
    shape = image.array.shape[:3]
    corners = np.array([*itertools.product(*[(0, size - 1) for size in shape], [1])])  # (8, 4)
    return float(np.linalg.norm(corners @ (image.affine - labels.affine).T, axis=1).max())


def check_label_map(labels: Volume, image: Volume, label_count: int | None = None) -> None:
    """Raises Unreadable unless a label map fits its image.

    It must have the image's shape and position (to a quarter of the finest spacing) and, with a
    `label_count`, no values but the whole numbers below it.
    """
    shape = image.array.shape
    if labels.array.shape != shape:
        raise Unreadable(f"the label map has shape {labels.array.shape}, but the image {shape}")
    if not fits_grid(labels, image):
        raise Unreadable("the label map is not aligned with the image (their affines differ)")
    if label_count is None:
        return
    unknown = np.setdiff1d(np.unique(labels.array), np.arange(label_count))
    if len(unknown):
        values = ", ".join(f"{value:g}" for value in unknown[:5])
        raise Unreadable(f"the label map contains values that are not labels: {values}")
