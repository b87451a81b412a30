"""Do the sequences of a case lie on each other, and rigid registration where they do not."""

from dataclasses import dataclass

import numpy as np

from data_prep.case import Unreadable
from data_prep.volume import Volume

LPS = np.diag([-1.0, -1.0, 1.0])
MATTES_BINS, BINS = 32, 16  # of the registration, and of the comparison
SHRINK, SMOOTH_MM = (4, 2, 1), (4.0, 2.0, 0.0)  # of the three levels
SAMPLED = (1.0, 0.5, 0.25)  # share of the voxels at each level
LARGEST_RESIDUAL_MM = 2.0  # between the registrations there and back, at the corners of the middle half
SHIFT_MM = 8.0  # by which sequences are moved to see whether they lie better elsewhere
BETTER = 1.02  # times as much mutual information, for "better"
COARSE = 16  # voxels along each axis, at most, in that comparison


@dataclass(frozen=True)
class Registered:
    """A volume moved onto another: its voxels are as they were, its affine is not."""

    volume: Volume
    moved_mm: float  # the largest displacement at the corners of the middle half of the other
    residual_mm: float  # by which the registrations there and back differ


def register_rigid(moving: Volume, fixed: Volume, name: str) -> Registered:
    """Turns and shifts a volume onto another by their mutual information; nothing is interpolated.

    Both directions are registered, and must undo each other to LARGEST_RESIDUAL_MM.

    Args:
        moving: (x, y, z).
        fixed: (x, y, z), roughly at the same place.
        name: of the moving volume, for messages.

    Raises:
        Unreadable: the two registrations do not agree.

    Source: Mattes et al. 2003, PET-CT image registration in the chest (SimpleITK).
    """
    corners = _corners(fixed)
    there = _transform(moving, fixed)  # (4, 4), from a place in `fixed` to that in `moving`, RAS mm
    back = _transform(fixed, moving)
    residual_mm = float(np.linalg.norm(corners - corners @ (back @ there).T, axis=1).max())
    if residual_mm > LARGEST_RESIDUAL_MM:
        raise Unreadable(
            f"{name} cannot be registered: there and back differ by {residual_mm:.1f} mm"
        )
    moved_mm = float(np.linalg.norm(corners - corners @ there.T, axis=1).max())
    placed = Volume(
        moving.array, np.linalg.inv(there) @ moving.affine, moving.facts, moving.stored_axes,
        moving.value_step,
    )  # fmt: skip
    return Registered(placed, moved_mm, residual_mm)


def lies_elsewhere(volume: Volume, reference: Volume) -> bool:
    """Whether a volume has more mutual information with a reference after a shift of SHIFT_MM along some
    axis than where it lies: then the two do not lie on each other.

    Source: Studholme et al. 1999, An overlap invariant entropy measure (normalised mutual information).
    """
    here = _information(volume, reference, np.zeros(3))
    shifts = [sign * SHIFT_MM * step for step in np.eye(3) for sign in (1, -1)]
    return any(_information(volume, reference, shift) > BETTER * here for shift in shifts)


def _information(volume: Volume, reference: Volume, shift_mm: np.ndarray) -> float:
    """Normalised mutual information of nearest voxels on a coarse grid, the volume shifted."""
    axes = [np.linspace(0, size - 1, min(size, COARSE)) for size in reference.array.shape]
    grid = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3)
    moved = volume.affine.copy()
    moved[:3, 3] += shift_mm
    to_voxel = np.linalg.inv(moved) @ reference.affine
    places = np.rint(grid @ to_voxel[:3, :3].T + to_voxel[:3, 3]).astype(int)
    inside = np.all((places >= 0) & (places < volume.array.shape), axis=1)
    if inside.sum() < BINS**2:
        return 1.0
    own = volume.array[tuple(places[inside].T)]
    other = reference.array[tuple(np.rint(grid[inside]).astype(int).T)]
    joint = np.bincount(_binned(own) * BINS + _binned(other), minlength=BINS**2).reshape(BINS, BINS)
    entropies = [_entropy(counts) for counts in (joint.sum(0), joint.sum(1), joint.ravel())]
    return (entropies[0] + entropies[1]) / max(entropies[2], 1e-9)


def _binned(values: np.ndarray) -> np.ndarray:
    """Intensities as numbers of BINS bins of their range, without the rarest values."""
    low, high = np.percentile(values, (0.5, 99.5))
    scaled = (values.astype(np.float32) - low) / max(high - low, 1e-9) * BINS
    return np.clip(scaled, 0, BINS - 1).astype(int)


def _entropy(counts: np.ndarray) -> float:
    shares = counts[counts > 0] / counts.sum()
    return float(-(shares * np.log(shares)).sum())


def _corners(volume: Volume) -> np.ndarray:
    """(8, 4) corners of the middle half of a volume in RAS mm, with a 1."""
    sizes = np.array(volume.array.shape)
    places = np.array([[x, y, z] for x in (0.25, 0.75) for y in (0.25, 0.75) for z in (0.25, 0.75)])
    return np.hstack([places * (sizes - 1), np.ones((8, 1))]) @ volume.affine.T


def _transform(moving: Volume, fixed: Volume) -> np.ndarray:
    """(4, 4): from a place in `fixed` to the same of the patient in `moving`, RAS mm."""
    import SimpleITK

    target, source = _image(fixed), _image(moving)
    start = SimpleITK.Euler3DTransform()
    middle = [(size - 1) / 2 for size in target.GetSize()]
    start.SetCenter(target.TransformContinuousIndexToPhysicalPoint(middle))
    method = SimpleITK.ImageRegistrationMethod()
    method.SetNumberOfThreads(1)  # so that sums have one order, and the result is the same every time
    method.SetMetricAsMattesMutualInformation(MATTES_BINS)
    method.SetMetricSamplingStrategy(method.REGULAR)
    method.SetMetricSamplingPercentagePerLevel(SAMPLED, 1)
    method.SetInterpolator(SimpleITK.sitkLinear)
    method.SetOptimizerAsRegularStepGradientDescent(2.0, 1e-3, 300, relaxationFactor=0.5)
    method.SetOptimizerScalesFromPhysicalShift()
    method.SetShrinkFactorsPerLevel(SHRINK)
    method.SetSmoothingSigmasPerLevel(SMOOTH_MM)
    method.SmoothingSigmasAreSpecifiedInPhysicalUnitsOn()
    method.SetInitialTransform(start, inPlace=True)
    try:
        method.Execute(target, source)
    except RuntimeError:
        raise Unreadable("its sequences do not overlap, so they cannot be registered") from None
    matrix = np.eye(4)
    rotation = np.reshape(start.GetMatrix(), (3, 3))
    centre = np.array(start.GetCenter())
    matrix[:3, :3] = LPS @ rotation @ LPS
    matrix[:3, 3] = LPS @ (np.array(start.GetTranslation()) + centre - rotation @ centre)
    return matrix


def _image(volume: Volume):
    """A Volume as a SimpleITK image."""
    import SimpleITK

    image = SimpleITK.GetImageFromArray(np.ascontiguousarray(volume.array.T).astype(np.float32))
    spacing = np.array(volume.spacing_mm)
    image.SetSpacing(spacing.tolist())
    image.SetDirection((LPS @ volume.affine[:3, :3] / spacing).ravel().tolist())
    image.SetOrigin((LPS @ volume.affine[:3, 3]).tolist())
    return image
