"""Scanners of the synthetic meningiomas: 26 of them, each with its own look, and a study's protocol.

A scanner's looks (contrast, bias field, noise, sharpness, levels, the order of stored axes) and the
spacings of its protocols have nothing to do with grades: patients come to a scanner by chance.
"""

from dataclasses import dataclass

import numpy as np

PIXEL_RANGE_MM = (0.21, 1.0)
THICKNESS_RANGE_MM = (0.49, 5.5)
# Of a block of patients, as recipe B's 1 T 48, 1.5 T 40, 3 T 77, other 9 of 174.
BLOCK = 58
STUDIES_OF_FIELD = {1.0: 16, 1.5: 13, 3.0: 26, 0.5: 3}
SCANNERS_OF_FIELD = {1.0: 7, 1.5: 6, 3.0: 11, 0.5: 2}
_MAKING = 20  # seed of the scanners themselves, which are the same in every phantom
_VOLUMETRIC = 8  # of the scanners acquire whole volumes of thin slices, in any plane
_CODES = ("RAS", "LPS", "LAS", "PIR", "LSP", "ASL", "RPI", "PSR")


@dataclass(frozen=True)
class Scanner:
    """One scanner. Lengths are medians of its protocols.

    slice_axis: of RAS, across its slices. contrast: exponent on the signal; noise: standard
    deviation relative to white matter, of voxels of 1 mm3; bias: standard deviation of the logarithm
    of the field; blur_mm: width of its point spread; white_level: stored value of white matter;
    codes: order of the stored axes; tilt_degrees: of its slices about the right-left axis.
    """

    name: str
    tesla: float
    pixel_mm: float
    thickness_mm: float
    slice_axis: int
    contrast: float
    noise: float
    bias: float
    blur_mm: float
    white_level: float
    codes: str
    tilt_degrees: float
    dtype: str


@dataclass(frozen=True)
class Scan:
    """A study on a scanner, with everything random of its image; spacing_mm along R, A, S."""

    scanner: Scanner
    spacing_mm: tuple[float, float, float]
    shift_voxels: tuple[float, float, float]  # of the grid against the tumour's middle, below 0.5
    table_mm: tuple[float, float, float]  # scanner coordinates of the tumour's middle
    contrast: float
    noise: float
    bias: float
    white_level: float
    noise_seed: int


def _make_scanners() -> tuple[Scanner, ...]:
    rng = np.random.default_rng(_MAKING)
    count = sum(SCANNERS_OF_FIELD.values())
    fields = [tesla for tesla, number in SCANNERS_OF_FIELD.items() for _ in range(number)]
    thin = np.geomspace(0.5, 1.6, _VOLUMETRIC)
    thick = np.linspace(3.3, 5.45, count - _VOLUMETRIC)
    pixels = [
        *rng.permutation(np.geomspace(0.45, 0.98, _VOLUMETRIC)),
        *rng.permutation(np.geomspace(0.215, 0.95, count - _VOLUMETRIC)),
    ]
    which = rng.permutation(count)  # of the thicknesses, so that fields have some of each
    scanners = []
    for number, tesla in enumerate(fields):
        place = which[number]
        volumetric = place < _VOLUMETRIC
        scanners.append(
            Scanner(
                name=f"scanner_{number + 1:02d}",
                tesla=tesla,
                pixel_mm=float(pixels[place]),
                thickness_mm=float([*thin, *thick][place]),
                slice_axis=int(rng.integers(3)) if volumetric else 2,
                contrast=float(rng.uniform(0.7, 1.25)),
                noise=float(rng.uniform(0.02, 0.05) * tesla**-0.3),
                bias=float(rng.uniform(0.04, 0.2)),
                blur_mm=float(rng.uniform(0.6, 1.6)),
                white_level=float(np.exp(rng.uniform(np.log(90), np.log(2500)))),
                codes=str(rng.choice(_CODES)),
                tilt_degrees=0.0 if rng.random() < 0.5 else float(rng.uniform(3, 20)),
                dtype=str(rng.choice(["int16", "int16", "uint16", "float32"])),
            )
        )
    return tuple(scanners)


SCANNERS = _make_scanners()


def scanner_of(patient: int, seed: int) -> Scanner:
    """The scanner of patient number `patient`; each block of 58 sees all 26 at least once."""
    rng = np.random.default_rng([seed, 1, patient // BLOCK])
    there = []
    for tesla, studies in STUDIES_OF_FIELD.items():
        own = [scanner for scanner in SCANNERS if scanner.tesla == tesla]
        more = rng.integers(len(own), size=studies - len(own))
        there += [*own, *(own[place] for place in more)]
    return there[rng.permutation(BLOCK)[patient % BLOCK]]


def draw_scan(scanner: Scanner, rng: np.random.Generator) -> Scan:
    """Draw one study on a scanner, one of its many protocols; all chance comes from `rng`."""
    pixel = scanner.pixel_mm * np.exp(rng.normal(0, 0.12))
    thickness = scanner.thickness_mm * np.exp(rng.normal(0, 0.1))
    stretch = float(rng.uniform(1.05, 1.3)) if rng.random() < 0.2 else 1.0  # pixels not square
    pixels = np.clip([pixel, pixel * stretch], *PIXEL_RANGE_MM)
    spacing = np.insert(pixels, scanner.slice_axis, np.clip(thickness, *THICKNESS_RANGE_MM))
    voxel_mm3 = float(np.prod(spacing))
    return Scan(
        scanner=scanner,
        spacing_mm=tuple(float(round(step, 4)) for step in spacing),
        shift_voxels=tuple(rng.uniform(-0.5, 0.5, 3).tolist()),
        table_mm=tuple(rng.uniform([-60, -70, -40], [60, 70, 60]).tolist()),
        contrast=scanner.contrast * float(rng.uniform(0.95, 1.05)),
        # Smaller voxels hold less signal; longer scans make up for a part of it.
        noise=scanner.noise * voxel_mm3**-0.3 * float(rng.uniform(0.85, 1.2)),
        bias=scanner.bias * float(rng.uniform(0.7, 1.3)),
        white_level=scanner.white_level * float(np.exp(rng.normal(0, 0.15))),
        noise_seed=int(rng.integers(2**31)),
    )
