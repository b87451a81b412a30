"""Where an image shows nothing: the air around a body, and the padding around an image."""

import numpy as np
from scipy import ndimage

DARK = 0.08  # of the range of intensities above its low end; air is darker, with its noise
RANGE = (0.5, 99.5)  # percentiles between which intensities range
UNIFORM = 0.5  # share of the rim with one value, from which on that value is padding
SPECK = 4  # pixels: a piece in the air that is no larger is noise


def air_of(image: np.ndarray) -> np.ndarray:
    """Returns where an image is air or padding, (depth, rows, columns) or (rows, columns) bool.

    Air is dark, or of the one value that most of the rim has, and reaches the rim of its slice; so the
    dark inside of a body is none of it. It is for showing images: where there is no air it may take a
    dark border of the body for it, but nothing that can be seen. An image of one value has no air.

    Args:
        image: one channel, of any unit, head to foot and front to back.
    """
    stack = image.astype(np.float32).reshape(-1, *image.shape[-2:])  # (slices, rows, columns)
    low, high = np.percentile(stack, RANGE)
    sides = [stack[:, [0, -1]], stack[:, :, [0, -1]]]
    values, counts = np.unique(np.concatenate([side.ravel() for side in sides]), return_counts=True)
    dark, padding = low + DARK * (high - low), values[counts.argmax()]
    nothing = stack < dark
    if counts.max() >= UNIFORM * counts.sum():
        # Of an image that was standardised inside a mask, what is darker than the padding is tissue.
        nothing = (stack == padding) | (nothing & (padding < dark))
    air = np.stack([_at_rim(one) for one in nothing]).reshape(image.shape)
    return np.zeros(image.shape, bool) if air.all() else air


def _at_rim(region: np.ndarray) -> np.ndarray:
    """The pieces of a region (rows, columns) that reach its rim, with the specks in them."""
    pieces, _ = ndimage.label(region)
    sides = (pieces[0], pieces[-1], pieces[:, 0], pieces[:, -1])
    outside = np.isin(pieces, np.setdiff1d(np.concatenate(sides), 0))
    inside, _ = ndimage.label(~outside)
    return outside | (np.bincount(inside.ravel()) <= SPECK)[inside]
