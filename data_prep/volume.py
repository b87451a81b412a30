"""A scan in memory: the one thing readers give and operations take."""

from dataclasses import dataclass, field

import numpy as np

from data_prep.case import Unreadable

FINEST_MM = 0.005  # of a voxel; micrographs are no studies
LONGEST_MM = 10_000.0  # along an axis: beyond, a header is damaged or not in mm


@dataclass(frozen=True)
class Volume:
    """An image with its place in the patient, in RAS.

    `array` is (x, y, z) or, where a file holds several values a voxel (time points, echoes,
    sequences), (x, y, z, channels), with x to the patient's right, y to the front and z to the
    head; `affine` (4, 4) takes indices to RAS millimetres. Its axes may be oblique, and sheared
    where the scanner's gantry was tilted (`shear_degrees`).
    """

    array: np.ndarray
    affine: np.ndarray
    facts: dict = field(default_factory=dict)  # acquisition facts worth auditing, no identities
    stored_axes: str = "RAS"  # where the axes of the file point, "LPS" and the like

    @property
    def spacing_mm(self) -> tuple[float, float, float]:
        """Distance of neighbouring voxels along x, y, z."""
        return tuple(float(length) for length in np.linalg.norm(self.affine[:3, :3], axis=0))

    @property
    def shear_degrees(self) -> float:
        """How far the axes are from perpendicular: 0 but for stacks of a tilted gantry."""
        axes = self.affine[:3, :3] / self.spacing_mm
        cosines = np.abs(axes.T @ axes - np.eye(3))
        return float(np.degrees(np.arcsin(min(1.0, cosines.max()))))


def three_dimensional(volume: Volume) -> Volume:
    """The volume itself, for operations that take one value a voxel; raises Unreadable."""
    if volume.array.ndim != 3:
        raise Unreadable(
            f"the image has {volume.array.ndim} dimensions, not 3: a series of "
            f"{volume.array[0, 0, 0].size} volumes, for which the task names no channels"
        )
    return volume


def geometry_facts(volume: Volume, stored_axes: str) -> dict:
    """Where a study's voxels lie, so that a map can be written on them again."""
    return {
        "source_shape": list(volume.array.shape[:3]),
        "source_affine": [float(value) for value in volume.affine.ravel()],  # of RAS axes
        "source_axes": stored_axes,
    }


def source_volume(facts: dict) -> tuple[Volume, str] | None:
    """The empty volume that `geometry_facts` describe and the axes of its file; None without them."""
    if "source_shape" not in facts:
        return None
    affine = np.array(facts["source_affine"]).reshape(4, 4)
    return Volume(np.zeros(facts["source_shape"], np.uint8), affine), facts.get("source_axes", "RAS")


def in_ras(array: np.ndarray, affine: np.ndarray, facts: dict | None = None) -> Volume:
    """Axes in any order as a Volume: turned and flipped, never interpolated; raises Unreadable.

    `array` is (i, j, k) or (i, j, k, channels); `affine` takes (i, j, k) to RAS millimetres.
    Doubles become float32, and bytes the machine's order. NaN and infinite values are refused.
    """
    from nibabel import orientations

    affine = np.asarray(affine, dtype=np.float64)
    if not np.all(np.isfinite(affine)) or abs(np.linalg.det(affine[:3, :3])) < 1e-12:
        raise Unreadable("the header does not say where the image lies (its axes span no volume)")
    if array.size == 0:
        raise Unreadable("the image holds no voxels")
    spacing_mm = np.linalg.norm(affine[:3, :3], axis=0)
    if spacing_mm.min() < FINEST_MM or np.max(spacing_mm * array.shape[:3]) > LONGEST_MM:
        listed = " x ".join(f"{length:.3g}" for length in spacing_mm)
        raise Unreadable(f"the header's spacing, {listed} mm, is that of no patient")
    with np.errstate(over="ignore"):  # a double beyond float32 becomes infinite, and is refused
        array = array.astype(_kept(array.dtype), copy=False)
    if not np.all(np.isfinite(array)):
        raise Unreadable("the image holds NaN or infinite values")
    turn = orientations.io_orientation(affine)
    if np.any(np.isnan(turn)):
        raise Unreadable("the header does not say where the image lies (an axis without length)")
    turned = affine @ orientations.inv_ornt_aff(turn, array.shape[:3])
    codes = "".join(orientations.ornt2axcodes(turn))
    return Volume(orientations.apply_orientation(array, turn), turned, facts or {}, codes)


def _kept(dtype: np.dtype) -> np.dtype:
    if dtype.kind == "f":
        return np.dtype(np.float32)
    return dtype.newbyteorder("=")
