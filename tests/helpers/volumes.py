"""Volumes that several tests share: asymmetric, anisotropic, oblique; each voxel knows its place."""

from pathlib import Path

import nibabel
import numpy as np
from nibabel.orientations import axcodes2ornt, io_orientation, ornt_transform

from data_prep.volume import Volume

SHAPE = (19, 14, 11)  # x, y, z
SPACING = (1.0, 1.5, 2.5)


def affine_of(degrees, spacing_mm, origin=(-20.0, 15.0, 40.0), shear=0.0) -> np.ndarray:
    """Turned about x, y and z; the third axis sheared along the second, as by a tilted gantry."""
    turn = np.eye(3)
    for axis, angle in enumerate(np.radians(degrees)):
        one, other = [k for k in range(3) if k != axis]
        about = np.eye(3)
        about[[one, other], [one, other]] = np.cos(angle)
        about[one, other], about[other, one] = -np.sin(angle), np.sin(angle)
        turn = turn @ about
    tilt = np.eye(3)
    tilt[1, 2] = shear
    affine = np.eye(4)
    affine[:3, :3] = turn @ tilt @ np.diag(spacing_mm)
    affine[:3, 3] = origin
    return affine


OBLIQUE = affine_of((12.0, -7.0, 20.0), SPACING)


def indices(shape) -> np.ndarray:
    """(x, y, z, 3): every voxel's own index."""
    return np.stack(np.meshgrid(*map(np.arange, shape[:3]), indexing="ij"), axis=-1).astype(float)


def positions_mm(shape, affine) -> np.ndarray:
    """(x, y, z, 3): every voxel's world position in mm. Linear, so linear interpolation keeps it."""
    return indices(shape) @ affine[:3, :3].T + affine[:3, 3]


def landmarks(affine, shape=SHAPE) -> Volume:
    return Volume(positions_mm(shape, affine).astype(np.float32), affine)


def noise(affine=OBLIQUE, shape=SHAPE, seed=0) -> Volume:
    return Volume(np.random.default_rng(seed).normal(100, 30, shape).astype(np.float32), affine)


def labels(affine=OBLIQUE, shape=SHAPE, seed=0) -> Volume:
    return Volume(np.random.default_rng(seed).choice([0, 1, 4, 250], shape).astype(np.uint8), affine)


def save_nifti(path, array, affine, order="RAS", form="sform") -> Path:
    """The same patient with the file's axes in another order, placed by its sform or by its qform."""
    path.parent.mkdir(parents=True, exist_ok=True)
    image = nibabel.Nifti1Image(array, affine)
    image = image.as_reoriented(ornt_transform(io_orientation(affine), axcodes2ornt(order)))
    assert "".join(nibabel.aff2axcodes(image.affine)) == order
    if form == "qform":
        image.set_qform(image.affine, code=1)
        image.set_sform(None, code=0)
    nibabel.save(image, path)
    return path


def assert_same_records(found, expected, image_atol=0, affine_atol=1e-4) -> None:
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one.image, other.image, rtol=0, atol=image_atol)
        np.testing.assert_array_equal(one.mask, other.mask)
        np.testing.assert_allclose(one.affine, other.affine, atol=affine_atol)
