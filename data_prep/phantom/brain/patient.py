"""Every parameter of one synthetic head, and how it is drawn."""

from dataclasses import dataclass

import numpy as np

PAIRED = (
    "accumbens", "amygdala", "caudate", "hippocampus", "inferior_lateral_ventricle",
    "lateral_ventricle", "pallidum", "putamen", "thalamus", "sylvian_fissure",
)  # fmt: skip
_WAVES = 20  # of the folding


@dataclass(frozen=True)
class Head:
    """Anatomy of one head. Lengths are in reference mm; one is `scale` (x, y, z) real mm.

    sizes: of each PAIRED structure, (right, left), relative to an average adult.
    folding, fold_depth: plane waves, rows (wave numbers x, y, z in radians/mm, phase in radians).
    lesions: rows (centre x, y, z, radii x, y, z): white-matter lesions of small vessels.
    """

    scale: tuple[float, float, float]
    warp_modes: tuple[tuple[float, ...], ...]  # see shapes.make_grid
    exponent: float  # of the skull: 2 an ellipsoid, more: boxier
    egg: float  # how much narrower the front is than the back
    skull_mm: float
    scalp_mm: float
    gap_mm: float  # fluid between skull and brain
    cortex_mm: float
    sulcus_mm: float  # half the width of a sulcus at the surface
    sulcus_depth_mm: float
    folding: tuple[tuple[float, ...], ...]
    fold_depth: tuple[tuple[float, ...], ...]
    sizes: tuple[tuple[float, float], ...]
    third_ventricle: float
    fourth_ventricle: float
    brainstem: float
    cerebellum: float
    vermis_mm: float
    vermis_degrees: float  # turns the borders of the vermal lobules
    lesions: tuple[tuple[float, ...], ...]

    def size(self, name: str, side: int) -> float:
        """Relative size of a paired structure; side 1: right, -1: left."""
        return self.sizes[PAIRED.index(name)][0 if side > 0 else 1]


def plane_waves(rng: np.random.Generator, count: int, length_mm: float, spread: float) -> tuple:
    """Rows (wave numbers x, y, z, phase) of waves in all directions.

    Their lengths differ from `length_mm` by a factor of at most 1 + `spread`.
    """
    directions = rng.normal(size=(count, 3))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    lengths = length_mm * (1 + spread) ** rng.uniform(-1, 1, count)
    numbers = directions * (2 * np.pi / lengths)[:, None]
    phases = rng.uniform(0, 2 * np.pi, count)
    return tuple(tuple(map(float, (*k, p))) for k, p in zip(numbers, phases, strict=True))


def sum_of_waves(rows: tuple, x: np.ndarray, y: np.ndarray, z: np.ndarray) -> np.ndarray:
    """The sum of the waves at points x, y, z (mm, one shape): mean 0, standard deviation about 1."""
    total = np.zeros(x.shape, np.float32)
    for kx, ky, kz, phase in np.asarray(rows, np.float32):
        total += np.cos(kx * x + ky * y + kz * z + phase)
    return total * np.float32(np.sqrt(2 / len(rows)))


def draw_head(rng: np.random.Generator) -> Head:
    """Draws one head; `rng` decides everything that is random."""

    def around(mean: float, spread: float, low: float, high: float) -> float:
        return float(np.clip(rng.normal(mean, spread), low, high))

    def between(low: float, high: float) -> float:
        return float(rng.uniform(low, high))

    size = around(0.93, 0.035, 0.85, 1.01)
    scale = tuple(size * around(1.0, 0.02, 0.95, 1.05) for _ in range(3))
    age = between(0, 1)  # atrophy: wider ventricles and sulci, a larger gap
    warp = [
        (
            float(axis),
            between(0.8, 2.2),
            *(2 * np.pi / rng.uniform(80, 220, 3)).tolist(),
            *rng.uniform(0, 2 * np.pi, 3).tolist(),
        )
        for axis in (0, 1, 2)
        for _ in range(2)
    ]
    ventricles = (0.75 + 0.75 * age) * float(np.exp(rng.normal(0, 0.15)))
    sizes = []
    for name in PAIRED:
        mean, spread = (ventricles, 0.1) if "ventricle" in name else (1 - 0.08 * age, 0.05)
        if name == "sylvian_fissure":
            mean, spread = 0.7 + 0.8 * age, 0.2
        common = mean * np.exp(rng.normal(0, spread))  # to both sides
        sizes.append(tuple(float(common * np.exp(rng.normal(0, 0.05))) for _ in range(2)))
    lesions = []
    for _ in range(int(rng.poisson(1.0 + 5.0 * age))):
        place = [rng.choice([-1, 1]) * between(20, 32), between(-45, 32), between(18, 36)]
        lesions.append((*map(float, place), *rng.uniform(1.5, 4.5, 3).tolist()))
    return Head(
        scale=scale,
        warp_modes=tuple(warp),
        exponent=between(2.1, 2.5),
        egg=between(0.06, 0.16),
        skull_mm=between(5, 9),
        scalp_mm=between(4, 9),
        gap_mm=1.5 + 2.5 * age + between(0, 1),
        cortex_mm=between(2.9, 3.7) - 0.4 * age,
        sulcus_mm=0.15 + 0.9 * age + between(0, 0.3),
        sulcus_depth_mm=between(14, 21),
        folding=plane_waves(rng, _WAVES, between(19, 24), 0.2),
        fold_depth=plane_waves(rng, 6, 40.0, 0.3),
        sizes=tuple(sizes),
        third_ventricle=(0.7 + 0.9 * age) * between(0.8, 1.2),
        fourth_ventricle=between(0.85, 1.2),
        brainstem=around(1.0, 0.06, 0.85, 1.15),
        cerebellum=around(1.0, 0.04, 0.9, 1.08),
        vermis_mm=between(5, 7),
        vermis_degrees=between(-12, 12),
        lesions=tuple(lesions),
    )
