"""Contrast-limited adaptive histogram equalisation to 0..255, as recipe A feeds VGG and the 3D M-Net."""

import numpy as np


def clahe_uint8(image: np.ndarray, low: float, high: float) -> np.ndarray:
    """Values from `low` to `high`, clipped, equalised in tiles of an eighth of each side -> uint8.

    `image` is (rows, columns) or (depth, rows, columns); scikit-image's method.
    """
    from skimage.exposure import equalize_adapthist

    scaled = (np.clip(image.astype(np.float64), low, high) - low) / (high - low)
    return np.round(255 * equalize_adapthist(scaled)).astype(np.uint8)


def clahe3d(
    array: np.ndarray,
    inside: np.ndarray | None = None,
    percentiles: tuple[float, float] = (0.0, 99.9),
) -> np.ndarray:
    """MR intensities, which have no unit, equalised in blocks of an eighth of each side -> uint8.

    `array` is three-dimensional, its axes in any order. Values are clipped to its percentiles (a
    few hot voxels would leave the rest dark) over `inside`, a bool array of its shape; outside it
    the result is 0, for a block of nothing but background does not stay 0. Without `inside`, over
    the whole array. Nothing inside, or one value: all 0.
    """
    values = array if inside is None else array[inside]
    low, high = np.percentile(values, percentiles) if values.size else (0.0, 0.0)
    if not low < high:
        return np.zeros(array.shape, np.uint8)
    equalised = clahe_uint8(array, float(low), float(high))
    return equalised if inside is None else np.where(inside, equalised, np.uint8(0))
