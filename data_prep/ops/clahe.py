"""Contrast-limited adaptive histogram equalisation to 0..255, as recipe A feeds VGG and the 3D M-Net."""

import numpy as np


def clahe_uint8(image: np.ndarray, low: float, high: float) -> np.ndarray:
    """Values from `low` to `high`, clipped, equalised in tiles of an eighth of each side -> uint8.

    `image` is (rows, columns) or (depth, rows, columns); scikit-image's method.
    """
    from skimage.exposure import equalize_adapthist

    scaled = (np.clip(image.astype(np.float64), low, high) - low) / (high - low)
    return np.round(255 * equalize_adapthist(scaled)).astype(np.uint8)
