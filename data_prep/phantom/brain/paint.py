"""Paints a head and its tumour as tissues on a voxel grid; one result serves every sequence."""

from dataclasses import dataclass

import numpy as np

from data_prep.phantom.brain import anatomy, cortex
from data_prep.phantom.brain.patient import Head
from data_prep.phantom.brain.structures import LABEL, SIGNALS, TISSUE, Part
from data_prep.phantom.brain.tumor import Tumor, TumorShares, push_aside, signals, tumor_shares
from data_prep.phantom.shapes import Grid

_HOLLOW = ("lateral_ventricle", "inferior_lateral_ventricle", "third_ventricle", "fourth_ventricle")


@dataclass(frozen=True)
class Painted:
    """A painted head; all arrays are (x, y, z).

    tissue: uint8, values of TISSUE. labels: uint8, values of STRUCTURES. brain: bool, without skull.
    fluid, grey, white: float32, shares in the cerebral cortex and (white) the vermis.
    tumor: the tumour and its shares, or None.
    """

    tissue: np.ndarray
    labels: np.ndarray
    brain: np.ndarray
    fluid: np.ndarray
    grey: np.ndarray
    white: np.ndarray
    tumor: tuple[Tumor, TumorShares] | None

    def signal(self, sequence: int, factors: np.ndarray) -> np.ndarray:
        """The image without blur, bias field and noise, float32 (x, y, z).

        Args:
            sequence: index of SEQUENCES.
            factors: (tissues,), the patient's deviations, multiplied with the mean signals.
        """
        means = np.array([values[sequence] for values in SIGNALS.values()]) * factors
        means = means.astype(np.float32)
        image = means[self.tissue]
        folded = self.tissue == TISSUE["folded"]
        white = means[TISSUE["cerebral_white"]]
        fluid, grey = self.fluid[folded], self.grey[folded]
        rest = white + grey * (means[TISSUE["cerebral_grey"]] - white)
        image[folded] = rest + fluid * (means[TISSUE["csf"]] - rest)
        image += self.white * (means[TISSUE["cerebellar_white"]] - image)
        if self.tumor is not None:
            tumor, painted = self.tumor
            values = signals(tumor, sequence).astype(np.float32)
            rest = 1 - painted.shares.sum(axis=1)
            image[painted.where] = image[painted.where] * rest + painted.shares @ values
        return image


def paint_brain(head: Head, tumor: Tumor | None, grid: Grid, voxel_mm: float) -> Painted:
    """Everything within the scalp.

    Args:
        head, tumor: what to paint; tumor None: a healthy head.
        grid: voxel centres in body coordinates.
        voxel_mm: width of the mixed border between two tissues.
    """
    vault = cortex.vault_depth(head, grid)
    cavity = np.maximum(
        np.minimum(vault, grid.z - cortex.skull_floor(grid)), cortex.posterior_fossa_depth(grid)
    )  # depth below the wall of the cranial cavity
    tissue = np.full(vault.shape, TISSUE["air"], np.uint8)
    _paint(tissue, anatomy.face(head), grid)
    _paint_skull(tissue, head, vault, cavity)
    _paint(tissue, anatomy.skull_base(), grid)
    tissue[cavity > 0] = TISSUE["csf"]

    inner = grid
    if tumor is not None:
        inner = push_aside(tumor, grid, np.clip(cavity / 14, 0, 1))
        vault = cortex.vault_depth(head, inner)
    depth = cortex.cerebrum_depth(head, inner, vault)
    cerebrum, fluid, grey = cortex.fold(head, inner, depth, voxel_mm)
    cerebellum_depth, lobules = cortex.cerebellum(head, inner)
    tissue[cerebrum] = TISSUE["folded"]
    small = (lobules > 0) & ~cerebrum & (cavity > 1.5)
    tissue[small] = lobules[small]  # the first tissues are the structures
    branches = np.zeros_like(fluid)
    vermis = np.isin(tissue, [LABEL[name] for name in ("cvl_1_5", "cvl_6_7", "cvl_8_10")])
    branches[vermis] = cortex.arbor_vitae(head, inner, cerebellum_depth)[vermis]
    _paint(tissue, anatomy.inner_parts(head), inner)

    labels = np.where(tissue < len(LABEL), tissue, 0).astype(np.uint8)
    folded = tissue == TISSUE["folded"]
    mixed = np.where(grey > 0.5, LABEL["cerebral_grey"], LABEL["cerebral_white"])
    labels[folded] = np.where(fluid > 0.5, 0, mixed)[folded]
    labels[tissue == TISSUE["lesion"]] = LABEL["cerebral_white"]
    labels[tissue == TISSUE["plexus"]] = LABEL["lateral_ventricle"]
    branches[tissue != lobules] = 0
    brain = (depth > -1.5) | (labels > 0) | ((tissue == TISSUE["csf"]) & (cavity > 4))
    shares = None
    if tumor is not None:
        room = np.clip(depth / 2, 0, 1) * ~np.isin(tissue, [TISSUE[name] for name in _HOLLOW])
        white = np.where(folded, (1 - grey) * (1 - fluid), 0.25).astype(np.float32)
        shares = tumor_shares(tumor, grid, inner.x, room.astype(np.float32), white)
    return Painted(tissue, labels, brain, fluid, grey, branches, shares and (tumor, shares))


def _paint(tissue: np.ndarray, parts: list[Part], grid: Grid) -> None:
    for part in parts:
        for box, mask in part.shape.pieces(grid):
            if part.within:
                mask = mask & np.isin(tissue[box], [TISSUE[name] for name in part.within])
            tissue[box][mask] = TISSUE[part.tissue]


def _paint_skull(tissue: np.ndarray, head: Head, vault: np.ndarray, cavity: np.ndarray) -> None:
    """Scalp, outer table, marrow and inner table as shells about the cranial cavity."""
    whole = head.skull_mm
    tissue[(vault > -(whole + head.scalp_mm)) & (tissue == TISSUE["air"])] = TISSUE["fat"]
    tissue[cavity > -whole] = TISSUE["bone"]
    tissue[(cavity > -0.72 * whole) & (cavity < -0.3 * whole)] = TISSUE["marrow"]
