"""Gliomas of the synthetic brain: low grade, diffuse and dark, or glioblastoma with a bright ring.

The two kinds overlap on purpose: in size, by faint rims and by enhancing patches.
"""

from dataclasses import dataclass, replace

import numpy as np
from scipy.spatial.transform import Rotation
from scipy.special import ndtri

from data_prep.phantom.brain.patient import plane_waves, sum_of_waves
from data_prep.phantom.brain.structures import SEQUENCES
from data_prep.phantom.shapes import Grid

KINDS = ("low_grade", "glioblastoma")
PARTS = ("solid", "enhancing", "necrosis", "oedema")
# Signal relative to white matter in T1, in the order of SEQUENCES, before any enhancement.
SIGNALS = {
    "solid": (0.62, 0.63, 1.25, 1.15),
    "enhancing": (0.66, 0.66, 0.98, 0.98),
    "necrosis": (0.36, 0.40, 1.45, 0.60),
    "oedema": (0.72, 0.72, 1.15, 1.20),
}
FULL_ENHANCEMENT = 0.95  # added to t1ce where the enhancement is 1
VISIBLE = 0.2  # enhancement above which a reader would see it
# Gliomas at diagnosis are 2 to 7 cm wide. Spheres of the median have 39 and 27 reference mL; of 61
# glioblastomas the median of the enhancing part alone was 18 mL, the quartiles 8 and 42
# (doi:10.1016/j.wneu.2018.04.067).
MEDIAN_RADIUS_MM = {"low_grade": 21.0, "glioblastoma": 18.5}
RADIUS_MM = (9.0, 34.0)  # smallest and largest
# Centre in the right hemisphere (reference mm), chance in low grade, chance in glioblastoma.
_PLACES = (
    ((26, 38, 20), 0.24, 0.16),  # frontal
    ((24, 10, 46), 0.20, 0.14),  # frontal, high
    ((30, -42, 42), 0.12, 0.18),  # parietal
    ((46, -14, -20), 0.16, 0.18),  # temporal
    ((43, -44, 2), 0.06, 0.14),  # temporal, behind
    ((27, -78, 10), 0.04, 0.09),  # occipital
    ((40, 4, 2), 0.18, 0.11),  # insular
)


@dataclass(frozen=True)
class Tumor:
    """One glioma; lengths in reference mm.

    rim_mm: thickness of the enhancing rim around the necrosis (glioblastoma). patches: share of the
    solid part that enhances (low grade). enhancement: 0 none, 1 as bright as vessels.
    crosses: grows over the midline through the corpus callosum.
    signal_factors: one for each of PARTS, multiplied with SIGNALS.
    """

    kind: str
    centre: tuple[float, float, float]
    radii: tuple[float, float, float]
    turn_degrees: tuple[float, float, float]
    lobulation: float  # of the mean radius
    shape_waves: tuple[tuple[float, ...], ...]
    texture_waves: tuple[tuple[float, ...], ...]
    edge_mm: float
    oedema_mm: float
    push_mm: float
    rim_mm: float
    patches: float
    enhancement: float
    crosses: bool
    signal_factors: tuple[float, float, float, float]

    @property
    def mean_radius_mm(self) -> float:
        return float(np.prod(self.radii) ** (1 / 3))


@dataclass(frozen=True)
class TumorShares:
    """What each voxel of a tumour consists of.

    where: bool (x, y, z). shares: float32 (voxels of `where`, 4) of PARTS, at most 1 in total.
    visible: whether a reader would see the enhancement.
    """

    where: np.ndarray
    shares: np.ndarray
    visible: bool

    def brats_labels(self) -> np.ndarray:
        """uint8 (x, y, z): 1 necrosis and non-enhancing tumour, 2 oedema, 4 enhancing tumour."""
        labels = np.zeros(self.where.shape, np.uint8)
        solid, enhancing, necrosis, oedema = self.shares.T
        if not self.visible:
            solid, enhancing = solid + enhancing, 0 * enhancing
        parts = np.argmax([solid + necrosis, enhancing, oedema], axis=0)
        values = np.array([1, 4, 2], np.uint8)[parts]
        values[self.shares.sum(axis=1) < 0.4] = 0
        labels[self.where] = values
        return labels


def draw_tumor(kind: str, rng: np.random.Generator) -> Tumor:
    """Draws one tumour of a kind of KINDS; `rng` decides all that is random."""

    def between(low: float, high: float) -> float:
        return float(rng.uniform(low, high))

    low_grade = kind == "low_grade"
    chances = np.array([place[1 if low_grade else 2] for place in _PLACES])
    centre = np.array(_PLACES[rng.choice(len(_PLACES), p=chances / chances.sum())][0], float)
    centre += rng.normal(0, 5, 3)
    crosses = not low_grade and rng.random() < 0.08
    if crosses:
        centre = np.array([between(5, 11), between(32, 40), between(8, 18)])
    centre[0] *= rng.choice([-1, 1])
    radius = float(np.clip(MEDIAN_RADIUS_MM[kind] * np.exp(rng.normal(0, 0.28)), *RADIUS_MM))
    radii = radius * np.exp(rng.normal(0, 0.14, 3))
    if low_grade:
        enhances = rng.random() < 0.45
        patches = between(0.04, 0.35) if enhances else 0.0
        enhancement = between(0.15, 0.75) if enhances else 0.0
    else:
        patches = 0.0
        enhancement = between(0.05, 0.35) if rng.random() < 0.12 else between(0.5, 1.2)
    return Tumor(
        kind=kind,
        centre=tuple(map(float, centre)),
        radii=tuple(map(float, radii)),
        turn_degrees=tuple(rng.uniform(-90, 90, 3).tolist()),
        lobulation=between(0.08, 0.2) if low_grade else between(0.06, 0.16),
        shape_waves=plane_waves(rng, 10, 1.3 * radius, 0.5),
        texture_waves=plane_waves(rng, 14, 20.0, 1.0),
        edge_mm=between(3, 9) if low_grade else between(1.5, 3),
        oedema_mm=between(0, 14) if low_grade else between(2, 20),
        push_mm=between(0.05, 0.22) * radius if low_grade else between(0.12, 0.42) * radius,
        rim_mm=between(3, 8),
        patches=patches,
        enhancement=enhancement,
        crosses=bool(crosses),
        signal_factors=tuple(rng.uniform(0.9, 1.12, 4).tolist()),
    )


def push_aside(tumor: Tumor, grid: Grid, room: np.ndarray) -> Grid:
    """The grid that shows the tissue displaced by the tumour.

    room: (x, y, z), 0 where nothing moves (at the skull), 1 where tissue moves freely.
    """
    offset = [v - np.float32(c) for v, c in zip((grid.x, grid.y, grid.z), tumor.centre, strict=True)]
    distance = np.sqrt(sum(o * o for o in offset))
    radius = np.float32(tumor.mean_radius_mm)
    outside = np.exp(np.minimum(radius - distance, 0) / np.float32(30))
    share = tumor.push_mm * room * outside * np.minimum(distance / radius, 1)
    share /= np.maximum(distance, np.float32(1e-3))
    moved = [v - o * share for v, o in zip((grid.x, grid.y, grid.z), offset, strict=True)]
    return replace(
        grid, x=moved[0], y=moved[1], z=moved[2], margin_mm=grid.margin_mm + tumor.push_mm
    )


def tumor_shares(
    tumor: Tumor, grid: Grid, midline: np.ndarray, room: np.ndarray, white: np.ndarray
) -> TumorShares:
    """Where the tumour is and what each voxel of it consists of.

    Args:
        tumor: the tumour.
        grid: voxel centres in body coordinates.
        midline: (x, y, z), signed distance to the falx in mm, positive to the right.
        room: (x, y, z), 0 to 1, where a tumour can grow.
        white: (x, y, z), 0 to 1, where oedema can be.
    """
    centre = np.array(tumor.centre)
    offset = [v - np.float32(c) for v, c in zip((grid.x, grid.y, grid.z), centre, strict=True)]
    reach = 1.5 * max(tumor.radii) + 2 * tumor.oedema_mm + tumor.edge_mm
    where = (sum(o * o for o in offset) < reach**2) & (room > 0)
    x, y, z = (o[where] for o in offset)  # (voxels,)
    turn = Rotation.from_euler("xyz", tumor.turn_degrees, degrees=True).as_matrix()
    level = np.zeros(x.shape, np.float32)
    for axis, radius in zip(turn.T.astype(np.float32), tumor.radii, strict=True):
        level += ((axis[0] * x + axis[1] * y + axis[2] * z) / np.float32(radius)) ** 2
    mean = np.float32(tumor.mean_radius_mm)
    depth = mean * (1 - np.sqrt(level))
    depth += np.float32(tumor.lobulation) * mean * sum_of_waves(tumor.shape_waves, x, y, z)
    if not tumor.crosses:
        depth = np.minimum(depth, np.sign(centre[0]) * midline[where] - 1)
    texture = sum_of_waves(tumor.texture_waves, x, y, z)
    inside = np.clip(0.5 + depth / np.float32(tumor.edge_mm), 0, 1) * room[where]
    if tumor.kind == "low_grade":
        level = ndtri(1 - tumor.patches) if tumor.patches else np.inf
        enhancing = np.clip(0.5 + (texture - level) * 2, 0, 1) * np.clip(depth / 3, 0, 1)
        necrosis = np.zeros_like(inside)
    else:
        rim = np.maximum(tumor.rim_mm * (1 + 0.45 * texture), 1.0)
        necrosis = np.clip(0.5 + (depth - rim) / 1.5, 0, 1)
        enhancing = 1 - necrosis
    spread = np.maximum(tumor.oedema_mm * (0.8 + 0.45 * texture), 0.0)
    around = np.clip(0.5 + (depth + spread) / 4, 0, 1) * (spread > 0) * white[where]
    solid = 1 - enhancing - necrosis
    shares = np.stack([solid * inside, enhancing * inside, necrosis * inside, around * (1 - inside)], 1)
    return TumorShares(where, shares.astype(np.float32), tumor.enhancement > VISIBLE)


def signals(tumor: Tumor, sequence: int) -> np.ndarray:
    """Signal of each of PARTS, (4,); `sequence` is an index of SEQUENCES."""
    values = np.array([SIGNALS[part][sequence] for part in PARTS]) * tumor.signal_factors
    if SEQUENCES[sequence] == "t1ce":
        values[1] += FULL_ENHANCEMENT * tumor.enhancement
    return values
