"""How much of a map lies in the tumour, in the brain, at its border and outside of it."""

from collections.abc import Iterable

import numpy as np
from scipy import ndimage

OUTSIDE_WARNING = 0.5  # of a map's sum outside the brain: a reader is warned
PARTS = ("tumour", "brain", "border", "outside")


def outside_warnings(shares: Iterable[tuple[str, float]]) -> list[str]:
    """A line for each (name, share of its map outside the brain) that a reader is warned of."""
    return [
        f"warning: {name}: {share:.0%} of its map lies outside the brain"
        for name, share in shares
        if share > OUTSIDE_WARNING
    ]


def attribution_shares(
    attribution: np.ndarray,
    brain: np.ndarray,
    tumour: np.ndarray | None,
    shell: float,
    spacing_mm: tuple[float, ...] | None = None,
) -> dict[str, float]:
    """Shares of a map's absolute sum, adding up to 1: `tumour`, `brain` (the rest of it), `border`,
    `outside`; NaN for all where the map is 0 everywhere.

    All arrays have one shape, 2D or 3D. The border is the part of the brain, tumour excluded,
    within `shell` of its surface: in mm where the spacing is known, else in voxels. Without a
    tumour mask that share is 0.
    """
    if not attribution.shape == brain.shape == (brain.shape if tumour is None else tumour.shape):
        raise ValueError(f"one shape for all. Received: {attribution.shape}, {brain.shape}.")
    weight = np.abs(attribution).astype(np.float64)
    total = weight.sum()
    if total == 0:
        return dict.fromkeys(PARTS, float("nan"))
    brain = brain.astype(bool)
    tumour = np.zeros_like(brain) if tumour is None else tumour.astype(bool)
    # The edge of the array is none: a cropped brain ends there only in the picture.
    depth = ndimage.distance_transform_edt(brain, sampling=spacing_mm)
    border = brain & ~tumour & (depth <= shell)
    regions = {
        "tumour": tumour,
        "brain": brain & ~tumour & ~border,
        "border": border,
        "outside": ~brain & ~tumour,
    }
    return {part: float(weight[region].sum() / total) for part, region in regions.items()}
