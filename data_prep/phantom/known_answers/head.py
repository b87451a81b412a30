"""A synthetic head with one lesion, and how bright it is at any place. Lengths in mm from its middle.

All sizes are drawn once (`draw_head`); `signal_at` is a pure function of them. Pictures show the plane
z = 0, so the lesion of a flat head lies in it.
"""

from dataclasses import dataclass

import numpy as np

Triple = tuple[float, float, float]

RADII_MM = (66.0, 82.0, 62.0)  # of the outer surface along x, y, z; each differs by up to 7 %
SCALP_MM = 9.0  # thickness of the shell at the border
SMALL_MM, LARGE_MM = (16.0, 20.0), (24.0, 29.0)  # mean radius of a lesion, least and most
DIM_BORDER, BRIGHT_BORDER = (0.65, 0.85), (1.15, 1.35)
AIR, FLUID, BRAIN, RIM, CORE = 0.02, 0.3, 1.0, 1.5, 0.95  # signal relative to brain; CORE is the mean
CORE_SHARE = 0.8  # of the lesion's radius
CLEARANCE_MM = 8.0  # kept between the largest lesion and the scalp
WAVES, WAVE_MM, UNEVENNESS = 12, (25.0, 60.0), 0.1  # of the brain's texture


@dataclass(frozen=True)
class Contrast:
    """How far apart the cores of the two classes are, relative to brain."""

    from_mean: float  # of each class
    sd: float  # within a class


HONEST = Contrast(0.22, 0.225)  # classes overlap: the core itself has an AUC of 0.92
STRONG = Contrast(0.45, 0.12)  # classes lie 7.5 SD apart


@dataclass(frozen=True)
class Traits:
    """The two-valued properties of an examination, one of which a kind of phantom ties to the label."""

    bright_core: bool  # of the lesion
    large_lesion: bool
    bright_border: bool  # of the head
    late_echo: bool  # of the two echo times that every scanner uses
    referred: bool  # scanned at one of the two sites of referral
    marked: bool  # a mark in a corner of the background


@dataclass(frozen=True)
class Head:
    """A person's head."""

    radii_mm: Triple
    border: float  # signal of the scalp
    ventricle_mm: Triple  # radii of each of the two
    waves: tuple[tuple[float, ...], ...]  # rows (3 wave numbers in radians/mm, phase)
    lesion_mm: Triple  # its middle
    lesion_radii_mm: Triple
    core: float


def draw_head(rng: np.random.Generator, traits: Traits, contrast: Contrast, flat: bool) -> Head:
    """A head whose lesion and border are as `traits` say; with `flat` the lesion's middle has z = 0.

    What the traits do not name is drawn alike for all values of them, from the same random numbers.
    """
    radii = np.array(RADII_MM) * rng.uniform(0.93, 1.07, 3)
    ventricle = rng.uniform((5, 16, 10), (9, 28, 15))
    direction = rng.normal(size=(WAVES, 3))
    direction /= np.linalg.norm(direction, axis=1, keepdims=True)
    numbers = direction * 2 * np.pi / rng.uniform(*WAVE_MM, (WAVES, 1))
    waves = np.column_stack([numbers, rng.uniform(0, 2 * np.pi, WAVES)])  # (waves, 4)
    # The largest lesion fits wherever a small one lies, so that places do not depend on sizes.
    room = radii - SCALP_MM - LARGE_MM[1] - CLEARANCE_MM
    toward = rng.normal(size=3) * (1, 1, not flat)
    place = room * toward / np.linalg.norm(toward) * np.sqrt(rng.uniform())
    size, shade, core = rng.uniform(), rng.uniform(), rng.normal()
    low_mm, high_mm = LARGE_MM if traits.large_lesion else SMALL_MM
    stretch = rng.uniform(0.9, 1.1, 3)
    lesion = (low_mm + (high_mm - low_mm) * size) * stretch / np.cbrt(stretch.prod())
    least, most = BRIGHT_BORDER if traits.bright_border else DIM_BORDER
    return Head(
        tuple(radii), least + (most - least) * shade, tuple(ventricle), tuple(map(tuple, waves)),
        tuple(place), tuple(lesion), core_signal(traits.bright_core, contrast, core),
    )  # fmt: skip


def core_signal(bright: bool, contrast: Contrast, drawn: float) -> float:
    """The signal of a lesion's core from a standard normal number, relative to brain."""
    middle = CORE + (contrast.from_mean if bright else -contrast.from_mean)
    return float(np.clip(middle + contrast.sd * drawn, 0.2, RIM))


def signal_at(
    head: Head, places_mm: tuple[np.ndarray, np.ndarray, np.ndarray], edge_mm: float
) -> tuple[np.ndarray, np.ndarray]:
    """The signal relative to brain, and the lesion.

    Args:
        head: whose.
        places_mm: x, y and z of each voxel from the head's middle, each (columns, rows, slices).
        edge_mm: width over which one tissue passes into another: about a voxel.

    Returns:
        (columns, rows, slices) float, and bool where the middle of a voxel lies in the lesion.
    """

    def share(radii_mm, middle_mm=(0.0, 0.0, 0.0)) -> np.ndarray:
        """How much of each voxel an ellipsoid fills, 0 to 1."""
        parts = zip(places_mm, middle_mm, radii_mm, strict=True)
        level = np.sqrt(sum(((at - middle) / radius) ** 2 for at, middle, radius in parts))
        return np.clip(0.5 + (1 - level) * min(radii_mm) / edge_mm, 0, 1)

    scale = UNEVENNESS * np.sqrt(2 / len(head.waves))
    texture = scale * sum(
        np.cos(sum(number * at for number, at in zip(numbers, places_mm, strict=True)) + phase)
        for *numbers, phase in head.waves
    )
    signal = AIR + share(head.radii_mm) * (head.border - AIR)
    signal += share(np.subtract(head.radii_mm, SCALP_MM)) * (BRAIN + texture - signal)
    for side in (-1, 1):
        beside = (side * (head.ventricle_mm[0] + 1), 0.0, 0.0)
        signal += share(head.ventricle_mm, beside) * (FLUID - signal)
    lesion = share(head.lesion_radii_mm, head.lesion_mm)
    signal += lesion * (RIM - signal)
    core_mm = np.multiply(head.lesion_radii_mm, CORE_SHARE)
    signal += share(core_mm, head.lesion_mm) * (head.core - signal)
    return signal, lesion >= 0.5
