"""Renders the scan of a patient: paints the ideal body on the voxel grid, then images it.

Arrays are (x, y, z) in RAS+ order: x grows to the patient's right, as in nibabel.
"""

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter
from scipy.spatial.transform import Rotation

from data_prep.phantom.shapes import make_grid
from data_prep.phantom.thorax.anatomy import parts
from data_prep.phantom.thorax.levels import find_levels
from data_prep.phantom.thorax.patient import MATRIX, ThoraxPatient
from data_prep.phantom.thorax.structures import LABEL

LOWEST_HU, HIGHEST_HU = -1024, 3071


@dataclass(frozen=True)
class RenderedThorax:
    """A scan with its ground truth.

    hounsfield: int16 (x, y, z). labels: uint8 (x, y, z). affine: float64 (4, 4), indices to RAS+ mm.
    level_of_slice: name of the level for each z index, "" between two levels.
    """

    hounsfield: np.ndarray
    labels: np.ndarray
    affine: np.ndarray
    level_of_slice: tuple[str, ...]


def _paint(patient: ThoraxPatient) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Ideal HU float32, labels uint8, lung bool, all (x, y, z), and the affine; no noise yet."""
    p = patient
    half = (MATRIX - 1) / 2 * p.pixel_mm
    affine = np.diag([p.pixel_mm, p.pixel_mm, p.slice_mm, 1.0])
    affine[:3, 3] = [p.offset_x_mm - half, p.offset_y_mm - half, p.bottom_mm]
    rotation = Rotation.from_euler(
        "xyz", [p.pitch_degrees, p.roll_degrees, p.yaw_degrees], degrees=True
    ).as_matrix()
    shape = (MATRIX, MATRIX, p.slices)
    grid = make_grid(shape, affine, rotation, p.warp_modes)
    ideal = np.full(shape, -1000, np.float32)
    labels, lung = np.zeros(shape, np.uint8), np.zeros(shape, bool)
    for part in parts(p):
        for box, mask in part.shape.pieces(grid):
            if part.within_lung:
                mask = mask & lung[box]
            ideal[box][mask] = part.hounsfield
            if part.label is not None:
                labels[box][mask] = part.label
                lung[box][mask] = part.is_lung
    # The patient lies on the back: the lower lung is denser.
    ideal += np.where(lung & (ideal < -600), -0.35 * (grid.y + 10), 0).astype(np.float32)
    affine[2, 3] += p.table_z_mm
    return ideal, labels, lung, affine


def _add_table(ideal: np.ndarray, patient: ThoraxPatient) -> None:
    """A curved table top below the back, fixed to the scanner and not to the patient."""
    body = (ideal > -300).any(axis=2)  # (x, y)
    lowest = int(np.argmax(body.any(axis=0)))  # first row from the back with tissue
    x = (np.arange(MATRIX) - MATRIX / 2) * patient.pixel_mm
    for depth_mm, thick_mm, hu in ((6, 3, -150.0), (9, 14, -930.0), (23, 3, -150.0)):
        top = lowest + (0.0011 * x**2 - depth_mm) / patient.pixel_mm
        y = np.arange(MATRIX)[None, :]
        shell = (y <= top[:, None]) & (y > top[:, None] - thick_mm / patient.pixel_mm)  # (x, y)
        ideal[shell[:, :, None] & (ideal < -980)] = hu


def _add_streaks(image: np.ndarray, dense: np.ndarray, rng: np.random.Generator) -> None:
    """Star-shaped streaks around the dense voxels (bool (x, y, z)) of each slice."""
    for k in np.flatnonzero(dense.any(axis=(0, 1))):
        spots = np.argwhere(dense[:, :, k])
        cx, cy = spots.mean(axis=0)
        x, y = np.ogrid[:MATRIX, :MATRIX]
        angle, radius = np.arctan2(y - cy, x - cx), np.hypot(x - cx, y - cy)
        star = np.cos(7 * angle + rng.uniform(0, 6)) + np.cos(12 * angle + rng.uniform(0, 6))
        strength = min(70.0, 10.0 * np.sqrt(len(spots)))
        image[:, :, k] += strength * star * np.exp(-radius / 18) * (radius > 2)


def _acquire(
    ideal: np.ndarray, labels: np.ndarray, lung: np.ndarray, patient: ThoraxPatient
) -> np.ndarray:
    """The scan of the ideal body: texture, blur, streaks, noise; int16 (x, y, z)."""
    p, rng = patient, np.random.default_rng(patient.noise_seed)
    _add_table(ideal, p)
    mottle = gaussian_filter(rng.standard_normal(ideal.shape, np.float32), (2.2, 2.2, 1.2))
    mottle /= mottle.std()
    ideal += mottle * np.where(lung, 28, np.where(ideal > -300, 9, 4)).astype(np.float32)
    swirl = np.isin(labels, [LABEL["superior_vena_cava"], LABEL["right_atrium"]])
    ideal[swirl] += p.mixing_hu * mottle[swirl]
    dense = (ideal > 2000) | ((labels == LABEL["superior_vena_cava"]) & (p.svc_hu > 500))
    image = gaussian_filter(ideal, (p.blur_voxels, p.blur_voxels, 0.35))
    _add_streaks(image, dense, rng)
    grain = (p.noise_grain_voxels, p.noise_grain_voxels, 0.0)
    noise = gaussian_filter(rng.standard_normal(ideal.shape, np.float32), grain)
    # Long paths through the shoulders starve the detector of photons.
    tissue = (ideal > -300).sum(axis=(0, 1))  # (z,)
    level = p.noise_hu * np.sqrt(np.clip(tissue / np.median(tissue), 0.7, 1.8))
    image += noise / noise.std() * level.astype(np.float32)
    if p.field_circle:
        x, y = np.ogrid[:MATRIX, :MATRIX]
        image[np.hypot(x - (MATRIX - 1) / 2, y - (MATRIX - 1) / 2) > MATRIX / 2] = LOWEST_HU
    return np.clip(np.rint(image), LOWEST_HU, HIGHEST_HU).astype(np.int16)


def render(patient: ThoraxPatient) -> RenderedThorax:
    """The patient's scan: the same patient gives the same bytes."""
    ideal, labels, lung, affine = _paint(patient)
    levels = find_levels(labels, lung, patient.slice_mm)
    return RenderedThorax(_acquire(ideal, labels, lung, patient), labels, affine, levels)


def levels_of(patient: ThoraxPatient) -> tuple[str, ...]:
    """The levels alone, for patients whose volume exists already; skips the costly noise."""
    _, labels, lung, _ = _paint(patient)
    return find_levels(labels, lung, patient.slice_mm)
