"""From head and tumour to tissue on a voxel grid; pure, and the same for every sequence."""

from dataclasses import dataclass

import numpy as np

from data_prep.phantom.brain.anatomy import (
    brainstem,
    callosum,
    face,
    lesions,
    nuclei,
    peduncles,
    skull_base,
    ventricles,
    vessels,
)
from data_prep.phantom.brain.cortex import (
    arbor_vitae,
    cerebellum,
    cerebrum_depth,
    fold,
    posterior_fossa_depth,
    skull_floor,
    vault_depth,
)
from data_prep.phantom.brain.patient import Head
from data_prep.phantom.brain.structures import LABEL, SIGNALS, TISSUE, Part
from data_prep.phantom.brain.tumor import Tumor, TumorShares, push_aside, signals, tumor_shares
from data_prep.phantom.shapes import Grid

_HOLLOW = ("lateral_ventricle", "inferior_lateral_ventricle", "third_ventricle", "fourth_ventricle")


@dataclass(frozen=True)
class Painted:
    """tissue: uint8, values of TISSUE; labels: uint8, of STRUCTURES; brain: bool, without skull;
    fluid, grey, white: float32, shares in the cerebral cortex and (white) the vermis; all
    (x, y, z).  tumor: None, or the tumour and its shares."""

    tissue: np.ndarray
    labels: np.ndarray
    brain: np.ndarray
    fluid: np.ndarray
    grey: np.ndarray
    white: np.ndarray
    tumor: tuple[Tumor, TumorShares] | None

    def signal(self, sequence: int, factors: np.ndarray) -> np.ndarray:
        """The ideal image of a sequence of SEQUENCES, float32 (x, y, z).

        factors: (tissues,), a patient's own, multiplying the mean signals.
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
            tumor, there = self.tumor
            values = signals(tumor, sequence).astype(np.float32)
            left = 1 - there.shares.sum(axis=1)
            image[there.where] = image[there.where] * left + there.shares @ values
        return image


def paint_brain(head: Head, tumor: Tumor | None, grid: Grid, voxel_mm: float) -> Painted:
    """Everything within the scalp; voxel_mm: how wide the mixed border of two tissues is."""
    vault = vault_depth(head, grid)
    cavity = np.maximum(
        np.minimum(vault, grid.z - skull_floor(grid)), posterior_fossa_depth(grid)
    )  # depth below the wall of the cranial cavity
    tissue = np.full(vault.shape, TISSUE["air"], np.uint8)
    _paint(tissue, face(head), grid)
    _paint_skull(tissue, head, vault, cavity)
    _paint(tissue, skull_base(head), grid)
    tissue[cavity > 0] = TISSUE["csf"]

    inner = grid
    if tumor is not None:
        inner = push_aside(tumor, grid, np.clip(cavity / 14, 0, 1))
        vault = vault_depth(head, inner)
    depth = cerebrum_depth(head, inner, vault)
    cerebrum, fluid, grey = fold(head, inner, depth, voxel_mm)
    behind, lobules = cerebellum(head, inner)
    tissue[cerebrum] = TISSUE["folded"]
    small = (lobules > 0) & ~cerebrum & (cavity > 1.5)
    tissue[small] = lobules[small]  # the first tissues are the structures
    branches = np.zeros_like(fluid)
    vermis = np.isin(tissue, [LABEL[name] for name in ("cvl_1_5", "cvl_6_7", "cvl_8_10")])
    branches[vermis] = arbor_vitae(head, inner, behind)[vermis]
    solids = callosum() + nuclei(head) + lesions(head) + ventricles(head) + peduncles()
    _paint(tissue, solids + brainstem(head), inner)
    _paint(tissue, ventricles(head)[-1:], inner)  # the brainstem's cistern ends at the fourth
    _paint(tissue, vessels(head), inner)

    labels = np.where(tissue < len(LABEL), tissue, 0).astype(np.uint8)
    folded = tissue == TISSUE["folded"]
    mixed = np.where(grey > 0.5, LABEL["cerebral_grey"], LABEL["cerebral_white"])
    labels[folded] = np.where(fluid > 0.5, 0, mixed)[folded]
    labels[tissue == TISSUE["lesion"]] = LABEL["cerebral_white"]
    labels[tissue == TISSUE["plexus"]] = LABEL["lateral_ventricle"]
    branches[tissue != lobules] = 0
    brain = (depth > -1.5) | (labels > 0) | ((tissue == TISSUE["csf"]) & (cavity > 4))
    found = None
    if tumor is not None:
        room = np.clip(depth / 2, 0, 1) * ~np.isin(tissue, [TISSUE[name] for name in _HOLLOW])
        white = np.where(folded, (1 - grey) * (1 - fluid), 0.25).astype(np.float32)
        found = tumor, tumor_shares(tumor, grid, inner.x, room.astype(np.float32), white)
    return Painted(tissue, labels, brain, fluid, grey, branches, found)


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
