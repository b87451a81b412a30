"""N4 bias field correction: divides an MR image by its slowly varying brightness."""

import dataclasses

import numpy as np

from data_prep.case import Unreadable
from data_prep.volume import Volume, require_3d

MIN_LENGTH = 4  # voxels that an axis keeps when shrunken, because the splines are cubic


def correct_bias_field(
    volume: Volume,
    inside: np.ndarray | None = None,
    shrink_factor: int = 4,
    iterations: tuple[int, ...] = (50, 50, 50),
    threads: int = 1,
) -> Volume:
    """Divides a volume by its bias field, which is estimated on a shrunken copy.

    Args:
        volume: (x, y, z).
        inside: (x, y, z) bool, such as the brain mask: where the field is estimated, from positive
            voxels. Default: everywhere.
        shrink_factor: of the finest axis; coarser axes are shrunken less, towards cubic voxels.
        iterations: the most per level. Each level halves the distance of the field's control points;
            the third follows changes over a quarter of the image, of the anatomy as well.
        threads: low by default, because files are prepared in parallel.

    Returns:
        The corrected volume in float32, zeros kept; uncorrected if `inside` has at most one value.

    Raises:
        Unreadable: the volume has channels, or no finite field was found.

    Source: Tustison et al. 2010, N4ITK: improved N3 bias correction.
    """
    array = np.ascontiguousarray(require_3d(volume).array, dtype=np.float32)
    inside = array > 0 if inside is None else np.asarray(inside, bool) & (array > 0)
    if inside.shape != array.shape:
        raise ValueError(f"mask of shape {inside.shape}, but image of shape {array.shape}")
    factors = shrink_factors(array.shape, volume.spacing_mm, shrink_factor)
    if _is_flat(array, inside, factors):
        return dataclasses.replace(volume, array=array)
    field = np.exp(_log_field(array, inside, volume.spacing_mm, factors, iterations, threads))
    corrected = array / field
    if not np.all(np.isfinite(corrected)):
        raise Unreadable("N4 bias field correction gave infinite or NaN values")
    return dataclasses.replace(volume, array=corrected)


def shrink_factors(
    shape: tuple[int, ...], spacing_mm: tuple[float, ...], shrink_factor: int
) -> tuple[int, ...]:
    """Factors along the axes towards cubes of `shrink_factor` finest voxels; four voxels are kept.

    >>> shrink_factors((256, 256, 22), (0.7, 0.7, 6.5), 4)
    (4, 4, 1)
    """
    target_mm = shrink_factor * min(spacing_mm)
    return tuple(
        int(max(1, min(round(target_mm / spacing), length // MIN_LENGTH)))
        for length, spacing in zip(shape, spacing_mm, strict=True)
    )


def _is_flat(array: np.ndarray, inside: np.ndarray, factors: tuple[int, ...]) -> bool:
    """Whether N4's histogram would have no width, in the whole image or the shrunken one."""
    for steps in ((1, 1, 1), factors):
        kept = tuple(slice(step // 2, None, step) for step in steps)
        values = array[kept][inside[kept]]
        if values.size == 0 or values.min() == values.max():
            return True
    return False


def _log_field(array, inside, spacing_mm, factors, iterations, threads) -> np.ndarray:
    """The logarithm of the bias field at every voxel, (x, y, z) float32."""
    import SimpleITK as sitk

    def as_image(values: np.ndarray):
        image = sitk.GetImageFromArray(values.T)  # SimpleITK's arrays are (z, y, x)
        image.SetSpacing(spacing_mm)
        return image

    # Filters inside N4 ignore its own number of threads and use ITK's global one.
    threads_before = sitk.ProcessObject.GetGlobalDefaultNumberOfThreads()
    sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(threads)
    try:
        image = as_image(array)
        correction = sitk.N4BiasFieldCorrectionImageFilter()
        correction.SetNumberOfThreads(threads)
        correction.SetMaximumNumberOfIterations(iterations)
        shrunken = sitk.Shrink(image, factors)
        try:
            correction.Execute(shrunken, sitk.Shrink(as_image(inside.astype(np.uint8)), factors))
            field = correction.GetLogBiasFieldAsImage(image)
        except RuntimeError:  # ITK's; its text names source files and addresses
            raise Unreadable("N4 bias field correction failed: too few voxels to fit a field") from None
        return sitk.GetArrayFromImage(field).T
    finally:
        sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(threads_before)
