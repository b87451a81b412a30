"""The 26 scanners of the synthetic meningiomas, and how a scan on one of them is drawn.

The look of a scanner (contrast, bias field, noise, sharpness, levels, order of stored axes) and its
spacings have nothing to do with grades: patients are assigned to scanners at random.
"""

from dataclasses import dataclass

import numpy as np

PIXEL_RANGE_MM = (0.21, 1.0)
THICKNESS_RANGE_MM = (0.49, 5.5)
# Scans of a block of patients at each field strength: recipe B has 48 at 1 T, 40 at 1.5 T, 77 at 3 T
# and 9 at others, of 174.
BLOCK = 58
SCANS_OF_FIELD = {1.0: 16, 1.5: 13, 3.0: 26, 0.5: 3}
SCANNERS_OF_FIELD = {1.0: 7, 1.5: 6, 3.0: 11, 0.5: 2}
_MAKING = 20  # seed of the scanners, which are the same in every phantom
_VOLUMETRIC = 8  # of the scanners acquire whole volumes of thin slices, in any plane
_CODES = ("RAS", "LPS", "LAS", "PIR", "LSP", "ASL", "RPI", "PSR")


@dataclass(frozen=True)
class Scanner:
    """One scanner. pixel_mm and thickness_mm are medians of its protocols.

    slice_axis: axis of RAS across the slices. contrast: exponent on the signal. noise: standard
    deviation relative to white matter, in voxels of 1 mm3. bias: standard deviation of the logarithm
    of the bias field. blur_mm: width of the point spread. white_level: stored value of white matter.
    codes: order of the stored axes. tilt_degrees: of the slices about the right-left axis.
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
    """A scan on a scanner, with everything random in its image; spacing_mm along R, A, S."""

    scanner: Scanner
    spacing_mm: tuple[float, float, float]
    shift_voxels: tuple[float, float, float]  # of the grid against the tumour's middle, -0.5 to 0.5
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
    which = rng.permutation(count)  # mixes thin and thick slices over the field strengths
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
    """The scanner of patient number `patient`; each block of 58 patients has all 26 scanners."""
    rng = np.random.default_rng([seed, 1, patient // BLOCK])
    scanners = []
    for tesla, scans in SCANS_OF_FIELD.items():
        of_field = [scanner for scanner in SCANNERS if scanner.tesla == tesla]
        more = rng.integers(len(of_field), size=scans - len(of_field))
        scanners += [*of_field, *(of_field[place] for place in more)]
    return scanners[rng.permutation(BLOCK)[patient % BLOCK]]


def draw_scan(scanner: Scanner, rng: np.random.Generator) -> Scan:
    """Draws one scan with one of the protocols of a scanner; `rng` decides all that is random."""
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
        # Smaller voxels hold less signal; longer scans make up for part of it.
        noise=scanner.noise * voxel_mm3**-0.3 * float(rng.uniform(0.85, 1.2)),
        bias=scanner.bias * float(rng.uniform(0.7, 1.3)),
        white_level=scanner.white_level * float(np.exp(rng.normal(0, 0.15))),
        noise_seed=int(rng.integers(2**31)),
    )
