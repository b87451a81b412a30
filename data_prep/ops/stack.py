"""A patient's sequences as the channels of one Volume, on one grid; what happens if one is missing."""

import dataclasses
import itertools
from dataclasses import dataclass

import numpy as np

from data_prep.case import Unreadable
from data_prep.ops.resample import covered_share, resample_like
from data_prep.volume import Volume, three_dimensional

MISSING = ("fail", "skip", "zero_fill")
MIN_COVERED = 0.25  # of the reference's voxels; with less it is no second look at the same place


@dataclass(frozen=True)
class Stacked:
    """`volume` (x, y, z, channels) float32, its channels' names, and which sequences were missing.

    `presence` are the positions of the presence channels, for `region_stats(unscaled=...)`.
    """

    volume: Volume
    names: tuple[str, ...]
    missing: tuple[str, ...]
    presence: tuple[int, ...]


def channel_names(order: tuple[str, ...], missing: str = "fail") -> tuple[str, ...]:
    """The channels that `stack_channels` gives: the sequences and, zero-filled, has_<sequence> each."""
    if missing not in MISSING:
        raise ValueError(f"missing is one of {', '.join(MISSING)}, not {missing!r}")
    presence = tuple(f"has_{name}" for name in order) if missing == "zero_fill" else ()
    return (*order, *presence)


def stack_channels(
    volumes: dict[str, Volume],
    order: tuple[str, ...],
    missing: str = "fail",
    reference: Volume | None = None,
) -> Stacked | None:
    """The sequences in `order`, resampled to `reference` (else to the first that is there).

    If one is missing: `fail` raises Unreadable with its name; `skip` returns None, a patient left
    out by rule; `zero_fill` has 0 in its place, and for every patient one more channel a sequence
    that says whether it is there (1 or 0), so that the number of channels is the task's. Raises
    Unreadable if all are missing, or if one covers less than a quarter of the grid.
    """
    names = channel_names(order, missing)
    there = [name for name in order if name in volumes]
    absent = tuple(name for name in order if name not in volumes)
    if not there or (absent and missing == "fail"):
        raise Unreadable(f"it has no {', '.join(absent)}")
    if absent and missing == "skip":
        return None
    grid = volumes[there[0]] if reference is None else reference
    channels = np.zeros((*grid.array.shape[:3], len(names)), np.float32)
    for position, name in enumerate(order):
        if name in volumes:
            channels[..., position] = _on_grid(volumes[name], grid, name)
    presence = tuple(range(len(order), len(names)))
    for position, name in zip(presence, order, strict=False):
        channels[..., position] = float(name in volumes)
    return Stacked(dataclasses.replace(grid, array=channels), names, absent, presence)


def _on_grid(volume: Volume, grid: Volume, name: str) -> np.ndarray:
    """(x, y, z) on the grid; as it is, where it lies there already."""
    volume = three_dimensional(volume)
    same_shape = volume.array.shape == grid.array.shape[:3]
    if same_shape and np.allclose(volume.affine, grid.affine, rtol=0, atol=1e-4):
        return volume.array
    covered = covered_share(volume, grid)
    if covered < MIN_COVERED:
        raise Unreadable(
            f"{name} lies elsewhere: it covers {covered:.0%} of the grid it is to be resampled to"
        )
    return resample_like(volume, grid).array


def check_label_map(labels: Volume, image: Volume, label_count: int | None = None) -> None:
    """Raises Unreadable unless the map lies on the image's grid to a quarter of its finest spacing
    and, with a `label_count`, holds whole numbers from 0 to below it."""
    if labels.array.shape != image.array.shape:
        raise Unreadable(
            f"the label map has shape {labels.array.shape}, the volume {image.array.shape}"
        )
    if not _largest_shift_mm(image, labels) <= min(image.spacing_mm) / 4:
        raise Unreadable("the label map lies elsewhere than the volume (their affines differ)")
    if label_count is None:
        return
    unknown = np.setdiff1d(np.unique(labels.array), np.arange(label_count))
    if len(unknown):
        raise Unreadable(f"the label map holds values that are no label: {unknown[:5].tolist()}")


def _largest_shift_mm(one: Volume, other: Volume) -> float:
    """How far apart two volumes of one shape lie at any corner: a small turn shifts far corners most."""
    ends = [(0, size - 1) for size in one.array.shape]
    corners = np.array([(x, y, z, 1) for x, y, z in itertools.product(*ends)])  # (8, 4)
    apart = corners @ (one.affine - other.affine).T  # (8, 4) mm
    return float(np.linalg.norm(apart, axis=1).max())
