"""Axial slices of a Volume on a fixed grid: rows from front to back, columns from right to left."""

import numpy as np
from scipy import ndimage

from data_prep.case import Unreadable
from data_prep.volume import Volume

# A scanner's gantry tilts by up to 30 degrees; beyond 45 another axis would be the nearest one.
LARGEST_TILT_DEGREES = 40.0
AIR_HU = -1024  # of CT, outside the field of view


def tilt_degrees(volume: Volume) -> float:
    """The largest angle between an axis of the volume and the scanner axis it is nearest to."""
    cosines = np.diag(volume.affine)[:3] / volume.spacing_mm
    return float(np.degrees(np.arccos(np.clip(cosines, -1, 1).min())))


def check_tilt(volume: Volume) -> None:
    """Raises Unreadable for a volume tilted too far for its slices to count as axial."""
    tilt = tilt_degrees(volume)
    if not tilt <= LARGEST_TILT_DEGREES:
        raise Unreadable(
            f"the image's axes are tilted {tilt:.1f} degrees from the scanner's, more than "
            f"{LARGEST_TILT_DEGREES:g}: resample the image to axial slices"
        )


def nearest_slice(volume: Volume, height_mm: float) -> int | None:
    """The z index of the slice whose centre is nearest to a height (RAS mm); None if outside."""
    size_x, size_y = volume.array.shape[:2]
    centre = volume.affine @ [(size_x - 1) / 2, (size_y - 1) / 2, 0.0, 1.0]
    index = round(float((height_mm - centre[2]) / volume.affine[2, 2]))
    return index if 0 <= index < volume.array.shape[2] else None


def hounsfield_int16(values: np.ndarray) -> np.ndarray:
    """Rounds to int16; values beyond its range (metal, padding) are clipped."""
    return np.clip(np.round(values), -32768, 32767).astype(np.int16)


def axial_slice(
    volume: Volume, z: int, grid: tuple[int, int], fill: float, nearest: bool = False
) -> tuple[np.ndarray, np.ndarray]:
    """Resamples one axial slice to a grid of square pixels that shows the whole field of view.

    Args:
        volume: (x, y, z), not tilted further than `check_tilt` allows.
        z: index of the slice.
        grid: rows and columns of the result.
        fill: value of pixels outside the field of view.
        nearest: for label maps; else interpolation is linear, with a blur against aliasing.

    Returns:
        (rows, columns) float32, and the affine (4, 4) from (column, row, 0) to RAS millimetres.
    """
    rows, columns = grid
    size_x, size_y = volume.array.shape[:2]
    spacing_x, spacing_y, _ = volume.spacing_mm
    pixel_mm = max(size_x * spacing_x / columns, size_y * spacing_y / rows)
    step_x, step_y = pixel_mm / spacing_x, pixel_mm / spacing_y  # in voxels
    # Row 0 is at the front (largest y), column 0 at the patient's right (largest x).
    first_x = (size_x - 1) / 2 + step_x * (columns - 1) / 2
    first_y = (size_y - 1) / 2 + step_y * (rows - 1) / 2
    plane = np.asarray(volume.array[:, :, z], dtype=np.float32)  # (x, y)
    if not nearest:
        # Gaussian with an SD of half the excess spacing; none when enlarging.
        sigma = [max(0.0, (step - 1) / 2) for step in (step_x, step_y)]
        plane = ndimage.gaussian_filter(plane, sigma, mode="nearest")
    pixels = ndimage.affine_transform(
        plane,
        np.diag([-step_x, -step_y]),
        offset=(first_x, first_y),
        output_shape=(columns, rows),
        order=0 if nearest else 1,
        mode="grid-constant",
        cval=fill,
    ).T  # (rows, columns)
    to_voxel = np.diag([-step_x, -step_y, 1.0, 1.0])
    to_voxel[:3, 3] = first_x, first_y, z
    return pixels, volume.affine @ to_voxel
