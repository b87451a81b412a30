"""Tumours of the meningioma phantom, and what their grade changes.

Grades II and III differ from grade I in four things, each by far less than patients differ in it (SD
of the logarithm 0.4 to 0.6): unevenness of the enhancement (1.4 times), raggedness of the margin (1.3
times), reach of the oedema (1.5 times), and the share of tumours with a dark, necrotic part (35 %
instead of 15 %). These four numbers, known without error, tell the grades apart with an AUC of about
0.8 (distances of 0.75, 0.65, 0.65 and 0.5 SD, 1.3 SD together); noisy slices allow less. Size, place
and brightness do not depend on grade.
"""

from dataclasses import dataclass

import numpy as np

from data_prep.phantom.brain.patient import plane_waves

GRADES = ("I", "II", "III")
HIGH_OF = (8, 29)  # patients of grade II or III: 48 of 174
_III_AMONG_HIGH = 0.2  # share of these that are labelled III; they look like II


@dataclass(frozen=True)
class Meningioma:
    """One tumour at the inner table of the skull; lengths in mm, in the frame of the scan.

    outward: unit vector from the brain to the skull. sunk: depth of the tumour's middle below the
    dura, in mean radii. unevenness, raggedness_mm, oedema_mm and dark_share (of its volume) depend on
    the grade.
    """

    radii: tuple[float, float, float]
    outward: tuple[float, float, float]
    sunk: float
    head_radius: float
    lobulation: float  # of the mean radius
    lobes: tuple[tuple[float, ...], ...]  # plane waves
    ragged_waves: tuple[tuple[float, ...], ...]
    texture_waves: tuple[tuple[float, ...], ...]
    dark_waves: tuple[tuple[float, ...], ...]
    folding: tuple[tuple[float, ...], ...]  # of the cortex
    bias_waves: tuple[tuple[float, ...], ...]
    enhancement: float  # added to white matter's signal
    unevenness: float  # SD of the enhancement, relative
    raggedness_mm: float
    oedema_mm: float
    dark_share: float
    tail: float  # how far the bright dura reaches, in mean radii

    @property
    def mean_radius_mm(self) -> float:
        return float(np.prod(self.radii) ** (1 / 3))


def grade_of(patient: int, seed: int) -> str:
    """I, II or III for patient number `patient`: of any 29 in a row 8 are not I."""
    of, among = HIGH_OF
    place = patient + int(np.random.default_rng([seed, 2]).integers(among))
    if (place + 1) * of // among == place * of // among:
        return "I"
    return "III" if np.random.default_rng([seed, 3, patient]).random() < _III_AMONG_HIGH else "II"


def draw_meningioma(high: bool, rng: np.random.Generator) -> Meningioma:
    """Draws one tumour, of grade II or III if `high`; `rng` decides everything that is random.

    A seed gives the same tumour for both, apart from what depends on the grade.
    """

    def about(median: float, spread: float, low: float, high_end: float) -> float:
        return float(np.clip(median * np.exp(rng.normal(0, spread)), low, high_end))

    radius = about(14.0, 0.3, 7.0, 23.0)
    stretch = np.exp(rng.normal(0, 0.12, 3))
    outward = rng.normal(size=3)
    has_dark, dark = rng.random(), float(rng.uniform(0.05, 0.3))
    return Meningioma(
        radii=tuple((radius * np.clip(stretch, 0.8, 1.25)).tolist()),
        outward=tuple((outward / np.linalg.norm(outward)).tolist()),
        sunk=float(rng.uniform(0.3, 0.9)),
        head_radius=float(rng.uniform(65, 85)),
        lobulation=float(rng.uniform(0.03, 0.12)),
        lobes=plane_waves(rng, 8, 1.5 * radius, 0.4),
        ragged_waves=plane_waves(rng, 24, 7.0, 0.5),
        texture_waves=plane_waves(rng, 24, 7.0, 1.0),
        dark_waves=plane_waves(rng, 10, 14.0, 0.5),
        folding=plane_waves(rng, 14, 20.0, 0.3),
        bias_waves=plane_waves(rng, 4, 180.0, 0.4),
        enhancement=about(0.75, 0.2, 0.4, 1.2),
        unevenness=about(0.14 if high else 0.10, 0.45, 0.02, 0.4),
        raggedness_mm=about(0.78 if high else 0.60, 0.4, 0.1, 2.5),
        oedema_mm=about(9.0 if high else 6.0, 0.6, 0.0, 22.0),
        dark_share=dark if has_dark < (0.35 if high else 0.15) else 0.0,
        tail=float(rng.uniform(1.0, 1.9)),
    )
