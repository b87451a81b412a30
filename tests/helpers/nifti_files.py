"""Small NIfTI and MGH files of each kind."""

import gzip

import nibabel
import numpy as np

SHAPE = (5, 6, 4)
AFFINE = np.array([[2, 0.2, 0, -7], [-0.1, 1, 0.3, 11], [0, 0, 3, -40], [0, 0, 0, 1.0]])
KINDS = {
    "nii": nibabel.Nifti1Image,
    "nii.gz": nibabel.Nifti1Image,
    "nifti-2": nibabel.Nifti2Image,
    "mgh": nibabel.MGHImage,
    "mgz": nibabel.MGHImage,
}


def noise(*channels: int) -> np.ndarray:
    return np.random.default_rng(3).integers(-900, 900, (*SHAPE, *channels)).astype(np.int16)


def packed(data: bytes, kind: str) -> bytes:
    return gzip.compress(data) if kind in ("nii.gz", "mgz") else data


def file_bytes(array, affine=AFFINE, kind="nii") -> bytes:
    return packed(KINDS[kind](array, affine).to_bytes(), kind)


def save(path, array, affine=AFFINE, kind="nii"):
    path.write_bytes(file_bytes(array, affine, kind))
    return path
