"""Scanners of the synthetic brain: grid, contrast, bias field, blur, noise and storage of a scan."""

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter, gaussian_filter1d

from data_prep.phantom.brain.patient import plane_waves, sum_of_waves


@dataclass(frozen=True)
class Scanner:
    """A protocol of one scanner.

    spacing_mm: right-left, back-front, feet-head. field_mm: field of view, in the same order.
    contrast: exponent on the signals of T1. noise: standard deviation relative to white matter.
    bias: standard deviation of the logarithm of the bias field. white_level: stored value of white
    matter. codes: storage order of the axes. oblique: tilted towards the skull base.
    """

    name: str
    site: str
    spacing_mm: tuple[float, float, float]
    field_mm: tuple[float, float, float]
    contrast: float
    noise: float
    bias: float
    blur_voxels: float
    white_level: float
    codes: str
    dtype: str
    oblique: bool = False


SCANNERS = (
    Scanner("north_3t_mprage", "north", (2.0, 2.0, 2.0), (176, 216, 190), 1.1, 0.025, 0.22, 0.35,
            420.0, "PIR", "int16"),
    Scanner("east_3d_spgr", "east", (1.8, 1.8, 2.4), (164, 198, 168), 0.9, 0.04, 0.10, 0.45,
            1500.0, "LPS", "uint16"),
    Scanner("south_1t5_mprage", "south", (2.3, 2.3, 2.3), (180, 230, 200), 0.8, 0.06, 0.07, 0.5,
            160.0, "RAS", "float32"),
    Scanner("east_2d_axial", "east", (1.9, 1.9, 5.0), (170, 209, 150), 0.65, 0.025, 0.14, 0.5,
            700.0, "LAS", "int16", oblique=True),
    Scanner("south_2d_axial", "south", (2.1, 2.1, 4.0), (185, 220, 160), 0.75, 0.05, 0.18, 0.4,
            95.0, "LPS", "int16"),
    Scanner("north_3d_coronal", "north", (1.7, 2.6, 1.7), (166, 208, 178), 1.0, 0.045, 0.16, 0.4,
            2900.0, "LSP", "int16"),
)  # fmt: skip
_SUBSTEPS = 3  # in a thick slice: odd, so that one lies in its middle


@dataclass(frozen=True)
class Scan:
    """One patient on one scanner: pose, grid and everything random in the image."""

    scanner: Scanner
    shape: tuple[int, int, int]
    origin_mm: tuple[float, float, float]  # body mm, before the pose, of the centre of voxel 0, 0, 0
    pose_degrees: tuple[float, float, float]  # pitch, roll, yaw in the grid
    tilt_degrees: float  # of the grid in the scanner, about the right-left axis
    table_mm: tuple[float, float, float]  # scanner coordinates of the body's origin
    contrast_agent: bool
    contrast: float
    noise: float
    blur_voxels: float
    bias_waves: tuple[tuple[float, ...], ...]
    bias: float
    white_level: float
    tissue_spread: tuple[float, ...]  # a factor for each tissue
    noise_seed: int

    def substeps(self) -> tuple[int, int, int]:
        """Of how many thinner layers a voxel is the mean, along each axis."""
        return tuple(_SUBSTEPS if size > 3.5 else 1 for size in self.scanner.spacing_mm)

    def affine(self) -> np.ndarray:
        """(4, 4), indices to scanner RAS mm."""
        angle = np.radians(self.tilt_degrees)
        turn = np.eye(4)
        turn[1:3, 1:3] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
        inner = np.diag([*self.scanner.spacing_mm, 1.0])
        inner[:3, 3] = self.origin_mm
        affine = turn @ inner
        affine[:3, 3] += self.table_mm
        return affine


def draw_scan(scanner: Scanner, tissues: int, contrast_chance: float, rng: np.random.Generator) -> Scan:
    """Draws one scan; `rng` decides everything that is random. `tissues`: how many there are."""
    spacing = np.array(scanner.spacing_mm)
    shape = np.rint(np.array(scanner.field_mm) * rng.uniform(0.97, 1.02, 3) / spacing).astype(int)
    shape = np.minimum(shape, 110)
    # The middle of the head in the field of view: the vertex stays inside, the chin need not.
    middle = np.array([0.0, -14.0, 0.0]) + rng.normal(0, [3, 3, 0])
    top = 91 + rng.uniform(0, 10)
    origin = middle - (shape - 1) / 2 * spacing
    origin[2] = top - (shape[2] - 1) * spacing[2]
    pose = np.clip(rng.normal(0, [5, 3, 4]), -12, 12)
    return Scan(
        scanner=scanner,
        shape=tuple(int(n) for n in shape),
        origin_mm=tuple(map(float, origin)),
        pose_degrees=tuple(map(float, pose)),
        tilt_degrees=float(rng.uniform(4, 18)) if scanner.oblique else 0.0,
        table_mm=tuple(rng.uniform([-5, -30, -80], [5, 30, 80]).tolist()),
        contrast_agent=bool(rng.random() < contrast_chance),
        contrast=scanner.contrast * float(rng.uniform(0.93, 1.07)),
        noise=scanner.noise * float(rng.uniform(0.8, 1.3)),
        blur_voxels=scanner.blur_voxels * float(rng.uniform(0.9, 1.2)),
        bias_waves=plane_waves(rng, 4, 330.0, 0.4),
        bias=scanner.bias * float(rng.uniform(0.7, 1.3)),
        white_level=scanner.white_level * float(np.exp(rng.normal(0, 0.15))),
        tissue_spread=tuple(np.exp(rng.normal(0, 0.03, tissues)).tolist()),
        noise_seed=int(rng.integers(2**31)),
    )


def bias_field(waves: tuple, spread: float, shape: tuple, steps_mm: np.ndarray) -> np.ndarray:
    """Smooth multiplicative bias field, float32 of `shape`.

    Args:
        waves: rows of `plane_waves`.
        spread: standard deviation of the logarithm of the field.
        shape: of the image.
        steps_mm: spacing along each axis.
    """
    coarse = [np.arange(0, n + 4, 4) for n in shape]  # every fourth voxel
    points = np.meshgrid(*(c * s for c, s in zip(coarse, steps_mm, strict=True)), indexing="ij")
    field = spread * sum_of_waves(waves, *(p.astype(np.float32) for p in points))
    for axis, n in enumerate(shape):  # linear interpolation, one axis after the other
        at = np.arange(n) / 4
        low = at.astype(int)
        part = (at - low).astype(np.float32).reshape([-1 if a == axis else 1 for a in range(3)])
        field = np.take(field, low, axis) * (1 - part) + np.take(field, low + 1, axis) * part
    return np.exp(field)


def blur(image: np.ndarray, voxels: float) -> np.ndarray:
    """The image with the point spread of the scanner, the same along every axis."""
    return gaussian_filter(image, voxels, truncate=3.0)


def rician(image: np.ndarray, noise: float, rng: np.random.Generator) -> np.ndarray:
    """Magnitude of a signal with slightly correlated Gaussian noise in both channels."""
    real, imaginary = (rng.standard_normal(image.shape, np.float32) for _ in range(2))
    real = gaussian_filter1d(real, 0.45, axis=0, truncate=2.5)
    return np.hypot(image + np.float32(noise) * real, np.float32(noise) * imaginary)
