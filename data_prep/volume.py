"""A scan in memory: voxel values with their position in the patient, from reader to operation."""

import math
from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np

from data_prep.case import Unreadable

LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])  # its own inverse: RAS to LPS as well
FINEST_MM = 0.005  # of a voxel; finer images are micrographs
LONGEST_MM = 10_000.0  # along an axis; a longer one means a damaged header or a unit other than mm
MOST_VOXELS = 1_000_000_000
NO_PLACE = "the header does not give the image's position and orientation"


@dataclass(frozen=True)
class Volume:
    """An image and its position in the patient, in RAS: x to the right, y to the front, z to the head.

    The axes may be oblique, and sheared where the scanner's gantry was tilted (`shear_degrees`).

    Attributes:
        array: (x, y, z), or (x, y, z, channels) for several values per voxel (time points, echoes).
        affine: (4, 4) float, from voxel indices to RAS millimetres.
        facts: acquisition facts worth auditing, such as the echo time; nothing that names a patient.
        stored_axes: directions of the axes in the source file, such as "LPS".
        value_step: distance of neighbouring values where the file scales whole numbers; else 0.
    """

    array: np.ndarray
    affine: np.ndarray
    facts: dict = field(default_factory=dict)
    stored_axes: str = "RAS"
    value_step: float = 0.0

    @property
    def spacing_mm(self) -> tuple[float, float, float]:
        """Distance between neighbouring voxels along x, y, z."""
        return tuple(float(length) for length in np.linalg.norm(self.affine[:3, :3], axis=0))

    @property
    def shear_degrees(self) -> float:
        """How far the axes are from perpendicular: 0 except for slices of a tilted gantry."""
        axes = self.affine[:3, :3] / self.spacing_mm
        cosines = np.abs(axes.T @ axes - np.eye(3))
        return float(np.degrees(np.arcsin(min(1.0, cosines.max()))))


def check_size(shape: Iterable[int]) -> None:
    """Raises Unreadable for a volume of more voxels than any examination has, before it is read."""
    if math.prod(map(int, shape)) > MOST_VOXELS:
        size = " x ".join(str(int(length)) for length in shape)
        raise Unreadable(f"a volume of {size} voxels, more than {MOST_VOXELS / 1e9:.0f} billion")


def require_3d(volume: Volume) -> Volume:
    """Returns the volume unchanged if it has one value per voxel; else raises Unreadable."""
    if volume.array.ndim != 3:
        raise Unreadable(
            f"the image has {volume.array.ndim} dimensions, not 3: it contains "
            f"{volume.array[0, 0, 0].size} volumes where the task expects one"
        )
    return volume


def geometry_facts(volume: Volume, stored_axes: str) -> dict:
    """The voxel grid of a case as JSON values, so that a map can be written on that grid later."""
    return {
        "source_shape": list(volume.array.shape[:3]),
        "source_affine": [float(value) for value in volume.affine.ravel()],  # of RAS axes
        "source_axes": stored_axes,
    }


def source_volume(facts: dict) -> tuple[Volume, str] | None:
    """The grid in `geometry_facts` as a volume of zeros, and its stored axes; None without the facts."""
    if "source_shape" not in facts:
        return None
    affine = np.array(facts["source_affine"]).reshape(4, 4)
    return Volume(np.zeros(facts["source_shape"], np.uint8), affine), facts.get("source_axes", "RAS")


def to_ras_volume(array: np.ndarray, affine: np.ndarray, facts: dict | None = None) -> Volume:
    """Reorders and flips the axes of an image into RAS; no value is interpolated.

    Args:
        array: (i, j, k) or (i, j, k, channels); float64 becomes float32, other types are kept.
        affine: (4, 4) from (i, j, k) to RAS millimetres.
        facts: kept as the volume's facts.

    Raises:
        Unreadable: no valid position, an impossible spacing, no voxels, or NaN or infinite values.
    """
    from nibabel import orientations

    affine = np.asarray(affine, dtype=np.float64)
    if not np.all(np.isfinite(affine)) or abs(np.linalg.det(affine[:3, :3])) < 1e-12:
        raise Unreadable(f"{NO_PLACE} (its axes do not span a volume)")
    if array.size == 0:
        raise Unreadable("the image contains no voxels")
    spacing_mm = np.linalg.norm(affine[:3, :3], axis=0)
    if spacing_mm.min() < FINEST_MM or np.max(spacing_mm * array.shape[:3]) > LONGEST_MM:
        listed = " x ".join(f"{length:.3g}" for length in spacing_mm)
        raise Unreadable(f"the voxel spacing in the header, {listed} mm, is impossible for a patient")
    dtype = np.float32 if array.dtype.kind == "f" else array.dtype.newbyteorder("=")
    with np.errstate(over="ignore"):  # a double beyond float32 becomes infinite, and is refused
        array = array.astype(dtype, copy=False)
    if not np.all(np.isfinite(array)):
        raise Unreadable("the image contains NaN or infinite values")
    turn = orientations.io_orientation(affine)
    if np.any(np.isnan(turn)):
        raise Unreadable(f"{NO_PLACE} (an axis has no length)")
    turned = affine @ orientations.inv_ornt_aff(turn, array.shape[:3])
    codes = "".join(orientations.ornt2axcodes(turn))
    return Volume(orientations.apply_orientation(array, turn), turned, facts or {}, codes)
