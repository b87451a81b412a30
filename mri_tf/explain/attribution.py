"""Shares of a map in the tumour, in the brain, at the brain's border and outside the brain."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

CLEARLY_MORE = 1.25  # times the share of a uniform map outside, from which a map is warned of
CLEARLY_LESS = 0.8  # the same inside; outside of a small head hardly more than all can lie
OUTSIDE_WARNING = 0.2  # least share of a map outside the brain for which a warning is printed
PARTS = ("tumour", "brain", "border", "outside")


@dataclass(frozen=True)
class Attribution:
    """Where a map lies, and where a map would lie that is the same everywhere.

    A share alone says little: of a grid that a head fills by a third, two thirds of any map that does
    not know of the head lie outside.
    """

    shares: dict[str, float]  # of `attribution_shares`
    even: dict[str, float]  # those of the map that is the same everywhere

    def enrichment(self, part: str) -> float:
        """How many times more of the map lies in the part than by its size; NaN where there is none.

        >>> Attribution({"outside": 0.3}, {"outside": 0.6}).enrichment("outside")
        0.5
        """
        return self.shares[part] / self.even[part] if self.even[part] else float("nan")


def outside_warnings(maps: Iterable[tuple[str, float, float]]) -> list[str]:
    """Returns a warning for each map of which more lies outside the brain than by the size of outside.

    Args:
        maps: (name, share of the map outside the brain, enrichment outside), as in `Attribution`. Shares
            below OUTSIDE_WARNING are not warned of: a box may have hardly anything outside. Nor are maps
            that lie outside hardly more than a uniform one does.
    """
    return [
        f"warning: {name}: {share:.0%} of its map lies outside the brain, {times:.1f} times the share "
        "that a uniform map would have there"
        for name, share, times in maps
        if share >= OUTSIDE_WARNING and _is_clear(share, times)
    ]


def _is_clear(share: float, times: float) -> bool:
    """Whether a map lies outside clearly more, or inside clearly less, than a uniform map does."""
    even = share / times if times > 0 else 1.0
    return times >= CLEARLY_MORE or (times > 1 and 1 - share <= CLEARLY_LESS * (1 - even))


def attribution_shares(
    attribution: np.ndarray,
    brain: np.ndarray,
    tumour: np.ndarray | None,
    shell: float,
    spacing_mm: tuple[float, ...] | None = None,
) -> dict[str, float]:
    """Returns the shares of a map's absolute sum in four regions, which add up to 1.

    Args:
        attribution: the map, 2D or 3D.
        brain: mask of the same shape.
        tumour: mask of the same shape; None gives its share as 0.
        shell: thickness of the border below the brain's surface, in mm, or in voxels without a spacing.
        spacing_mm: of each axis.

    Returns:
        `tumour`; `border`, within `shell` of the surface, without the tumour; `brain`, the rest of the
        brain; `outside`. All are NaN where the map is 0 everywhere.

    >>> brain = np.array([[0, 1, 1, 1, 1, 1, 0]])
    >>> round(attribution_shares(np.ones((1, 7)), brain, None, shell=1)["outside"], 2)
    0.29
    """
    if not attribution.shape == brain.shape == (brain.shape if tumour is None else tumour.shape):
        raise ValueError(f"Map and masks need one shape. Received: {attribution.shape}, {brain.shape}.")
    weight = np.abs(attribution).astype(np.float64)
    total = weight.sum()
    if total == 0:
        return dict.fromkeys(PARTS, float("nan"))
    brain = brain.astype(bool)
    tumour = np.zeros_like(brain) if tumour is None else tumour.astype(bool)
    # The edge of the array is no surface: a cropped brain goes on beyond it.
    depth = ndimage.distance_transform_edt(brain, sampling=spacing_mm)
    border = brain & ~tumour & (depth <= shell)
    regions = {
        "tumour": tumour,
        "brain": brain & ~tumour & ~border,
        "border": border,
        "outside": ~brain & ~tumour,
    }
    return {part: float(weight[region].sum() / total) for part, region in regions.items()}
