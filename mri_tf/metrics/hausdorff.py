"""The 95 % Hausdorff distance of two masks."""

from typing import NamedTuple

import numpy as np
from scipy.ndimage import binary_erosion, distance_transform_edt

MISSED = "the predicted mask is empty"


class Distance(NamedTuple):
    """A distance between two masks; NaN with a reason where it is undefined."""

    value: float
    unit: str  # "mm" or "voxels"
    reason: str = ""


def hausdorff95(
    truth: np.ndarray, predicted: np.ndarray, spacing_mm: tuple[float, ...] | None = None
) -> Distance:
    """Returns the 95 % Hausdorff distance of two masks; NaN with a reason if the true one is empty.

    A mask that is missed altogether gets the length of the image's diagonal: without it, predicting
    nothing where it is hard would make the mean better.

    The surface of a mask is its voxels with a face outside of it, also at the border of the array. The
    distances go from each surface voxel to the nearest one of the other mask; the result is the larger
    of the two directions' 95th percentiles, linearly interpolated.

    Args:
        truth: mask of any rank.
        predicted: mask of the same shape.
        spacing_mm: one value above 0 per axis; None: the distance is in voxels.

    Raises:
        ValueError: the shapes differ, or the spacing does not fit them.

    Source: Maier-Hein et al. 2024 (Metrics Reloaded).
    """
    truth, predicted = np.asarray(truth, bool), np.asarray(predicted, bool)
    unit = "voxels" if spacing_mm is None else "mm"
    spacing = np.ones(truth.ndim) if spacing_mm is None else np.asarray(spacing_mm, float)
    if truth.shape != predicted.shape:
        raise ValueError(f"The masks differ in shape. Received: {truth.shape} and {predicted.shape}.")
    if spacing.shape != (truth.ndim,) or not (np.isfinite(spacing) & (spacing > 0)).all():
        raise ValueError(
            f"The spacing needs {truth.ndim} values above 0, in mm. Received: {spacing_mm}."
        )
    if not truth.any():
        also = "" if predicted.any() else " and the predicted mask"
        return Distance(np.nan, unit, f"the true mask{also} {'are' if also else 'is'} empty")
    if not predicted.any():
        diagonal = float(np.linalg.norm(np.array(truth.shape) * spacing))
        return Distance(diagonal, unit, f"{MISSED}: the image's diagonal")
    box = _box_of(truth | predicted)
    surfaces = [mask & ~binary_erosion(mask) for mask in (truth[box], predicted[box])]
    directed = [
        np.percentile(distance_transform_edt(~target, sampling=spacing)[source], 95)
        for source, target in (surfaces, surfaces[::-1])
    ]
    return Distance(float(max(directed)), unit)


def _box_of(mask: np.ndarray) -> tuple[slice, ...]:
    """Slices around the mask: they contain both surfaces, so the distances do not change."""
    spans = []
    for axis in range(mask.ndim):
        others = tuple(other for other in range(mask.ndim) if other != axis)
        occupied = np.flatnonzero(mask.any(axis=others))
        spans.append(slice(int(occupied[0]), int(occupied[-1]) + 1))
    return tuple(spans)
