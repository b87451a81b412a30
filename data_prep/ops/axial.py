"""Axial slices of a Volume on a task's grid: rows front to back, columns patient's right to left."""

import numpy as np
from scipy import ndimage

from data_prep.case import Unreadable
from data_prep.volume import Volume

# Beyond 45 degrees another axis would be the nearest. A scanner's gantry tilts by up to 30.
LARGEST_TILT_DEGREES = 40.0


def tilt_degrees(volume: Volume) -> float:
    """The largest angle between an axis of the volume and the scanner's axis it stands for."""
    along = np.diag(volume.affine)[:3] / volume.spacing_mm  # cosines
    return float(np.degrees(np.arccos(np.clip(along, -1, 1).min())))


def check_tilt(volume: Volume) -> None:
    """Raises Unreadable for a volume whose slices nobody would call axial."""
    tilt = tilt_degrees(volume)
    if not tilt <= LARGEST_TILT_DEGREES:
        raise Unreadable(
            f"the image's axes lie {tilt:.1f} degrees off the scanner's; its own slices are taken "
            f"as axial up to {LARGEST_TILT_DEGREES:g} degrees (resample it to axial slices)"
        )


def nearest_slice(volume: Volume, height_mm: float) -> int | None:
    """The z index whose centre lies nearest to a height (RAS mm); None if outside the volume."""
    size_x, size_y = volume.array.shape[:2]
    centre = volume.affine @ [(size_x - 1) / 2, (size_y - 1) / 2, 0.0, 1.0]
    index = round(float((height_mm - centre[2]) / volume.affine[2, 2]))
    return index if 0 <= index < volume.array.shape[2] else None


def hounsfield_int16(values: np.ndarray) -> np.ndarray:
    """Rounded to int16, values beyond its range at its ends (metal, padding) instead of wrapped."""
    return np.clip(np.round(values), -32768, 32767).astype(np.int16)


def axial_slice(
    volume: Volume, z: int, grid: tuple[int, int], fill: float, nearest: bool = False
) -> tuple[np.ndarray, np.ndarray]:
    """One axial slice on the grid, physical extent kept: ((rows, columns) float32, (4, 4) affine).

    Pixels of the result are square and as small as lets the whole field of view in; what lies
    outside it is `fill`. Linear with a blur against aliasing, or `nearest` for label maps.
    The affine takes (column, row, 0) of the result to RAS millimetres.
    """
    rows, columns = grid
    size_x, size_y = volume.array.shape[:2]
    spacing_x, spacing_y, _ = volume.spacing_mm
    pixel_mm = max(size_x * spacing_x / columns, size_y * spacing_y / rows)
    step_x, step_y = pixel_mm / spacing_x, pixel_mm / spacing_y  # in voxels
    # Row 0 is the front (largest y), column 0 the patient's right (largest x).
    first_x = (size_x - 1) / 2 + step_x * (columns - 1) / 2
    first_y = (size_y - 1) / 2 + step_y * (rows - 1) / 2
    plane = np.asarray(volume.array[:, :, z], dtype=np.float32)  # (x, y)
    if not nearest:
        # A Gaussian of half the excess spacing: none when enlarging.
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
    to_voxel = np.array(
        [[-step_x, 0, 0, first_x], [0, -step_y, 0, first_y], [0, 0, 1, z], [0, 0, 0, 1]]
    )
    return pixels, volume.affine @ to_voxel
