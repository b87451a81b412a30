"""N4 bias field correction: the slow brightening across an MR image divided out (Tustison 2010)."""

import dataclasses
from contextlib import contextmanager

import numpy as np

from data_prep.case import Unreadable
from data_prep.volume import Volume, three_dimensional

MIN_LENGTH = 4  # voxels an axis keeps when shrunken; the splines are cubic


def n4_corrected(
    volume: Volume,
    inside: np.ndarray | None = None,
    shrink_factor: int = 4,
    iterations: tuple[int, ...] = (50, 50, 50),
    threads: int = 1,
) -> Volume:
    """The volume over its bias field, float32; zeros stay zeros.

    The field is estimated from positive voxels `inside` (x, y, z) (the brain mask; everywhere
    without) on the shrunken image and evaluated on the whole one. `iterations` are the most at
    each level; each level halves the distance of the field's control points, so that the third
    follows changes over a quarter of the image, but also anatomy as slow as that. The finest axis
    is shrunken by `shrink_factor`, coarser ones less, towards cubes. `threads` is small because
    files are prepared in parallel. An image of one value (or none) inside comes back as it is, in
    float32. Raises Unreadable for channels, or if no finite field was found.
    """
    array = np.ascontiguousarray(three_dimensional(volume).array, dtype=np.float32)
    inside = array > 0 if inside is None else np.asarray(inside, bool) & (array > 0)
    if inside.shape != array.shape:
        raise ValueError(f"a mask of shape {inside.shape} for an image of shape {array.shape}")
    factors = shrink_factors(array.shape, volume.spacing_mm, shrink_factor)
    if _is_flat(array, inside, factors):
        return dataclasses.replace(volume, array=array)
    field = np.exp(_log_field(array, inside, volume.spacing_mm, factors, iterations, threads))
    corrected = array / field
    if not np.all(np.isfinite(corrected)):
        raise Unreadable("N4 found no finite bias field")
    return dataclasses.replace(volume, array=corrected)


def shrink_factors(
    shape: tuple[int, ...], spacing_mm: tuple[float, ...], shrink_factor: int
) -> tuple[int, ...]:
    """Along each axis: towards cubes of `shrink_factor` finest voxels, four voxels left at least."""
    target_mm = shrink_factor * min(spacing_mm)
    return tuple(
        int(max(1, min(round(target_mm / spacing), length // MIN_LENGTH)))
        for length, spacing in zip(shape, spacing_mm, strict=True)
    )


def _is_flat(array: np.ndarray, inside: np.ndarray, factors: tuple[int, ...]) -> bool:
    """Whether N4's histogram would have no width, in the whole image or in the shrunken one."""
    for every in ((1, 1, 1), factors):
        few = tuple(slice(step // 2, None, step) for step in every)
        values = array[few][inside[few]]
        if values.size == 0 or values.min() == values.max():
            return True
    return False


def _log_field(array, inside, spacing_mm, factors, iterations, threads) -> np.ndarray:
    """Logarithm of the field at every voxel, (x, y, z) float32."""
    import SimpleITK as sitk

    def as_image(values: np.ndarray):
        image = sitk.GetImageFromArray(values.T)  # SimpleITK's arrays are (z, y, x)
        image.SetSpacing(spacing_mm)
        return image

    with _few_threads(sitk, threads):
        image = as_image(array)
        correction = sitk.N4BiasFieldCorrectionImageFilter()
        correction.SetNumberOfThreads(threads)
        correction.SetMaximumNumberOfIterations(iterations)
        shrunken = sitk.Shrink(image, factors)
        try:
            correction.Execute(shrunken, sitk.Shrink(as_image(inside.astype(np.uint8)), factors))
            field = correction.GetLogBiasFieldAsImage(image)
        except RuntimeError:  # ITK's exceptions; their text names source files and addresses
            raise Unreadable("N4 found no bias field: too few voxels to fit it to") from None
        return sitk.GetArrayFromImage(field).T


@contextmanager
def _few_threads(sitk, threads: int):
    """N4's inner filters take ITK's global number, not the one of N4."""
    before = sitk.ProcessObject.GetGlobalDefaultNumberOfThreads()
    sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(threads)
    try:
        yield
    finally:
        sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(before)
