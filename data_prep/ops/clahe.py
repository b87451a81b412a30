"""Contrast-limited adaptive histogram equalisation (CLAHE) to 0..255, by scikit-image.

Each tile is an eighth of the image along each axis. Recipe A gives VGG and the 3D M-Net such images.
"""

import numpy as np


def clahe_uint8(image: np.ndarray, low: float, high: float) -> np.ndarray:
    """Equalises (rows, columns) or (depth, rows, columns), clipped to `low`..`high`, to uint8."""
    from skimage.exposure import equalize_adapthist

    scaled = (np.clip(image.astype(np.float64), low, high) - low) / (high - low)
    return np.round(255 * equalize_adapthist(scaled)).astype(np.uint8)


def clahe3d(
    array: np.ndarray,
    inside: np.ndarray | None = None,
    percentiles: tuple[float, float] = (0.0, 99.9),
) -> np.ndarray:
    """Equalises a 3D image without a fixed unit (MR), clipped to percentiles, to uint8.

    Args:
        array: 3D, axes in any order.
        inside: bool of the same shape; percentiles are taken inside it, and the result is 0 outside
            (equalised, tiles of pure background would not stay 0). Default: everywhere.
        percentiles: lower and upper; above the upper are hot voxels that would darken the rest.

    Returns:
        uint8 of the same shape; all 0 if nothing is inside or all of it has one value.
    """
    values = array if inside is None else array[inside]
    low, high = np.percentile(values, percentiles) if values.size else (0.0, 0.0)
    if not low < high:
        return np.zeros(array.shape, np.uint8)
    equalised = clahe_uint8(array, float(low), float(high))
    return equalised if inside is None else np.where(inside, equalised, np.uint8(0))
